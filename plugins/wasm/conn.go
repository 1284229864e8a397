package wasm

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/annex-gateway/annex/core"
)

// unhealthy is how many calls must fail in a row before Ready says so.
const unhealthy = 5

// Conn is a running module.
type Conn struct {
	pool  *pool
	fleet *fleet // of the proxy-wasm border; nil for the others
	once  sync.Once

	calls, failures, timeouts, refused atomic.Uint64
	inARow                             atomic.Int64
}

// Stats counts what happened since the Conn was opened.
type Stats struct {
	Calls    uint64 // that reached a guest
	Failures uint64 // traps, deadlines and other ends of a guest
	Timeouts uint64 // of these, the deadlines
	Refused  uint64 // changes that a guest asked for and may not make
	Guests   int    // there are now, busy and idle
}

func newConn(p *pool) *Conn { return &Conn{pool: p} }

// Stats gives the counts.
func (c *Conn) Stats() Stats {
	c.pool.mu.Lock()
	guests := c.pool.live
	c.pool.mu.Unlock()
	return Stats{
		Calls: c.calls.Load(), Failures: c.failures.Load(), Timeouts: c.timeouts.Load(),
		Refused: c.refused.Load(), Guests: guests,
	}
}

// Do shows a message to a guest, once. Where the message is answered already
// the guest sees request and answer in turn; where it is not, the guest is
// told at once that it will see no answer: [Conn.Begin] is for that.
func (c *Conn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	v, err := c.begin(ctx)
	if err != nil {
		return m, err
	}
	defer v.finish(ctx)
	answered := m.Answered()
	shown := m
	if m.Route.Stage == core.OnLog {
		shown = withoutBodies(m)
	}
	out, err := v.Request(ctx, shown)
	switch {
	case err != nil:
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
	out, err = v.Response(ctx, shown)
	if err != nil || m.Route.Stage == core.OnLog {
		return m, err
	}
	return out, nil
}

// withoutBodies is what a guest at the stage log is shown: by then the bodies
// are on their way or gone.
func withoutBodies(m core.Message) core.Message {
	m.Request.Body = nil
	if r := m.Response; r != nil {
		m = m.Answer(core.Response{Status: r.Status, Header: r.Header})
	}
	return m
}

// Begin reserves a guest for one call.
func (c *Conn) Begin(ctx context.Context) (core.Visit, error) {
	v, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// stay is a visit as Do needs it.
type stay interface {
	core.Visit
	// ended reports whether the guest has had its last word.
	ended() bool
	finish(ctx context.Context)
}

func (c *Conn) begin(ctx context.Context) (stay, error) {
	if c.fleet != nil {
		s, err := c.beginStream(ctx)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	g, err := c.pool.acquire(ctx)
	switch {
	case err == nil:
		return &visit{conn: c, guest: g, turns: g.session.(turns), budget: budget{left: c.pool.set.deadline}}, nil
	case core.ErrorCode(err) == core.Invalid:
		c.failed()
		return nil, core.WrapError(core.Unavailable, err, "WASM extension '%s' does not start", c.pool.set.name)
	}
	return nil, err
}

func (c *Conn) failed() {
	c.failures.Add(1)
	c.inARow.Add(1)
}

// Ready tells whether the last calls went well.
func (c *Conn) Ready() error {
	if n := c.inARow.Load(); n >= unhealthy {
		return core.Errorf(core.Unavailable, "WASM extension '%s' failed %d times in a row", c.pool.set.name, n)
	}
	return nil
}

// Close lets calls in flight end, for as long as the options say, and frees
// the guests.
func (c *Conn) Close() error {
	c.once.Do(func() {
		if c.fleet != nil {
			c.fleet.close(c.pool.kind.opts.Grace)
		}
		c.pool.close(context.Background(), c.pool.kind.opts.Grace)
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

// The states of a visit: before the request, between request and answer, and
// when the guest is given back.
const (
	visitNew = iota
	visitOpen
	visitOver
)

// visit is one call's stay with a guest.
type visit struct {
	conn   *Conn
	guest  *guest
	turns  turns
	budget budget
	state  int
	x      *exchange
}

// Request shows the request of m. The guest is given back at once where it
// answered.
func (v *visit) Request(ctx context.Context, m core.Message) (core.Message, error) {
	if v.state != visitNew {
		return m, core.Errorf(core.Internal, "a visit shows one request")
	}
	v.conn.calls.Add(1)
	v.x = newExchange(v.guest, m)
	var next bool
	err := v.run(ctx, func(ctx context.Context) (err error) {
		next, err = v.turns.request(ctx, v.x)
		return err
	})
	if err != nil {
		v.over(ctx)
		return m, err
	}
	if !next {
		v.over(ctx)
		return v.x.answer(), nil
	}
	v.state = visitOpen
	return v.x.request(), nil
}

// Response shows the answer to the request that the visit began with.
func (v *visit) Response(ctx context.Context, m core.Message) (core.Message, error) {
	if v.state != visitOpen || m.Response == nil {
		return m, core.Errorf(core.Internal, "a visit shows one answer, after a request that went on")
	}
	defer v.over(ctx)
	v.x.msg = m
	v.x.respond(*m.Response)
	err := v.run(ctx, func(ctx context.Context) error {
		return v.turns.response(ctx, v.x, false)
	})
	if err != nil {
		return m, err
	}
	return v.x.response(), nil
}

// Done gives the guest back. A guest that waits for an answer is told that
// there will be none.
func (v *visit) Done() { v.finish(context.Background()) }

func (v *visit) finish(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if v.state == visitOpen {
		v.x.respond(core.Response{Status: http.StatusServiceUnavailable})
		_ = v.run(ctx, func(ctx context.Context) error {
			return v.turns.response(ctx, v.x, true)
		})
	}
	v.over(ctx)
}

func (v *visit) ended() bool { return v.state == visitOver }

func (v *visit) run(ctx context.Context, work func(context.Context) error) error {
	refused := v.x.refused
	err := v.guest.run(ctx, &v.budget, work)
	v.conn.refused.Add(uint64(v.x.refused - refused))
	if err != nil {
		return v.conn.explain(ctx, err)
	}
	v.conn.inARow.Store(0)
	return nil
}

func (v *visit) over(ctx context.Context) {
	if v.state == visitOver {
		return
	}
	v.state = visitOver
	v.conn.pool.release(ctx, v.guest)
}
