package forward

import (
	"sync"
	"time"
)

// silence calls over when nothing moves for too long, from start to stop.
type silence struct {
	limit time.Duration
	over  func()

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool
}

func (s *silence) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = true
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.fire)
		return
	}
	s.timer.Reset(s.limit)
}

// touch tells that something moved. It does nothing when nobody waits.
func (s *silence) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting {
		s.timer.Reset(s.limit)
	}
}

func (s *silence) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting {
		s.waiting = false
		s.timer.Stop()
	}
}

func (s *silence) fire() {
	s.mu.Lock()
	waiting := s.waiting
	s.mu.Unlock()
	if waiting {
		s.over()
	}
}
