package wasm

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// maxWaiting is how many calls of one system wait for a guest at most.
const maxWaiting = 1024

// line is where calls wait for a guest that is free, in the order in which
// they came. Only the one at its head looks for a guest.
type line struct {
	head    chan struct{} // full while somebody is at the head
	changed chan struct{} // full when the head should look again
	waiting atomic.Int64
}

func newLine() line {
	return line{head: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
}

// change makes the head look again.
func (l *line) change() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// claim gives a guest whose turn is the caller's, and which carries one call
// more. The call must be given back with leave.
func (f *fleet) claim(ctx context.Context) (*proxyVM, error) {
	w := waiter{ctx: ctx, most: f.pool.kind.opts.Wait}
	defer w.stop()
	if err := f.stepUp(&w); err != nil {
		return nil, err
	}
	defer func() { <-f.line.head }()
	for {
		v, err := f.free() //nolint:contextcheck // a further guest is not for this call alone
		if v != nil || err != nil {
			return v, err
		}
		select {
		case <-f.line.changed:
		case <-w.late():
			return nil, f.busy(nil)
		case <-ctx.Done():
			return nil, f.busy(ctx.Err())
		}
	}
}

// stepUp waits until the caller is at the head of the line.
func (f *fleet) stepUp(w *waiter) error {
	select {
	case f.line.head <- struct{}{}:
		return nil
	default:
	}
	defer f.line.waiting.Add(-1)
	if f.line.waiting.Add(1) > maxWaiting {
		return f.busy(nil)
	}
	select {
	case f.line.head <- struct{}{}:
		return nil
	case <-w.late():
		return f.busy(nil)
	case <-w.ctx.Done():
		return f.busy(w.ctx.Err())
	}
}

// waiter is a call that waits for its guest. As long as it has not had to wait
// there is no clock.
type waiter struct {
	ctx   context.Context //nolint:containedctx // of one claim
	most  time.Duration
	timer *time.Timer
}

// late tells that it has waited for too long.
func (w *waiter) late() <-chan time.Time {
	if w.timer == nil {
		w.timer = time.NewTimer(w.most)
	}
	return w.timer.C
}

func (w *waiter) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (f *fleet) busy(cause error) error {
	return core.WrapError(core.Unavailable, cause, "WASM extension '%s' is busy: no guest was free for the call", f.pool.set.name)
}

// free takes the turn of a guest that is at no work. Where there is none it
// gives nil, and has another guest started if there may be more. An error is
// why the last guest did not start, for one call to know, or that nobody is let
// in.
func (f *fleet) free() (*proxyVM, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, f.pool.stopping()
	}
	best, room := f.idlest()
	if best != nil && best.take() {
		best.calls.Add(1)
		f.open.Add(1)
		return best, nil
	}
	if err := f.broken; err != nil && len(f.vms) == 0 {
		f.broken = nil
		return nil, err
	}
	if f.starting == 0 && len(f.vms) < f.most {
		f.more()
	}
	switch {
	case !room:
		return nil, core.Errorf(core.Unavailable, "WASM extension '%s' is busy: its guests carry %d calls each", f.pool.set.name, maxCarried)
	case best != nil:
		f.line.change() // somebody was quicker, and may be done by now
	}
	return nil, nil //nolint:nilnil // there is none now, and no reason against one
}

// idlest is the guest at no work that carries the fewest calls, or nil, and
// whether any guest there is could carry more.
func (f *fleet) idlest() (best *proxyVM, room bool) {
	least := int64(maxCarried)
	room = len(f.vms) == 0
	for _, v := range f.vms {
		carried := v.calls.Load()
		room = room || carried < maxCarried
		if len(v.turn) == 0 && carried < least {
			best, least = v, carried
		}
	}
	return best, room
}

// take takes the guest's turn, if nobody has it.
func (v *proxyVM) take() bool {
	select {
	case v.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// pass gives the turn on.
func (v *proxyVM) pass() {
	<-v.turn
	v.fleet.line.change()
}
