package wasm

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
)

// The directions of a call, as the border numbers its streams.
const (
	requestSide = iota
	responseSide
)

// actions are what a callback says is to happen next. The fork 0.2.100 tells
// more ways of stopping apart than the others, whose only other action is 1.
const (
	actionContinue     = 0
	actionPause        = 1 // the fork, of headers: the body is shown all the same
	actionContinueFork = 2 // the fork, of headers
	actionDiscard      = 3 // the fork, of a body: what was shown is the guest's now
)

// proxyCall is one call in a guest of the proxy-wasm border.
type proxyCall struct {
	conn *Conn
	vm   *proxyVM
	id   uint32
	x    *exchange
	lone bool // the guest sees one side only: bodies are left alone

	// What follows belongs to whoever has the guest's turn, but for the hooks,
	// which are set before they are shared.
	hooks      [2]*bodyHook
	empty      [2]bool // there is no body
	properties map[string][]byte
	began      time.Time
	replied    bool // the guest is shown its own answer
	lingers    bool // proxy_on_done was called and gave 0

	life context.Context //nolint:containedctx // of the call; bodies are read after the visits, which have their own
	stop context.CancelFunc

	mu     sync.Mutex // guards what follows
	paused [2]bool
	going  [2]bool        // told to go on, since its last callback began
	extra  extra          // what the guest put into the answer's body
	local  *core.Response // the guest's own answer
	closed bool           // the guest wants the call to end without one
	asked  bool           // there were callouts
	left   bool           // the guest has had its last word
	last   error          // what became of it
	judge  judge          // who wants to know
	wake   [2]chan struct{}
	state  int
}

