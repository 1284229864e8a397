package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// long are the calls whose answers may go on for ever: streams, and
// connections that went on in another protocol. They end when their caller's
// credential does.
type long struct {
	mu     sync.Mutex
	calls  map[*longCall]struct{}
	closed bool
	inside sync.WaitGroup
}

type longCall struct {
	caller core.Caller
	cut    context.CancelFunc
}

// begin registers a call. Its context ends when the call is cut.
func (l *long) begin(ctx context.Context, c core.Caller) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	call := &longCall{c, cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		cancel()
		return ctx, cancel
	}
	if l.calls == nil {
		l.calls = map[*longCall]struct{}{}
	}
	l.calls[call] = struct{}{}
	l.inside.Add(1)
	return ctx, func() {
		cancel()
		l.mu.Lock()
		delete(l.calls, call)
		l.mu.Unlock()
		l.inside.Done()
	}
}

// cut ends the calls of callers that may not stay.
func (l *long) cut(stays func(core.Caller) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.calls {
		if !stays(c.caller) {
			c.cut()
			n++
		}
	}
	return n
}

func (l *long) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}

// close ends all calls and waits for them.
func (l *long) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cut(func(core.Caller) bool { return false })
	l.inside.Wait()
}

// follow looks, whenever there is a new view and once a second, at whose
// credentials have ended.
func (g *Gateway) follow(ctx context.Context) {
	for ctx.Err() == nil {
		v := g.live.View()
		g.changed.see(v, g.opts.Now())
		if n := g.long.cut(func(c core.Caller) bool { return stays(v, c, g.opts.Now()) }); n > 0 {
			g.opts.Log.Info("streams were cut, for their callers' credentials have ended", "streams", n)
		}
		g.telemetry.Keep(func(id string) bool { _, ok := v.System(id); return ok })
		next, cancel := context.WithTimeout(ctx, time.Second)
		if err := g.live.Wait(next, v.Revision+1); err != nil {
			<-next.Done() // also when views are not followed at the moment
		}
		cancel()
	}
}

// stays reports whether a caller who was let in may still be.
func stays(v *live.View, c core.Caller, now time.Time) bool {
	if !c.Known() {
		return true
	}
	d := v.Directory
	is, ok := d.Caller(c.UserID)
	if !ok || is.OrgID != c.OrgID {
		return false
	}
	if c.SessionID != "" {
		if s, ok := d.Session(c.SessionID, now); !ok || s.UserID != c.UserID {
			return false
		}
	}
	if c.TokenID != "" {
		if _, ok := d.Token(c.TokenID, now); !ok {
			return false
		}
	}
	return true
}

// changed remembers when the view was last seen to change.
type changed struct {
	mu   sync.Mutex
	view *live.View
	at   time.Time
}

func (c *changed) see(v *live.View, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view != v {
		c.view, c.at = v, now
	}
}

func (c *changed) when() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}
