package pipeline

import (
	"context"

	"github.com/annex-gateway/annex/core"
)

// maxTelling is how many calls are told to the log stage at once, beside the
// calls that follow. Those beyond are told before they end.
const maxTelling = 256

// tell shows what became of a call to the systems of the log stage, when the
// client has its answer. Nothing that they say changes anything.
func (p *Pipeline) tell(ctx context.Context, c *call) {
	stops, err := c.view.ByURL(core.OnLog, c.place.scope, c.place.rest)
	if err != nil || len(stops) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	told := &call{view: c.view, msg: withoutBodies(c.msg), place: c.place}
	work := func() {
		for _, s := range stops {
			conn, release, err := p.acquire(ctx, s.Entry)
			if err != nil {
				p.trace(ctx, told, core.Event{Step: string(core.OnLog), System: s.Entry.System.ID, Filter: s.Filter.ID, Err: err})
				continue
			}
			told.msg.Route = told.route(s, core.OnLog)
			_, _ = p.do(ctx, told, s.Entry.System.ID, conn.Do, false) // it is traced there
			release()
		}
	}
	select {
	case p.telling <- struct{}{}:
		go func() {
			defer func() { <-p.telling }()
			work()
		}()
	default:
		work()
	}
}

// withoutBodies is what is left of a message when its bodies have gone.
func withoutBodies(m core.Message) core.Message {
	m.Request.Body = nil
	if r := m.Response; r != nil {
		m = m.Answer(core.Response{Status: r.Status, Header: r.Header})
	}
	return m
}
