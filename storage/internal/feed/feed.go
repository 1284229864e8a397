// Package feed hands the commits of a store to those who watch it, without ever
// making a writer wait: what followers have not taken yet is kept up to a
// limit, and who falls behind it starts over with a snapshot.
package feed

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"

	"github.com/annex-gateway/annex/storage"
)

// Options are the limits of a Feed. The zero value works.
type Options struct {
	// MaxBatches is how many announced commits are kept for slow followers;
	// 4096 when 0.
	MaxBatches int
	// MaxBytes is how many bytes of keys and values are kept for them; 32 MiB
	// when 0.
	MaxBytes int
}

// Picture calls use once with the entries below prefix, in key order as of one
// moment, and the revision of that moment. Every commit that was announced
// before Picture was called is in it. What it opened is closed when it returns.
type Picture func(ctx context.Context, prefix string, use func(storage.Revision, iter.Seq2[storage.Entry, error]) error) error

// Feed is the announced commits of one store and those who follow them.
type Feed struct {
	opts Options

	mu        sync.Mutex
	kept      []storage.Batch // not yet taken by every follower, oldest first
	first     uint64          // the number of kept[0]; announcements are numbered
	bytes     int             // of kept
	followers map[*follower]struct{}
	closed    bool
}

// follower is one running watch. Its fields are guarded by Feed.mu.
type follower struct {
	next uint64        // the number of the announcement to take next
	wake chan struct{} // holds a token after an announcement
}

var (
	errBehind  = errors.New("feed: fell behind")
	errStopped = errors.New("feed: the follower broke out of its loop")
)

// New makes a Feed without followers.
func New(opts Options) *Feed {
	if opts.MaxBatches <= 0 {
		opts.MaxBatches = 4096
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 32 << 20
	}
	return &Feed{opts: opts, followers: map[*follower]struct{}{}}
}

// Announce hands commits on, oldest first. Whoever calls it sees to it that the
// order of calls is the order of the commits, and that a commit can be read
// before it is announced. It does not wait for anybody.
func (f *Feed) Announce(batches ...storage.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.followers) == 0 {
		f.first += uint64(len(batches))
		return
	}
	for _, b := range batches {
		f.kept = append(f.kept, b)
		f.bytes += size(b)
	}
	for len(f.kept) > f.opts.MaxBatches || f.bytes > f.opts.MaxBytes {
		f.forget(1)
	}
	for fo := range f.followers {
		fo.signal()
	}
}

// Close ends all watches with storage.ErrClosed.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.forget(len(f.kept))
	for fo := range f.followers {
		fo.signal()
	}
}

// Follow is a store's Watch: a snapshot, then every later commit below prefix.
func (f *Feed) Follow(ctx context.Context, prefix string, picture Picture) iter.Seq2[storage.Batch, error] {
	return func(yield func(storage.Batch, error) bool) {
		if err := f.follow(ctx, prefix, picture, yield); !errors.Is(err, errStopped) {
			yield(storage.Batch{}, err)
		}
	}
}

// follow never returns nil.
func (f *Feed) follow(ctx context.Context, prefix string, picture Picture, yield func(storage.Batch, error) bool) error {
	if err := storage.ValidatePrefix(prefix); err != nil {
		return err
	}
	fo := &follower{wake: make(chan struct{}, 1)}
	defer f.leave(fo)
	for {
		// Joining comes before the picture: a commit that is announced in
		// between is in both and is then skipped, but never in neither.
		if err := f.join(ctx, fo); err != nil {
			return err
		}
		var last storage.Batch
		err := picture(ctx, prefix, func(at storage.Revision, entries iter.Seq2[storage.Entry, error]) (err error) {
			last, err = yieldSnapshot(at, entries, yield)
			return err
		})
		if err != nil {
			return err
		}
		if !yield(last, nil) {
			return errStopped
		}
		err = f.yieldCommits(ctx, fo, prefix, last.Revision, yield)
		if !errors.Is(err, errBehind) {
			return err
		}
	}
}

func (f *Feed) yieldCommits(ctx context.Context, fo *follower, prefix string, seen storage.Revision, yield func(storage.Batch, error) bool) error {
	for {
		b, err := f.take(ctx, fo)
		if err != nil {
			return err
		}
		if b.Revision <= seen {
			continue
		}
		if b = below(prefix, b); len(b.Entries) > 0 && !yield(b, nil) {
			return errStopped
		}
	}
}

// take waits for the next announcement.
func (f *Feed) take(ctx context.Context, fo *follower) (storage.Batch, error) {
	for {
		if b, ok, err := f.tryTake(ctx, fo); ok || err != nil {
			return b, err
		}
		select {
		case <-fo.wake:
		case <-ctx.Done():
		}
	}
}

func (f *Feed) tryTake(ctx context.Context, fo *follower) (b storage.Batch, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return storage.Batch{}, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return storage.Batch{}, false, storage.ErrClosed
	case fo.next < f.first:
		return storage.Batch{}, false, errBehind
	case fo.next == f.first+uint64(len(f.kept)):
		return storage.Batch{}, false, nil
	}
	b = f.kept[fo.next-f.first]
	fo.next++
	f.forgetTaken()
	return b, true, nil
}

// join places fo behind the last announcement.
func (f *Feed) join(ctx context.Context, fo *follower) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return storage.ErrClosed
	}
	fo.next = f.first + uint64(len(f.kept))
	f.followers[fo] = struct{}{}
	return nil
}

func (f *Feed) leave(fo *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, fo)
	f.forgetTaken()
}

// forgetTaken drops what no follower still has to take. A follower that is
// behind already gets a snapshot and needs nothing.
func (f *Feed) forgetTaken() {
	oldest := f.first + uint64(len(f.kept))
	for fo := range f.followers {
		if fo.next >= f.first {
			oldest = min(oldest, fo.next)
		}
	}
	f.forget(int(oldest - f.first))
}

// forget drops the n oldest announcements.
func (f *Feed) forget(n int) {
	for _, b := range f.kept[:n] {
		f.bytes -= size(b)
	}
	clear(f.kept[:n])
	f.kept = f.kept[n:]
	f.first += uint64(n)
	if len(f.kept) == 0 {
		f.kept = nil
	}
}

func (fo *follower) signal() {
	select {
	case fo.wake <- struct{}{}:
	default:
	}
}

// size is what keeping b costs, roughly.
func size(b storage.Batch) int {
	n := 64
	for _, e := range b.Entries {
		n += 64 + len(e.Key) + len(e.Value)
	}
	return n
}

// below is b as far as it lies below prefix.
func below(prefix string, b storage.Batch) storage.Batch {
	if prefix == "" {
		return b
	}
	var entries []storage.Entry
	for _, e := range b.Entries {
		if strings.HasPrefix(e.Key, prefix) {
			entries = append(entries, e)
		}
	}
	b.Entries = entries
	return b
}
