package https

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// conn is one open endpoint.
type conn struct {
	id, name string // name is how texts call the endpoint
	root     rootURL
	signer   core.IdentitySigner // nil: no X-Annex-Identity
	opts     Options
	log      *slog.Logger

	mu      sync.Mutex
	gen     *generation // of the latest pool; nil before the first call
	live    map[*exchange]struct{}
	closed  bool
	drained chan struct{} // closed once the Conn is, and nothing is live
}

// exchange is one call, from the start of Do to the end of the answer's body
// or of the tunnel.
type exchange struct {
	conn   *conn
	gen    *generation
	cancel context.CancelFunc
	ended  atomic.Bool
	why    atomic.Pointer[core.Error] // set when we ended it before its time
	upload *upload                    // nil without a request body
}

// Streams reports that Do bounds its waits itself.
func (c *conn) Streams() bool { return true }

// Do sends the request on and answers with what comes back.
func (c *conn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	if ctx.Err() != nil {
		return m, c.contextError(ctx)
	}
	// The time limit and the cancellation of ctx hold up to the answer's
	// header; the body has its own life.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	x, err := c.begin(cancel)
	if err != nil {
		cancel()
		return m, err
	}
	answered := false
	defer func() {
		if !answered { // after an error, or a panic in the host or the body
			x.end()
		}
	}()
	answer, err := x.do(ctx, whole, m)
	if err != nil {
		return m, err
	}
	answered = true
	return m.Answer(answer), nil
}

func (x *exchange) do(ctx, whole context.Context, m core.Message) (core.Response, error) {
	req, err := x.request(ctx, whole, m)
	if err != nil {
		return core.Response{}, err
	}
	stop := context.AfterFunc(ctx, func() { x.abort(x.conn.contextError(ctx)) })
	resp, err := x.roundTrip(whole, req)
	inTime := stop()
	if err != nil {
		return core.Response{}, x.failure(err)
	}
	if !inTime {
		_ = resp.Body.Close()
		return core.Response{}, x.conn.contextError(ctx)
	}
	answer, err := x.answer(whole, req, resp)
	if err != nil {
		x.end() // first, so that Close need not wait for the endpoint
		_ = resp.Body.Close()
		// A reply without a body is back among the idle connections already.
		x.gen.transport.CloseIdleConnections()
	}
	return answer, err
}

// roundTrip returns soon after whole ends. With a streamed body net/http alone
// would not: it waits for the client's next byte first.
func (x *exchange) roundTrip(whole context.Context, req *http.Request) (*http.Response, error) {
	if x.upload == nil {
		return x.gen.transport.RoundTrip(req)
	}
	type result struct {
		resp *http.Response
		err  error
	}
	results := make(chan result)
	go func() {
		resp, err := x.gen.transport.RoundTrip(req)
		select {
		case results <- result{resp, err}:
		case <-whole.Done():
			if err == nil {
				_ = resp.Body.Close()
			}
		}
	}()
	select {
	case r := <-results:
		return r.resp, r.err
	case <-whole.Done():
		return nil, whole.Err()
	}
}

// begin takes the exchange into account. It opens a new generation when the
// trust has another pool than before.
func (c *conn) begin(cancel context.CancelFunc) (*exchange, error) {
	pool := c.opts.Trust.Pool()
	c.mu.Lock()
	switch n := len(c.live); {
	case c.closed:
		c.mu.Unlock()
		return nil, core.Errorf(core.Unavailable, "external endpoint %s: it was disabled, changed or deleted a moment ago", c.name)
	case n >= c.opts.MaxInFlight:
		c.mu.Unlock()
		return nil, core.Errorf(core.Unavailable, "external endpoint %s: %d calls are in flight already, try again later", c.name, n)
	}
	var old *generation
	if c.gen == nil || c.gen.pool != pool {
		old, c.gen = c.gen, c.opts.newGeneration(pool)
	}
	x := &exchange{conn: c, gen: c.gen, cancel: cancel}
	x.gen.live++
	c.live[x] = struct{}{}
	unused := old != nil && old.live == 0
	c.mu.Unlock()
	switch {
	case unused:
		old.close()
	case old != nil:
		old.transport.CloseIdleConnections()
	}
	return x, nil
}

// end frees what the exchange holds. Only the first time counts.
func (x *exchange) end() {
	if !x.ended.CompareAndSwap(false, true) {
		return
	}
	x.cancel()
	x.upload.stop()
	c := x.conn
	c.mu.Lock()
	delete(c.live, x)
	x.gen.live--
	unused := x.gen.live == 0 && (c.closed || x.gen != c.gen)
	last := c.closed && len(c.live) == 0
	c.mu.Unlock()
	if unused {
		x.gen.close()
	}
	if last {
		close(c.drained)
	}
}

// abort ends the exchange before its time; whoever waits for it gets why.
func (x *exchange) abort(why *core.Error) {
	x.why.CompareAndSwap(nil, why)
	x.cancel()
}

// Close lets exchanges end for CloseTimeout and cuts the rest, streams and
// tunnels among them.
func (c *conn) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	if first && len(c.live) == 0 {
		close(c.drained)
	}
	c.mu.Unlock()
	if !first {
		return nil
	}
	limit := time.NewTimer(c.opts.CloseTimeout)
	defer limit.Stop()
	select {
	case <-c.drained:
	case <-limit.C:
		c.cut()
	}
	if c.gen != nil {
		c.gen.close()
	}
	return nil
}

func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log.Warn("external endpoint closed with exchanges in flight", "system", c.id, "cut", len(c.live), "after", c.opts.CloseTimeout)
	for x := range c.live {
		x.abort(core.Errorf(core.Unavailable, "external endpoint %s: it was disabled, changed or deleted during the call", c.name))
	}
}

func (c *conn) contextError(ctx context.Context) *core.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return core.WrapError(core.Timeout, ctx.Err(), "external endpoint %s did not answer in the time that the call has", c.name)
	}
	return core.WrapError(core.Unavailable, ctx.Err(), "the call to external endpoint %s was given up", c.name)
}
