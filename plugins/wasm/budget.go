package wasm

import (
	"errors"
	"time"
)

// errOverTime is why a call ends when its guest has used up its time.
var errOverTime = errors.New("the guest ran over its time limit")

// budget is the time that one call may spend in its guest. It runs only
// between begin or resume and pause. All of it is used by the goroutine that
// runs the guest: nobody ends a guest from outside, it asks whether it may go
// on.
type budget struct {
	left    time.Duration
	since   time.Time // zero: nobody has looked yet
	running bool
}

// begin lets the time run from when somebody looks for the first time. Most
// calls are over before that, and reading the clock twice would cost as much
// as they do.
func (b *budget) begin() { b.since, b.running = time.Time{}, true }

// resume lets the time run.
func (b *budget) resume() { b.since, b.running = time.Now(), true }

// pause holds the time.
func (b *budget) pause() {
	if b.running && !b.since.IsZero() {
		b.left = b.rest()
	}
	b.running = false
}

// rest is the time that is left.
func (b *budget) rest() time.Duration {
	switch {
	case !b.running:
		return b.left
	case b.since.IsZero():
		b.since = time.Now()
		return b.left
	}
	return b.left - time.Since(b.since)
}