func (c *Conn) beginStream(ctx context.Context) *proxyCall {
	s := &proxyCall{conn: c, began: time.Now()}
	s.wake = [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// bind gives the call its guest, on whose turn it is then.
func (s *proxyCall) bind(ctx context.Context, m core.Message) error {
	if b := m.Request.Body; m.Route.Stage == core.OnAuthorize && b.Size() != 0 && s.conn.fleet.bodies[requestSide] {
		// Others read the body after this stage: it must stay whole.
		h := &bodyHook{s: s, side: requestSide, what: "request", limit: s.conn.pool.set.bodyBytes}
		if _, err := b.Bytes(h.limit); err != nil {
			return h.fault(err)
		}
	}
	vm, err := s.conn.fleet.claim(ctx)
	if core.ErrorCode(err) == core.Invalid {
		s.conn.failed()
		return core.WrapError(core.Unavailable, err, "WASM extension '%s' does not start", s.conn.pool.set.name)
	}
	s.vm = vm
	return err
}

// ended reports whether the guest has had its last word.
func (s *proxyCall) ended() bool { return s.state == visitOver }

// Request shows the request of m, and its body as far as the guest wants it
// whole.
func (s *proxyCall) Request(ctx context.Context, m core.Message) (core.Message, error) {
	if s.state != visitNew {
		return m, core.Errorf(core.Internal, "a visit shows one request")
	}
	if err := s.bind(ctx, m); err != nil {
		s.conclude(ctx)
		return m, err
	}
	s.conn.calls.Add(1)
	s.x = newExchange(s.vm.guest, m)
	s.lone = m.Route.Stage == core.OnResponse || m.Route.Stage == core.OnLog
	out, err := s.request(ctx, m)
	s.count()
	if err != nil {
		s.conclude(ctx)
		return m, s.fault(ctx, err)
	}
	if s.over() {
		out, err = s.reply(ctx, out)
		s.count()
		s.conclude(ctx)
		if err != nil {
			return m, s.fault(ctx, err)
		}
		return out, nil
	}
	s.state = visitOpen
	return out, nil
}

func (s *proxyCall) request(ctx context.Context, m core.Message) (core.Message, error) {
	hook := s.hook(requestSide, m.Request.Body)
	err := s.show(ctx, requestSide, hook, func(ctx context.Context) error {
		s.id = s.vm.nextID()
		s.vm.streams[s.id] = s
		_, err := s.vm.invoke(ctx, "proxy_on_context_create", 0, s.id, rootID)
		return err
	})
	if err != nil {
		return m, err
	}
	if r := s.answered(); r != nil {
		return m.Answer(*r), nil
	}
	out := s.x.request()
	if hook != nil {
		out.Request.Header = out.Request.Header.Without("Content-Length", "Transfer-Encoding")
		out.Request.Body = hook.body()
	}
	return out, nil
}

// reply shows the guest the answer that it gave itself, as other hosts do:
// plugins put their fields on every answer in one place. It cannot be made to
// wait any more.
func (s *proxyCall) reply(ctx context.Context, m core.Message) (core.Message, error) {
	s.mu.Lock()
	own := s.local
	s.local = nil
	s.mu.Unlock()
	if own == nil || s.x.msg.Route.Stage == core.OnAuthorize {
		return m, nil
	}
	s.replied = true
	s.x.msg = m
	s.x.respond(own)
	return s.response(ctx, m)
}

// Response shows the answer to the request that the visit began with.
func (s *proxyCall) Response(ctx context.Context, m core.Message) (core.Message, error) {
	if s.state != visitOpen || m.Response == nil {
		return m, core.Errorf(core.Internal, "a visit shows one answer, after a request that went on")
	}
	s.x.msg = m
	s.x.respond(m.Response)
	out, err := s.response(ctx, m)
	s.count()
	if err != nil {
		return m, s.fault(ctx, err)
	}
	return out, nil
}

func (s *proxyCall) response(ctx context.Context, m core.Message) (core.Message, error) {
	body := m.Response.Body
	if s.x.bodyless() || m.Response.Upgraded != nil {
		body = nil
	}
	hook := s.hook(responseSide, body)
	if err := s.show(ctx, responseSide, hook, nil); err != nil {
		hook.drop()
		return m, err
	}
	if r := s.answered(); r != nil {
		hook.drop()
		_ = m.Response.Body.Close()
		return m.Answer(*r), nil
	}
	out := s.x.response()
	if hook != nil && out.Response != nil {
		r := *out.Response
		r.Header, r.Body = r.Header.Without("Content-Length", "Transfer-Encoding"), hook.body()
		return m.Answer(r), nil
	}
	return out, nil
}

// show calls the guest with the header fields of one side, waits while it
// wants the call to wait, and shows it what it wants to see of the body before
// anything goes on. First is done before; then the
// turn is the call's already.
func (s *proxyCall) show(ctx context.Context, side int, hook *bodyHook, first func(context.Context) error) error {
	stop, enter := false, s.vm.enter
	if first != nil {
		enter = s.vm.onTurn
	}
	err := enter(ctx, s, func(ctx context.Context) error {
		if first != nil {
			if err := first(ctx); err != nil {
				return err
			}
		}
		fields, name := &s.x.req, "proxy_on_request_headers"
		if side == responseSide {
			fields, name = &s.x.res, "proxy_on_response_headers"
		}
		n := len(s.pairs(fields, mapOf(side)))
		action, err := s.ask(ctx, side, name, uint32(n), flagOf(s.empty[side]))
		if action == actionContinueFork && s.vm.abi == forkedABI {
			action = actionContinue
		}
		stop = action == actionPause && s.vm.abi == forkedABI && hook != nil
		s.pause(side, action != actionContinue && !stop)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.rest(ctx, side, hook, &stop); err != nil || s.over() {
		return err
	}
	if hook != nil {
		return hook.prime(ctx, stop)
	}
	return nil
}

// rest waits until a paused side may go on. Where nothing that could make it
// go on is under way, and there is a body that the guest wants to see, the
// guest is shown the body: stop says so.
func (s *proxyCall) rest(ctx context.Context, side int, hook *bodyHook, stop *bool) error {
	for s.halted(side) {
		if hook != nil && s.hopeless() {
			*stop = true
			s.pause(side, false)
			return nil
		}
		select {
		case <-s.wake[side]:
		case <-s.vm.gone:
			return errVMGone
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// answered is the guest's own answer, or nil. A call that the guest ended
// without one gets 503.
func (s *proxyCall) answered() *core.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local == nil && s.closed {
		return &core.Response{Status: http.StatusServiceUnavailable}
	}
	return s.local
}

// Done tells the guest that the call is over.
func (s *proxyCall) Done() { s.conclude(context.Background()) }

func (s *proxyCall) finish(ctx context.Context, to judge) (late bool) {
	s.conclude(ctx)
	s.mu.Lock()
	late, s.judge = !s.left, to
	s.mu.Unlock()
	if !late {
		to.told(s.last)
	}
	return late
}

// conclude ends the call in the guest, or has it ended with the answer's body.
func (s *proxyCall) conclude(ctx context.Context) {
	if s.state == visitOver {
		return
	}
	s.state = visitOver
	leave := func() {
		err := s.leave(context.WithoutCancel(ctx))
		s.mu.Lock()
		s.left, s.last = true, err
		to := s.judge
		s.mu.Unlock()
		if to != nil {
			to.told(err)
		}
	}
	if h := s.hooks[responseSide]; h == nil || !h.outlives(leave) {
		leave()
	}
}

// leave ends the call in the guest.
func (s *proxyCall) leave(ctx context.Context) error {
	s.stop()
	if s.vm == nil {
		return nil // it never got a guest
	}
	defer s.vm.fleet.open.Done()
	if s.id == 0 {
		s.vm.calls.Add(-1)
		return nil
	}
	err := s.vm.enter(context.WithoutCancel(ctx), s, func(ctx context.Context) error {
		done, err := s.vm.invoke(ctx, "proxy_on_done", 1, s.id)
		if err != nil {
			return err
		}
		if s.lingers = done == 0; s.lingers {
			return s.vm.linger(ctx, s)
		}
		if err := s.vm.farewell(ctx, s.id); err != nil {
			return err
		}
		s.vm.drop(s)
		return nil
	})
	if err != nil {
		return s.fault(ctx, err)
	}
	return nil
}

// fault says what a caller may know, and counts.
func (s *proxyCall) fault(ctx context.Context, err error) error {
	if err == errVMGone { //nolint:errorlint // it is never wrapped
		name := s.conn.pool.set.name
		return core.WrapError(core.Unavailable, err, "WASM extension '%s' failed", name)
	}
	return s.conn.explain(ctx, err)
}

// count takes over what the guest was refused.
func (s *proxyCall) count() {
	s.conn.refused.Add(uint64(s.x.refused))
	s.x.refused = 0
}

func flagOf(on bool) uint32 {
	if on {
		return 1
	}
	return 0
}
