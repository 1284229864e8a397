package wasm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// standIn is the Conn of a module that could not be opened and may be left
// out. It lets calls pass, tries again by itself, and hands over to the real
// one.
type standIn struct {
	kind *Kind
	sys  core.System
	real atomic.Pointer[Conn]
	why  atomic.Pointer[error]

	cancel context.CancelFunc
	work   sync.WaitGroup
}

func newStandIn(ctx context.Context, k *Kind, sys core.System, why error) *standIn {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &standIn{kind: k, sys: sys, cancel: cancel}
	s.why.Store(&why)
	k.host.Log().WarnContext(ctx, "a WASM extension cannot be opened; calls go on without it", "system", sys.Triplet(), "err", why)
	s.work.Go(func() { s.retry(ctx) })
	return s
}

func (s *standIn) retry(ctx context.Context) {
	for pause := s.kind.opts.Retry; ; pause = min(2*pause, 60*s.kind.opts.Retry) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		c, err := s.kind.open(ctx, s.sys, false)
		if err == nil {
			s.real.Store(c)
			return
		}
		s.why.Store(&err)
	}
}

// Do lets the message pass, or shows it to the real Conn.
func (s *standIn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	switch c := s.real.Load(); {
	case c != nil:
		return c.Do(ctx, m)
	case decides(m.Route.Stage):
		return m, core.WrapError(core.Unavailable, *s.why.Load(), "%s could not be started; the gateway's log says why", s.sys.Triplet())
	}
	return m, nil
}

// Begin reserves a guest of the real Conn, if there is one.
func (s *standIn) Begin(ctx context.Context) (core.Visit, error) {
	if c := s.real.Load(); c != nil {
		return c.Begin(ctx)
	}
	return absence{}, nil
}

// Ready tells why there is no real Conn, or whether it is in order.
func (s *standIn) Ready() error {
	if c := s.real.Load(); c != nil {
		return c.Ready()
	}
	return core.WrapError(core.Unavailable, *s.why.Load(), "%s cannot be opened, and calls go on without it: %s", s.sys.Triplet(), core.ErrorMessage(*s.why.Load()))
}

// Close gives up, and closes the real Conn.
func (s *standIn) Close() error {
	s.cancel()
	s.work.Wait()
	if c := s.real.Load(); c != nil {
		return c.Close()
	}
	return nil
}
