package pipeline

import (
	"context"
	"net/http"
	"slices"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/access"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Explain tells where a call would go, by the same steps as Serve and without
// visiting anybody. It waits for systems that are starting.
func (p *Pipeline) Explain(ctx context.Context, q core.ExplainQuery) core.Explanation {
	ctx, cancel := context.WithTimeout(ctx, p.opts.VisitLimit)
	defer cancel()
	e := explaining{call: &call{view: p.live.View(), msg: core.Message{Caller: q.Caller, Request: q.Request}, quiet: true}}
	e.place = placeOf(q.Request.Path)
	x := &e.found
	x.Scope, x.Tenant, x.Allowed = e.place.scope, e.place.tenant, true
	x.Filters = e.view.Verdicts(e.place.scope, e.place.rest, q.ContentType)
	if p.opts.Reserved(q.Request.Path) {
		x.Allowed, x.Refusal = false, "the path is reserved: the gateway itself answers, and no filter is asked"
		return e.found
	}
	if err := e.wayIn(ctx, p); err != nil {
		x.Allowed, x.Refusal = false, core.ErrorMessage(err)
		return e.found
	}
	slices.Reverse(e.around)
	x.Response = placesOf(e.around, core.OnResponse)
	if q.ContentType != "" && q.Request.Method != http.MethodHead {
		stops := e.view.ByContentType(core.OnResponse, q.ContentType)
		x.Response = append(x.Response, placesOf(stops[:min(len(stops), p.opts.MaxChain)], core.OnResponse)...)
	}
	if stops, err := e.view.ByURL(core.OnLog, e.place.scope, e.place.rest); err == nil {
		x.Response = append(x.Response, placesOf(stops, core.OnLog)...)
	}
	return e.found
}

// explaining is a call that is explained.
type explaining struct {
	*call
	found  core.Explanation
	around []live.Stop // guests that stay for the response
}

// wayIn goes from authenticate to authorize, and gives why the call is refused.
func (e *explaining) wayIn(ctx context.Context, p *Pipeline) error {
	x := &e.found
	for _, stage := range []core.Stage{core.OnArrival, core.OnAuthenticate} {
		if err := e.pass(ctx, stage); err != nil {
			return err
		}
	}
	if err := p.match(ctx, e.call); err != nil {
		return err
	}
	x.Dispatch = placesOf(e.stops, core.OnDispatch)
	x.Native = e.place.scope == core.ScopeAPI
	if err := e.pass(ctx, core.OnAuthorize); err != nil {
		return err
	}
	var refusal error
	for _, s := range e.stops {
		v := verdictOf(s, e.decide(s))
		x.Checks = append(x.Checks, v)
		if !v.Allowed {
			refusal = denied(e.call)
		}
	}
	e.stay(ctx, e.stops)
	return refusal
}

// pass notes who would be shown the call at a stage before dispatch.
func (e *explaining) pass(ctx context.Context, stage core.Stage) error {
	stops, err := e.view.ByURL(stage, e.place.scope, e.place.rest)
	e.found.Before = append(e.found.Before, placesOf(stops, stage)...)
	if stage == core.OnArrival {
		e.stay(ctx, stops)
	}
	return err
}

// stay notes the guests among the stops that stand around the call.
func (e *explaining) stay(ctx context.Context, stops []live.Stop) {
	for _, s := range stops {
		if s.Entry.Around(ctx) {
			e.around = append(e.around, s)
		}
	}
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
