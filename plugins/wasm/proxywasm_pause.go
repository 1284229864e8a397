package wasm

import "context"

// hopeless reports whether nothing could ever make a paused call go on: no
// callout, no tick, no queue. A guest that waits for any of these must not be
// passed by with a body, also where another call has begun the callout.
func (s *proxyCall) hopeless() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.asked && s.vm.pending.Load() == 0 && !s.vm.timer.running() && !s.vm.listens.Load()
}

// pause makes a side wait, or not, and tells whether it does. Who was told to
// go on while the callback ran does not wait, nor does a guest's own answer.
func (s *proxyCall) pause(side int, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused[side] = on && !s.replied && !s.going[side]
	return s.paused[side]
}

// ask shows the guest a part of one side, and gives what is to happen next.
func (s *proxyCall) ask(ctx context.Context, side int, callback string, args ...uint32) (action uint32, err error) {
	s.mu.Lock()
	s.going[side] = false
	s.mu.Unlock()
	return s.vm.invoke(ctx, callback, actionContinue, append([]uint32{s.id}, args...)...)
}

// halted reports whether a side waits: a guest's own answer ends all waiting.
func (s *proxyCall) halted(side int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused[side] && s.local == nil && !s.closed
}

// over reports whether the guest has answered by itself, or ended the call.
func (s *proxyCall) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local != nil || s.closed
}

// change alters what mu guards, and wakes who waits for it.
func (s *proxyCall) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	for _, w := range s.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}
