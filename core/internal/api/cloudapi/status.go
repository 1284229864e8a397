package cloudapi

import (
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// status is how a module goes on this node. It is shown with the registration
// and is no part of it: what a client sends back of it counts for nothing.
type status struct {
	State   string           `json:"state"` // disabled, starting, ok or failing
	Message string           `json:"message,omitzero"`
	Limits  map[string]int64 `json:"limits,omitzero"`
	Counts  map[string]int64 `json:"counts,omitzero"`
}

// showStatus fills in how a module goes. Services of other kinds are shown as
// clients of the vendor's product know them.
func (a *cloud) showStatus(out *serviceForm) {
	if out.Kind != core.KindWASM {
		return
	}
	if e, ok := a.Live.View().System(out.ID); ok {
		out.Status = statusOf(e)
	}
}

func statusOf(e *live.Entry) *status {
	r, _ := e.Report()
	s := &status{State: "ok", Limits: r.Limits, Counts: r.Counts}
	switch err := e.Err(); {
	case err != nil:
		s.State, s.Message = "failing", core.ErrorMessage(err)
	case !e.System.Enabled:
		s.State = "disabled"
	case !e.Running():
		s.State = "starting"
	}
	return s
}
