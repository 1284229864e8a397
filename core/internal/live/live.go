// Package live follows the catalog and turns what is registered into
// immutable pictures: it compiles filters, opens and closes connections, and
// publishes one [View] after another. The road reads views and nothing else.
package live

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/storage"
)

// Options are what a Live can be told.
type Options struct {
	Log *slog.Logger
	// RetryAfter is the first pause after a connection failed to open; it
	// doubles up to a minute. One second by default.
	RetryAfter time.Duration
}

// Live publishes views. It is safe for concurrent use.
type Live struct {
	cat  *catalog.Catalog
	opts Options
	view atomic.Pointer[View]

	mu       sync.Mutex // guards what follows; readers of views never take it
	next     *state     // what the next view is made of
	news     chan struct{}
	failure  error            // why following ended
	applying storage.Revision // what the state is brought up to
	stopped  bool

	cancel context.CancelFunc
	ctx    context.Context //nolint:containedctx // the life of the connections, ended by Close
	work   sync.WaitGroup
}

// Start follows the catalog until Close and returns once the first view is
// published.
func Start(ctx context.Context, cat *catalog.Catalog, opts Options) (*Live, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.RetryAfter <= 0 {
		opts.RetryAfter = time.Second
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &Live{cat: cat, opts: opts, ctx: life, cancel: cancel, news: make(chan struct{}), next: newState()}
	l.work.Go(l.follow)
	if err := l.wait(ctx, func(v *View) bool { return v != nil }); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// View returns the newest picture. It takes no lock.
func (l *Live) View() *View { return l.view.Load() }

// Wait returns once a view holds the revision.
func (l *Live) Wait(ctx context.Context, r storage.Revision) error {
	return l.wait(ctx, func(v *View) bool { return v != nil && v.Revision >= r })
}

func (l *Live) wait(ctx context.Context, ok func(*View) bool) error {
	for {
		l.mu.Lock()
		news, failure := l.news, l.failure
		l.mu.Unlock()
		if ok(l.View()) {
			return nil
		}
		if failure != nil {
			return failure
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Err tells why views no longer follow the catalog, or nil.
func (l *Live) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// follow applies what the catalog tells. When following fails the last view
// stays, and following starts anew.
func (l *Live) follow() {
	pause := l.opts.RetryAfter
	for l.ctx.Err() == nil {
		err := l.followOnce()
		if l.ctx.Err() != nil {
			return
		}
		if l.View() == nil {
			l.fail(err)
			return
		}
		l.opts.Log.Error("following the catalog failed; what is registered now takes effect later", "err", err, "retry_in", pause)
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
		}
		pause = min(2*pause, time.Minute)
	}
}

func (l *Live) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
	close(l.news)
	l.news = make(chan struct{})
}

// followOnce applies changes while the next ones are read and decoded: at a
// start with 100,000 registrations both are most of the work.
func (l *Live) followOnce() error {
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	var failure error
	ahead := make(chan catalog.Changes, 1)
	l.work.Go(func() {
		defer close(ahead)
		for changes, err := range l.cat.Follow(ctx) {
			if failure = err; err != nil {
				return
			}
			select {
			case ahead <- changes:
			case <-ctx.Done():
				return
			}
		}
	})
	restart := true
	for changes := range ahead {
		l.apply(changes, restart && changes.Snapshot)
		restart = !changes.More
	}
	if failure != nil {
		return failure
	}
	return core.Errorf(core.Unavailable, "the store ended the watch")
}

// apply brings the state up to date and publishes it. A restart forgets all
// but the open connections.
func (l *Live) apply(changes catalog.Changes, restart bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	if restart {
		old := l.next
		l.next = newState()
		l.next.leases, l.next.retired = old.leases, old.retired
	}
	for _, c := range changes.List {
		l.next.apply(c)
	}
	if changes.More {
		return
	}
	if changes.Snapshot {
		l.next.touchAll()
	}
	l.applying = changes.Revision
	for id := range l.next.stale {
		l.settle(id)
	}
	clear(l.next.stale)
	l.publish(changes.Revision)
	l.revoke(l.next.revocations())
}

func (l *Live) revoke(rs []revocation) {
	for kind := range l.cat.Kinds() {
		if r, ok := kind.(core.Revoker); ok {
			for _, x := range rs {
				r.Revoke(x.system, x.keep)
			}
		}
	}
}

// publish shows the next view. Only then are replaced connections shut: a
// call that finds one shut finds its successor in the view.
func (l *Live) publish(r storage.Revision) {
	l.view.Store(l.next.view(r))
	for _, o := range l.next.retired {
		l.retire(o)
	}
	l.next.retired = nil
	close(l.news)
	l.news = make(chan struct{})
}

// settle opens, keeps or retires the connection of one system, and brings its
// filters into or out of the table.
func (l *Live) settle(id string) {
	s := l.next
	sys, exists := s.systems.Get(id)
	have := s.leases[id]
	switch {
	case !exists || !sys.System.Enabled:
		if have != nil {
			s.retired = append(s.retired, have.give()...)
			delete(s.leases, id)
		}
	case have == nil || !sameConn(have.sys, sys.System):
		s.leases[id] = l.replace(have, sys.System, l.opts.RetryAfter)
	}
	if exists {
		e := &Entry{System: sys.System}
		if o := s.leases[id]; o != nil {
			e.conn = o.lease
		}
		s.systems.Set(s.batch, id, e)
	}
	s.place(id)
}

// sameConn reports whether a connection opened for a serves b as well.
func sameConn(a, b core.System) bool {
	return a.Kind == b.Kind && bytes.Equal(a.Settings, b.Settings)
}

// opened is the lease of an enabled system and what it was opened for.
type opened struct {
	*lease
	sys   core.System
	at    storage.Revision // that it was opened for
	prior *opened          // serves until it is open, and is to be retired then
}

// give gives the lease up, and what it stands for.
func (o *opened) give() []*opened {
	p := o.prior
	if p == nil {
		return []*opened{o}
	}
	o.prior = nil
	return []*opened{o, p}
}

// replace opens a system, anew where there is a connection. What serves calls
// now goes on with that until its successor is open.
func (l *Live) replace(have *opened, sys core.System, pause time.Duration) *opened {
	o := &opened{lease: newLease(), sys: sys, at: l.applying}
	switch {
	case have == nil:
	case have.working():
		o.prior = have
	default:
		o.prior, have.prior = have.prior, nil
		l.next.retired = append(l.next.retired, have)
	}
	if o.prior != nil {
		o.before.Store(o.prior.lease)
	}
	l.open(o, pause)
	return o
}

func (l *Live) open(o *opened, pause time.Duration) {
	sys := o.sys
	kind, ok := l.cat.Kind(sys.Kind)
	if !ok { // and there is none before the gateway starts anew
		o.err = core.Errorf(core.Unavailable, "this gateway has no kind %q", sys.Kind)
		close(o.ready)
		l.opts.Log.Warn("calls to a system fail: its kind does not run here", "system", sys.ID, "kind", sys.Kind)
		return
	}
	l.work.Go(func() {
		o.conn, o.err = openSafely(l.ctx, kind, sys)
		close(o.ready)
		if o.err != nil && l.ctx.Err() == nil {
			l.opts.Log.Error("a system could not be started", "system", sys.ID, "err", o.err, "retry_in", pause)
			l.work.Go(func() { l.retry(o, pause) })
		}
		l.arrived(o)
	})
}

// arrived retires what a connection replaces, now that it is open, and tells
// those who wait for it.
func (l *Live) arrived(o *opened) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := o.prior; p != nil && o.working() {
		o.prior = nil
		o.before.Store(nil)
		l.retire(p)
	}
	close(l.news)
	l.news = make(chan struct{})
}

// Replaced returns once the connections that a commit replaced serve no new
// calls any more, or their successors cannot be opened.
func (l *Live) Replaced(ctx context.Context, r storage.Revision) error {
	return l.wait(ctx, func(*View) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, o := range l.next.leases {
			if o.at >= r && o.prior != nil && !o.tried() {
				return false
			}
		}
		return true
	})
}

// openSafely keeps a panicking kind from ending the process.
func openSafely(ctx context.Context, k core.Kind, sys core.System) (conn core.Conn, err error) {
	defer func() {
		if p := recover(); p != nil {
			conn, err = nil, core.Errorf(core.Internal, "opening %s panicked: %v", sys.ID, p)
		}
	}()
	return k.Open(ctx, sys)
}

// retry opens a failed system again after a pause, if it is still wanted.
func (l *Live) retry(failed *opened, pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-l.ctx.Done():
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id := failed.sys.ID
	if l.next.leases[id] != failed || l.stopped {
		return
	}
	l.next.leases[id] = l.replace(failed, failed.sys, min(2*pause, time.Minute))
	l.settle(id)
	l.publish(l.View().Revision)
}

// retire shuts a connection at once and closes it when the calls inside have
// ended.
func (l *Live) retire(o *opened) {
	o.shut()
	l.work.Go(func() {
		if err := o.end(); err != nil {
			l.opts.Log.Warn("closing a system failed", "system", o.sys.ID, "err", err)
		}
	})
}

// Close closes every connection, after the calls inside have ended, and stops
// following.
func (l *Live) Close() {
	l.mu.Lock()
	if !l.stopped {
		l.stopped = true
		for id, o := range l.next.leases {
			for _, o := range o.give() {
				l.retire(o)
			}
			delete(l.next.leases, id)
		}
	}
	l.mu.Unlock()
	l.cancel()
	l.work.Wait()
}
