package wasm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Conn is a running module.
type Conn struct {
	pool    *pool
	fleet   *fleet // of the proxy-wasm border; nil for the others
	breaker *breaker
	once    sync.Once

	calls, failures, timeouts, refused, passed atomic.Uint64
}

func newConn(p *pool) *Conn { return &Conn{pool: p, breaker: newBreaker(p.kind.opts)} }

// Do shows a message to a guest, once. Where the message is answered already
// the guest sees request and answer in turn; where it is not, the guest is
// told at once that it will see no answer: [Conn.Begin] is for that.
func (c *Conn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	v, err := c.begin(ctx)
	if err != nil {
		if c.forgives(ctx, m.Route.Stage, err) {
			err = nil
		}
		return m, err
	}
	defer v.finish(ctx)
	answered := m.Answered()
	out, err := v.Request(ctx, m)
	switch {
	case err != nil, v.passed:
		return m, err
	case m.Route.Stage == core.OnAuthorize && v.ended():
		return m, core.Errorf(core.Forbidden, "WASM extension '%s' refuses the call", c.pool.set.name)
	case m.Route.Stage == core.OnAuthorize, m.Route.Stage == core.OnLog && v.ended():
		return m, nil
	case !answered:
		return out, nil
	case v.ended():
		_ = m.Response.Body.Close()
		return out, nil
	}
	out, err = v.Response(ctx, m)
	if err != nil || m.Route.Stage == core.OnLog {
		return m, err
	}
	return out, nil
}

// Begin reserves a guest for one call.
func (c *Conn) Begin(ctx context.Context) (core.Visit, error) {
	v, err := c.begin(ctx)
	switch {
	case err == nil:
		return v, nil
	case c.forgives(ctx, core.OnDispatch, err):
		return absence{}, nil
	}
	return nil, err
}

// begin reserves a guest, unless the module is in quarantine.
func (c *Conn) begin(ctx context.Context) (*judged, error) {
	trial, ok := c.breaker.admit()
	if !ok {
		return nil, c.Ready()
	}
	j, err := c.reserve(ctx)
	if err != nil {
		if trial {
			c.breaker.giveUp()
		}
		return nil, err
	}
	j.conn, j.trial = c, trial
	return j, nil
}

// judgedVisit is a visit with what it is judged by.
type judgedVisit struct {
	judged
	visit visit
}

func (c *Conn) reserve(ctx context.Context) (*judged, error) {
	if c.fleet != nil {
		return &judged{stay: c.beginStream(ctx)}, nil
	}
	g, err := c.pool.acquire(ctx)
	switch {
	case err == nil:
		v := &judgedVisit{visit: visit{conn: c, guest: g, turns: g.session.(turns), budget: budget{left: c.pool.set.deadline}}}
		v.stay = &v.visit
		return &v.judged, nil
	case core.ErrorCode(err) == core.Invalid:
		c.failed()
		return nil, core.WrapError(core.Unavailable, err, "WASM extension '%s' does not start", c.pool.set.name)
	}
	return nil, err
}

// failed counts what is the module's own fault.
func (c *Conn) failed() {
	c.failures.Add(1)
	c.breaker.failed()
}

// Ready tells whether the module is in quarantine.
func (c *Conn) Ready() error {
	wait, tripped := c.breaker.tripped()
	if !tripped {
		return nil
	}
	again := "with the next call"
	if wait > 0 {
		again = "in " + wait.Round(time.Second).String()
	}
	return core.Errorf(core.Unavailable, "WASM extension '%s' is in quarantine: it failed %d times in a row and is tried again %s",
		c.pool.set.name, c.breaker.failures.Load(), again)
}

// Close lets calls in flight end, for as long as the options say, and frees
// the guests.
func (c *Conn) Close() error {
	c.once.Do(func() {
		if c.fleet != nil {
			c.fleet.close(c.pool.kind.opts.Grace)
		}
		c.pool.close(context.Background(), c.pool.kind.opts.Grace)
		c.pool.kind.forget(c)
	})
	return nil
}

// explain says what a caller may know of a guest's end.
func (c *Conn) explain(ctx context.Context, err error) error {
	name := c.pool.set.name
	var fault *core.Error
	switch {
	case errors.Is(err, errOverTime):
		c.failed()
		c.timeouts.Add(1)
		return core.WrapError(core.Unavailable, err, "WASM extension '%s' ran over its time limit (%d ms)", name, c.pool.set.deadline.Milliseconds())
	case errors.Is(err, errTooDeep):
		c.failed()
		return core.WrapError(core.Unavailable, err, "WASM extension '%s' nests its calls too deep", name)
	case errors.Is(err, errClosing):
		return c.pool.stopping()
	case ctx.Err() != nil:
		return core.WrapError(core.ErrorCode(ctx.Err()), err, "WASM extension '%s' was stopped: the call has ended", name)
	case errors.As(err, &fault):
		return fault
	}
	c.failed()
	return core.WrapError(core.Unavailable, err, "WASM extension '%s' failed", name)
}
