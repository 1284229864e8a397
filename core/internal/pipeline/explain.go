package pipeline

import (
	"context"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/access"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Explain tells where a call would go, by the same steps as Serve and without
// visiting anybody.
func (p *Pipeline) Explain(ctx context.Context, q core.ExplainQuery) core.Explanation {
	c := &call{view: p.live.View(), msg: core.Message{Caller: q.Caller, Request: q.Request}}
	c.place = placeOf(q.Request.Path)
	x := core.Explanation{Scope: c.place.scope, Tenant: c.place.tenant, Allowed: true}
	x.Filters = c.view.Verdicts(c.place.scope, c.place.rest, q.ContentType)
	if p.opts.Reserved(q.Request.Path) {
		x.Allowed, x.Refusal = false, "the path is reserved: the gateway itself answers, and no filter is asked"
		return x
	}
	if err := p.match(ctx, c); err != nil {
		x.Allowed, x.Refusal = false, core.ErrorMessage(err)
		return x
	}
	x.Dispatch = placesOf(c.stops, core.OnDispatch)
	x.Native = c.place.scope == core.ScopeAPI
	for _, s := range c.stops {
		v := verdictOf(s, c.decide(s))
		x.Checks = append(x.Checks, v)
		if !v.Allowed && x.Allowed {
			x.Allowed, x.Refusal = false, denied(c).Error()
		}
	}
	if q.ContentType != "" && x.Allowed {
		stops := c.view.ByContentType(core.OnResponse, q.ContentType)
		x.Response = placesOf(stops[:min(len(stops), p.opts.MaxChain)], core.OnResponse)
	}
	return x
}

func placesOf(stops []live.Stop, stage core.Stage) []core.Place {
	var out []core.Place
	for _, s := range stops {
		out = append(out, core.Place{System: s.Entry.System.ID, Filter: s.Filter.ID, Priority: s.Entry.System.Priority, Stage: stage})
	}
	return out
}

func verdictOf(s live.Stop, d access.Decision) core.AccessVerdict {
	v := core.AccessVerdict{System: s.Entry.System.ID, Allowed: d.Allowed, Reason: d.Reason}
	for _, a := range d.Considered {
		v.Actions = append(v.Actions, core.ActionVerdict{Action: a.Action, Resource: a.Resource, Owner: a.Owner, Rule: a.Rule, Reason: a.Reason})
	}
	return v
}
