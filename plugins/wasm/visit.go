package wasm

import (
	"context"
	"net/http"

	"github.com/annex-gateway/annex/core"
)

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
	x      *exchange // the guest's; nil before and after the visit
}

// Request shows the request of m. The guest is given back at once where it
// answered.
func (v *visit) Request(ctx context.Context, m core.Message) (core.Message, error) {
	if v.state != visitNew {
		return m, core.Errorf(core.Internal, "a visit shows one request")
	}
	v.conn.calls.Add(1)
	v.x = &v.guest.exchange
	v.x.begin(v.guest, &m)
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
		defer v.over(ctx)
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
	v.x.respond(m.Response)
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
func (v *visit) Done() { _ = v.last(context.Background()) }

func (v *visit) finish(ctx context.Context, to judge) (late bool) {
	to.told(v.last(ctx))
	return false
}

func (v *visit) last(ctx context.Context) (err error) {
	if v.state == visitOpen {
		ctx = context.WithoutCancel(ctx)
		v.x.respond(&core.Response{Status: http.StatusServiceUnavailable})
		err = v.run(ctx, func(ctx context.Context) error {
			return v.turns.response(ctx, v.x, true)
		})
	}
	v.over(ctx)
	return err
}

func (v *visit) ended() bool { return v.state == visitOver }

func (v *visit) run(ctx context.Context, work func(context.Context) error) error {
	refused := v.x.refused
	err := v.guest.run(ctx, &v.budget, work)
	if v.x.refused != refused {
		v.conn.refused.Add(uint64(v.x.refused - refused))
	}
	if err != nil {
		return v.conn.explain(ctx, err)
	}
	return nil
}

func (v *visit) over(ctx context.Context) {
	if v.state == visitOver {
		return
	}
	v.state, v.x = visitOver, nil
	v.guest.exchange = exchange{} // it holds on to nothing of the call
	v.conn.pool.release(ctx, v.guest)
}
