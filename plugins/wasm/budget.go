package wasm

import (
	"context"
	"errors"
	"time"
)

// errOverTime is why a call ends when its guest has used up its time.
var errOverTime = errors.New("the guest ran over its time limit")

// budget is the time that one call may spend in its guest. It runs only
// between start and stop, and not between pause and resume. All of it is used
// by the goroutine that runs the guest.
type budget struct {
	left   time.Duration
	since  time.Time
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// start gives the context under which the guest may run.
func (b *budget) start(ctx context.Context) context.Context {
	ctx, b.cancel = context.WithCancelCause(ctx)
	b.resume()
	return ctx
}

// resume lets the time run.
func (b *budget) resume() {
	b.since = time.Now()
	if b.left <= 0 {
		b.cancel(errOverTime)
		return
	}
	cancel := b.cancel
	if b.timer == nil {
		b.timer = time.AfterFunc(b.left, func() { cancel(errOverTime) })
	}
}

// pause holds the time.
func (b *budget) pause() {
	b.left -= time.Since(b.since)
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// stop holds the time and ends the context.
func (b *budget) stop() {
	b.pause()
	b.cancel(nil)
}
