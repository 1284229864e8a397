package pipeline

import (
	"context"
	"sync"
	"time"
)

// limited is a context with a deadline, whose timer runs from the moment when
// somebody waits for its end. Most visits end without anybody waiting.
type limited struct {
	context.Context
	deadline time.Time

	mu     sync.Mutex
	timed  context.Context // once somebody waits
	cancel context.CancelFunc
	err    error // once it has ended, while nobody waits
}

// limit gives a context that ends with ctx, at the deadline, or with end.
func limit(ctx context.Context, deadline time.Time) *limited {
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	return &limited{Context: ctx, deadline: deadline}
}

// Deadline is when it ends at the latest.
func (l *limited) Deadline() (time.Time, bool) { return l.deadline, true }

// Done is closed when it has ended.
func (l *limited) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(l.Context, l.deadline)
		if l.ended() != nil {
			l.cancel()
		}
	}
	return l.timed.Done()
}

// Err tells why it has ended, or nil.
func (l *limited) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended()
}

// ended is Err with the mutex held. What it says first it says for ever.
func (l *limited) ended() error { return l.endedBy(time.Time{}) }

// endedBy is ended at a time that the caller knows, or that is not known yet.
func (l *limited) endedBy(now time.Time) error {
	switch {
	case l.err != nil:
	case l.timed != nil:
		l.err = l.timed.Err()
	case l.Context.Err() != nil:
		l.err = l.Context.Err()
	case now.IsZero() && time.Until(l.deadline) <= 0, !now.Before(l.deadline):
		l.err = context.DeadlineExceeded
	}
	return l.err
}

// Value is that of the context which ends it, so that contexts made of this
// one end with it and need nobody to wait.
func (l *limited) Value(key any) any {
	l.mu.Lock()
	ctx := l.Context
	if l.timed != nil {
		ctx = l.timed
	}
	l.mu.Unlock()
	return ctx.Value(key)
}

// end frees what it holds. It has ended then, which is now.
func (l *limited) end(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endedBy(now) == nil {
		l.err = context.Canceled
	}
	if l.cancel != nil {
		l.cancel()
	}
}
