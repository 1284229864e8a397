package badger

import (
	"context"
	"sync"

	"github.com/annex-gateway/annex/storage"
)

// readers knows who reads the database and as of when: old versions must stay
// while somebody may read them, and the database must not be closed under a
// reader.
type readers struct {
	mu      sync.Mutex
	visible storage.Revision // the last commit that is on disk
	active  map[storage.Revision]int
	closed  bool
	idle    chan struct{} // closed once closed is set and nobody reads
}

func newReaders() *readers {
	return &readers{active: map[storage.Revision]int{}, idle: make(chan struct{})}
}

// enter gives the revision to read at, until leave.
func (r *readers) enter() (storage.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, storage.ErrClosed
	}
	r.active[r.visible]++
	return r.visible, nil
}

func (r *readers) leave(at storage.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active[at]--; r.active[at] == 0 {
		delete(r.active, at)
	}
	if r.closed && len(r.active) == 0 {
		close(r.idle)
	}
}

// check is asked now and then by those who read for long.
func (r *readers) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return storage.ErrClosed
	}
	return ctx.Err()
}

// advance makes the commits up to last visible.
func (r *readers) advance(last storage.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.visible = last
}

// oldest is the revision that everybody who reads, now or later, reads at or
// after.
func (r *readers) oldest() storage.Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := r.visible
	for at := range r.active {
		oldest = min(oldest, at)
	}
	return oldest
}

// close refuses new readers. The channel is closed when the last one has left.
func (r *readers) close() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if len(r.active) == 0 {
		close(r.idle)
	}
	return r.idle
}
