package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/target"
)

func (p *Pipeline) trace(ctx context.Context, c *call, e core.Event) {
	if p.opts.Trace != nil && !c.quiet {
		e.Call = c.msg.ID
		p.opts.Trace(ctx, e)
	}
}

// pinned is a guest that saw the request and stays for the response.
type pinned struct {
	stop    live.Stop
	visit   core.Visit
	gaveOn  bool // did not answer the request itself
	release func()
}

// pass shows the message to the systems of a stage before dispatch, until one
// answers or names the caller.
func (p *Pipeline) pass(ctx context.Context, c *call, stage core.Stage) error {
	stops, err := c.view.ByURL(stage, c.place.scope, c.place.rest)
	if err != nil {
		return err
	}
	for _, s := range stops {
		if err := p.visit(ctx, c, s, stage); err != nil || c.msg.Answered() || c.claim != nil {
			return err
		}
	}
	return nil
}

// visit takes the message to one system and brings it back.
func (p *Pipeline) visit(ctx context.Context, c *call, s live.Stop, stage core.Stage) error {
	conn, release, err := p.acquire(ctx, s.Entry)
	if err != nil {
		e := core.Event{Call: c.msg.ID, Step: string(stage), System: s.Entry.System.ID, Filter: s.Filter.ID, Err: err}
		p.trace(ctx, c, e)
		if p.opts.Observer != nil {
			visit, _ := p.opts.Observer.BeginVisit(ctx, e, c.msg.Request.Header)
			p.opts.Observer.EndVisit(visit, e)
		}
		return err
	}
	c.msg.Route = c.route(s, stage)
	around, ok := conn.(core.Around)
	if ok && (stage == core.OnDispatch || stage == core.OnArrival) {
		return p.begin(ctx, c, s, around, release)
	}
	defer release()
	out, err := p.do(ctx, c, s.Entry.System.ID, conn.Do, streams(conn))
	if err != nil {
		return err
	}
	return p.accept(c, out, s.Entry.System.ID)
}

// acquire takes the connection of a system, or of what replaced it since the
// call began.
func (p *Pipeline) acquire(ctx context.Context, e *live.Entry) (core.Conn, func(), error) {
	conn, release, err := e.Acquire(ctx)
	for tries := 0; err != nil && tries < 3; tries++ {
		now, ok := p.live.Reopen(ctx, e)
		if !ok {
			break
		}
		e = now
		conn, release, err = e.Acquire(ctx)
	}
	return conn, release, err
}

// begin pins a guest for the call and shows it the request.
func (p *Pipeline) begin(ctx context.Context, c *call, s live.Stop, around core.Around, release func()) error {
	var v core.Visit
	out, err := p.do(ctx, c, s.Entry.System.ID, func(ctx context.Context, m core.Message) (core.Message, error) {
		var err error
		if v, err = around.Begin(ctx); err != nil {
			return m, err
		}
		return v.Request(ctx, m)
	}, false)
	if v == nil {
		release()
		return err
	}
	if c.pinned == nil {
		c.pinned = make([]pinned, 0, max(len(c.stops), 1))
	}
	c.pinned = append(c.pinned, pinned{s, v, err == nil && !out.Answered(), release})
	if err != nil {
		return err
	}
	return p.accept(c, out, s.Entry.System.ID)
}

// unwind shows the response to the guests that gave the request on, the last
// first.
func (p *Pipeline) unwind(ctx context.Context, c *call) error {
	for i := len(c.pinned) - 1; i >= 0; i-- {
		g := c.pinned[i]
		id := g.stop.Entry.System.ID
		if !g.gaveOn {
			continue
		}
		c.msg.Route = c.route(g.stop, core.OnResponse)
		if err := c.decode(); err != nil {
			return err
		}
		out, err := p.do(ctx, c, id, g.visit.Response, false)
		if err != nil {
			return err
		}
		c.replaceResponse(out, id)
		c.lately = c.ended
	}
	c.lately = time.Time{}
	return nil
}

