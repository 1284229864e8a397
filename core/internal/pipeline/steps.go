package pipeline

import (
	"context"
	"net/http"
	"slices"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/access"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/match"
)

// place is where a path lies: below which scope, and what patterns match.
type place struct {
	scope  core.Scope
	tenant string
	rest   string // what patterns are matched against
	prefix int    // length of what lies before rest
}

func placeOf(path string) place {
	scope, tenant, rest, prefix := match.SplitScope(path)
	return place{scope, tenant, rest, prefix}
}

// authenticate lets the modules of the arrival stage look first, which may
// change or answer the request, and then finds out who calls: whom a module of
// the authenticate stage names, or else by the credential.
func (p *Pipeline) authenticate(ctx context.Context, c *call) error {
	c.place = placeOf(c.msg.Request.Path)
	if err := p.pass(ctx, c, core.OnArrival); err != nil || c.msg.Answered() {
		return err
	}
	c.place = placeOf(c.msg.Request.Path)
	if err := p.pass(ctx, c, core.OnAuthenticate); err != nil || c.msg.Answered() {
		return err
	}
	c.place = placeOf(c.msg.Request.Path)
	caller, err := p.identify(ctx, c)
	p.trace(ctx, c, core.Event{Step: "authenticate", Err: err})
	c.msg.Caller = caller
	return err
}

func (p *Pipeline) identify(ctx context.Context, c *call) (core.Caller, error) {
	if claim := c.claim; claim != nil {
		c.claim = nil
		return p.identity.Resolve(ctx, *claim)
	}
	return p.identity.Identify(ctx, c.msg.Request)
}

// match finds the systems of the dispatch stage.
func (p *Pipeline) match(ctx context.Context, c *call) error {
	if c.msg.Answered() {
		return nil
	}
	if c.place.scope == "" {
		return notFound(c)
	}
	if err := p.checkTenant(c); err != nil {
		return err
	}
	stops, err := c.view.ByURL(core.OnDispatch, c.place.scope, c.place.rest)
	c.stops = stops
	for _, s := range stops {
		p.trace(ctx, c, core.Event{Step: "match", System: s.Entry.System.ID, Filter: s.Filter.ID})
	}
	if err == nil && len(stops) == 0 && c.place.scope != core.ScopeAPI {
		return notFound(c)
	}
	return err
}

// checkTenant holds ruling 22: a tenant's pages are for its members and for
// system administrators.
func (p *Pipeline) checkTenant(c *call) error {
	if c.place.scope != core.ScopeTenant {
		return nil
	}
	org, ok := c.view.Directory.OrgByName(c.place.tenant)
	switch {
	case !ok:
		return core.Errorf(core.NotFound, "there is no organisation %q", c.place.tenant)
	case org.ID != c.msg.Caller.OrgID && !c.msg.Caller.Provider():
		return core.Errorf(core.Forbidden, "these pages are for members of organisation %s", org.Name)
	}
	return nil
}

func notFound(c *call) error {
	return core.Errorf(core.NotFound, "nothing answers %s %s here", c.msg.Request.Method, c.msg.Request.Path)
}

// authorize asks the modules of the authorize stage, and then the rules of
// every matched system: all of them before the first is dispatched.
func (p *Pipeline) authorize(ctx context.Context, c *call) error {
	if c.msg.Answered() {
		return nil
	}
	if err := p.pass(ctx, c, core.OnAuthorize); err != nil || c.msg.Answered() {
		return err
	}
	for _, s := range c.stops {
		d := c.decide(s)
		p.trace(ctx, c, core.Event{Step: "authorize", System: s.Entry.System.ID, Filter: s.Filter.ID, Allowed: d.Allowed, Reason: d.Reason})
		if !d.Allowed {
			return denied(c)
		}
	}
	return nil
}

// decide asks the rules of one system.
func (c *call) decide(s live.Stop) access.Decision {
	return c.view.Policy.Decide(access.Query{
		Caller: c.msg.Caller, System: s.Entry.System, Method: c.msg.Request.Method, Path: c.msg.Request.Path, Orgs: c.view.Directory,
	})
}

func denied(c *call) error {
	return core.Errorf(core.Forbidden, "access to %s %s is denied", c.msg.Request.Method, c.msg.Request.Path)
}

// dispatch shows the message to the systems in turn. The first answer ends
// the way in; if nobody answers, the native API does.
func (p *Pipeline) dispatch(ctx context.Context, c *call) error {
	for _, s := range c.stops {
		if c.msg.Answered() {
			return nil
		}
		c.askPlain()
		if err := p.visit(ctx, c, s, core.OnDispatch); err != nil {
			return err
		}
	}
	if c.msg.Answered() {
		return nil
	}
	if c.place.scope != core.ScopeAPI {
		return notFound(c)
	}
	c.askPlain()
	c.msg.Route = core.Route{} // no filter leads to the native API
	out, err := p.do(ctx, c, "", p.native.Do, streams(p.native))
	if err != nil {
		return err
	}
	if !out.Answered() {
		return notFound(c)
	}
	c.msg, c.author = out, ""
	return nil
}

// respond unwinds the guests that saw the request, and then shows the answer
// to the systems that process its content type, until none is left. These
// process bodies; guests have their word on every answer.
func (p *Pipeline) respond(ctx context.Context, c *call) error {
	if err := p.unwind(ctx, c); err != nil {
		return err
	}
	if bodiless(c.msg) {
		return nil
	}
	var visited []string
	for len(visited) < p.opts.MaxChain {
		s, ok := c.nextOnWayOut(visited)
		if !ok {
			return nil
		}
		visited = append(visited, s.Entry.System.ID)
		if err := c.decode(); err != nil {
			return err
		}
		if err := p.visit(ctx, c, s, core.OnResponse); err != nil {
			return err
		}
	}
	return nil
}

// nextOnWayOut looks at the content type anew: the most important system that
// has not been visited and did not write this response.
func (c *call) nextOnWayOut(visited []string) (live.Stop, bool) {
	for _, s := range c.view.ByContentType(core.OnResponse, c.msg.Response.Header.Get("Content-Type")) {
		id := s.Entry.System.ID
		if id != c.author && !slices.Contains(visited, id) {
			return s, true
		}
	}
	return live.Stop{}, false
}

// bodiless tells answers that have nothing to process.
func bodiless(m core.Message) bool {
	s := m.Response.Status
	return m.Request.Method == http.MethodHead || s < 200 || s == http.StatusNoContent || s == http.StatusNotModified
}
