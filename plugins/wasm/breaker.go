package wasm

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker keeps calls from a module that fails again and again. After a
// number of failures in a row it opens for a while; then one call may try.
// Where that fails too, it opens for twice as long.
type breaker struct {
	after       int64         // failures in a row
	first, most time.Duration // it stays open

	failures atomic.Int64 // in a row

	mu     sync.Mutex
	open   bool
	pause  time.Duration
	until  time.Time
	trying bool
}

func newBreaker(o Options) *breaker {
	return &breaker{after: int64(o.BreakAfter), first: o.BreakPause, most: 16 * o.BreakPause}
}

// tripped reports whether the breaker is open, and for how much longer.
func (b *breaker) tripped() (time.Duration, bool) {
	if b.failures.Load() < b.after {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.until)), b.open
}

// admit reports whether a call may go on, and whether it is the one that
// tries. Such a call must be judged, or given up.
func (b *breaker) admit() (trial, ok bool) {
	if b.failures.Load() < b.after {
		return false, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return false, true
	case b.trying || time.Now().Before(b.until):
		return false, false
	}
	b.trying = true
	return true, true
}

// succeeded notes that a call went well.
func (b *breaker) succeeded(trial bool) {
	if b.failures.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && !trial {
		return // it began before the breaker opened
	}
	b.failures.Store(0)
	b.open, b.trying, b.pause = false, false, 0
}

// failed notes that a call went wrong. Once one has begun to try, any failure
// counts as its own: it may come late.
func (b *breaker) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.failures.Add(1); n < b.after || b.open && !b.trying && time.Now().Before(b.until) {
		return
	}
	b.pause = min(max(2*b.pause, b.first), b.most)
	b.open, b.trying, b.until = true, false, time.Now().Add(b.pause)
}

// giveUp ends a trial, if it told nothing.
func (b *breaker) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}
