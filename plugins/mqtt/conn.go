package mqtt

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// conn is one service as the road sees it.
type conn struct {
	kind *Kind
	sys  core.System
	turn atomic.Uint64 // whose turn it is among the sessions

	mu     sync.Mutex
	calls  int
	closed bool
	idle   chan struct{} // closed when closed and calls is 0
}

var _ core.Prober = (*conn)(nil)

func newConn(k *Kind, sys core.System) *conn {
	return &conn{kind: k, sys: sys, idle: make(chan struct{})}
}

// Do sends the message to one session of the service and waits for the reply.
func (c *conn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	if err := c.enter(); err != nil {
		return m, err
	}
	defer c.leave()
	if err := ctx.Err(); err != nil {
		return m, err
	}
	if err := c.Ready(); err != nil { // before anything is read or minted
		c.kind.stats.unserved.Add(1)
		return m, err
	}
	req, err := c.request(ctx, m)
	if err != nil {
		return m, err
	}
	payload, err := c.exchange(ctx, req)
	if err != nil {
		return m, err
	}
	answered, err := c.apply(m, payload)
	if err != nil {
		c.kind.stats.unusable.Add(1)
		return m, core.WrapError(core.BadUpstream, err,
			"external service '%s' sent a reply that cannot be used: %s", c.sys.Name, err.Error())
	}
	return answered, nil
}

// Ready reports whether a session of the service takes requests.
func (c *conn) Ready() error {
	if len(c.kind.ready(c.sys.ID)) > 0 {
		return nil
	}
	return core.Errorf(core.Unavailable, "external service '%s' (%s) is not connected: no session is subscribed to its monitor topic",
		c.sys.Name, c.sys.Triplet())
}

// Close lets calls in flight end.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		if c.calls == 0 {
			close(c.idle)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.idle:
		return nil
	case <-time.After(c.kind.opts.Timeout + time.Second):
		return errors.New("mqtt: calls of " + c.sys.Triplet() + " did not end in time")
	}
}

func (c *conn) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return core.Errorf(core.Unavailable, "external service '%s' is being taken out of service", c.sys.Name)
	case c.calls >= c.kind.opts.MaxInFlight:
		c.kind.stats.unserved.Add(1)
		return core.Errorf(core.Unavailable, "external service '%s' has %d calls in flight, which is its limit: try again later",
			c.sys.Name, c.calls)
	}
	c.calls++
	return nil
}

func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	if c.closed && c.calls == 0 {
		close(c.idle)
	}
}

// exchange sends req and gives the reply as it came.
func (c *conn) exchange(ctx context.Context, req *wire.Request) ([]byte, error) {
	w, err := c.send(req)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(c.kind.opts.Timeout)
	defer timer.Stop()
	select {
	case out := <-w.done:
		return out.reply, out.err
	case <-timer.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !c.kind.waiters.remove(w) { // the outcome came at the same moment
		out := <-w.done
		return out.reply, out.err
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	c.kind.stats.timeouts.Add(1)
	return nil, c.timeout(err)
}

// timeout is the error whose text old clients know.
func (c *conn) timeout(cause error) error {
	seconds := strconv.FormatFloat(c.kind.opts.Timeout.Seconds(), 'f', -1, 64)
	e := core.WrapError(core.Timeout, cause,
		"External service '%s' failed to respond in the specified timeout (%s SECONDS)", c.sys.Name, seconds)
	e.Minor = "GATEWAY_TIMEOUT"
	return e
}

// send queues req for exactly one session, in turn, skipping those that take
// nothing now. The call waits in the table before the request can leave.
func (c *conn) send(req *wire.Request) (*waiter, error) {
	k := c.kind
	buf, _ := k.buffers.Get().(*buffer)
	buf.data = buf.enc.AppendRequest(buf.data[:0], req)
	sessions := k.ready(c.sys.ID)
	turn := c.turn.Add(1)
	for i := range sessions {
		s := sessions[(turn+uint64(i))%uint64(len(sessions))]
		w := k.waiters.add(req.ID, s)
		if s.enqueue(delivery{w, buf}) {
			return w, nil
		}
		k.waiters.remove(w)
	}
	k.release(buf)
	k.stats.unserved.Add(1)
	if len(sessions) == 0 {
		return nil, c.Ready()
	}
	return nil, core.Errorf(core.Unavailable, "external service '%s' does not keep up: all its sessions have full queues", c.sys.Name)
}
