package wasm

import (
	"errors"
	"time"
)

// errOverTime is why a call ends when its guest has used up its time.
var errOverTime = errors.New("the guest ran over its time limit")

// budget is the time that one call may spend in its guest. It runs only
// between resume and pause. All of it is used by the goroutine that runs the
// guest: nobody ends a guest from outside, it asks whether it may go on.
type budget struct {
	left    time.Duration
	since   time.Time
	running bool
}

// resume lets the time run.
func (b *budget) resume() { b.since, b.running = time.Now(), true }

// pause holds the time.
func (b *budget) pause() {
	b.left = b.rest()
	b.running = false
}

// rest is the time that is left.
func (b *budget) rest() time.Duration {
	if !b.running {
		return b.left
	}
	return b.left - time.Since(b.since)
}