// do is the only exit of the house. Here the time limit of a visit runs,
// panics end, and the id and the caller are put back.
func (p *Pipeline) do(ctx context.Context, c *call, system string, f func(context.Context, core.Message) (core.Message, error), streaming bool) (out core.Message, err error) { //nolint:contextcheck // a limit is made of ctx
	begun := c.lately
	if c.lately = (time.Time{}); begun.IsZero() {
		begun = p.now()
	}
	in, visit, bound := frozen(c.msg), ctx, (*limited)(nil)
	if p.opts.Observer != nil {
		ctx, in.Request.Header = p.opts.Observer.BeginVisit(ctx, core.Event{System: system, Filter: in.Route.FilterID}, in.Request.Header)
		visit = ctx
	}
	if !streaming {
		bound = limit(ctx, begun.Add(p.opts.VisitLimit))
		ctx = bound
	}
	defer func() {
		if v := recover(); v != nil {
			err = core.WrapError(core.BadUpstream, fmt.Errorf("panic: %v\n%s", v, debug.Stack()), "the system that should answer this call failed")
		}
		now := p.now()
		if c.ended = now; bound != nil {
			bound.end(now)
		}
		e := core.Event{Step: c.step(system), System: system, Filter: c.msg.Route.FilterID, Took: now.Sub(begun), Err: err}
		if err == nil && out.Answered() {
			e.Status = out.Response.Status
		}
		p.trace(visit, c, e)
		if p.opts.Observer != nil {
			p.opts.Observer.EndVisit(visit, e)
		}
	}()
	out, err = f(ctx, in)
	if a := answerOf(err); a != nil && !c.msg.Answered() {
		out, err = c.msg.Answer(a.Response), nil
	}
	out.ID, out.Caller = c.msg.ID, c.msg.Caller
	if system == "" || c.msg.Route.Stage != core.OnAuthenticate {
		out.Claim = nil
	}
	return frozen(out), err
}

// answerOf is the answer that an error stands for, if it stands for one.
func answerOf(err error) *core.Answered {
	if err == nil {
		return nil
	}
	var a *core.Answered
	_ = errors.As(err, &a)
	return a
}

// frozen gives the message a Response of its own: what a system holds on to
// is not ours.
func frozen(m core.Message) core.Message {
	if m.Response != nil {
		r := *m.Response
		m.Response = &r
	}
	return m
}

func (c *call) step(system string) string {
	if system == "" {
		return "native"
	}
	return string(c.msg.Route.Stage)
}

// accept takes over what a system made of the message. A request that it
// changed is made canonical again; nothing leads to a reserved path.
func (p *Pipeline) accept(c *call, out core.Message, system string) error {
	if out.Answered() {
		c.replaceResponse(out, system)
		return nil
	}
	if c.msg.Answered() {
		return nil // looked at the response and had nothing to say
	}
	c.claim = out.Claim
	was, is := c.msg.Request, out.Request
	if is.RawPath != was.RawPath || is.Path != was.Path || is.RawQuery != was.RawQuery || is.Method != was.Method {
		if err := target.CheckMethod(is.Method); err != nil {
			return badRewrite(system, err)
		}
		t, err := target.Parse(is.Target(), was.Host)
		if err != nil {
			return badRewrite(system, err)
		}
		if p.opts.Reserved(t.Path) {
			return core.Errorf(core.BadUpstream, "%s sent the request on to a reserved path", system)
		}
		is.Path, is.RawPath, is.RawQuery = t.Path, t.RawPath, t.RawQuery
	}
	c.msg.Request = is
	return nil
}

func badRewrite(system string, err error) error {
	return core.WrapError(core.BadUpstream, err, "%s sent on a request that cannot be used", system)
}

// replaceResponse makes the response of out the call's. If it is another one
// than before, system wrote it.
func (c *call) replaceResponse(out core.Message, system string) {
	if !out.Answered() {
		return
	}
	was, is := c.msg.Response, out.Response
	if was != nil && was.Status == is.Status && was.Body == is.Body && was.Header.Equal(is.Header) {
		return
	}
	if was != nil && was.Body != is.Body {
		_ = was.Body.Close()
	}
	if was != nil && was.Upgraded != nil && is.Upgraded == nil {
		_ = was.Upgraded.Close()
	}
	c.msg.Response, c.author = is, system
}

// route tells the system how the message comes to it.
func (c *call) route(s live.Stop, stage core.Stage) core.Route {
	r := core.Route{FilterID: s.Filter.ID, Stage: stage, Scope: c.place.scope, Tenant: c.place.tenant}
	if s.Offset >= 0 {
		raw := c.msg.Request.RawPath
		i := target.RawTail(raw, c.place.prefix+s.Offset)
		r.Prefix, r.Tail = raw[:i], raw[i:]
	}
	return r
}

func streams(conn core.Conn) bool {
	s, ok := conn.(core.Streamer)
	return ok && s.Streams()
}
