package wasm

import (
	"context"

	"github.com/annex-gateway/annex/core"
)

// stay is one call's visit to a guest, of whatever border.
type stay interface {
	core.Visit
	// ended reports whether the guest has had its last word.
	ended() bool
	// finish is Done. What became of the guest's last word is told when it has
	// had it, once; late reports that this may be after finish, and elsewhere.
	finish(ctx context.Context, to judge) (late bool)
}

// judge is told what became of a guest's last word.
type judge interface{ told(err error) }

// judged is a stay by which the module is judged: where all of it went well
// the module is in order, and where the guest failed the registration says
// whether the call goes on.
type judged struct {
	stay
	conn   *Conn
	trial  bool // the breaker waits for this one
	failed bool // or nothing was shown
	passed bool // the guest failed, and the call goes on
	shown  bool
	over   bool
}

// Request shows the request of m.
func (j *judged) Request(ctx context.Context, m core.Message) (core.Message, error) {
	j.shown = true
	out, err := j.stay.Request(ctx, m)
	if err != nil {
		return m, j.failure(ctx, m.Route.Stage, err)
	}
	return out, nil
}

// Response shows the answer, unless the guest has failed before.
func (j *judged) Response(ctx context.Context, m core.Message) (core.Message, error) {
	if j.passed {
		return m, nil
	}
	out, err := j.stay.Response(ctx, m)
	if err != nil {
		return m, j.failure(ctx, m.Route.Stage, err)
	}
	return out, nil
}

// failure notes that the guest failed, and gives what the call ends with: nil
// where it goes on.
func (j *judged) failure(ctx context.Context, stage core.Stage, err error) error {
	j.failed = true
	if j.passed = j.conn.forgives(ctx, stage, err); j.passed {
		return nil
	}
	return err
}

// Done gives the guest back.
func (j *judged) Done() { j.finish(context.Background()) }

func (j *judged) finish(ctx context.Context) {
	if j.over {
		return
	}
	j.over = true
	late := j.stay.finish(ctx, j)
	if j.trial && late {
		j.conn.breaker.giveUp() // the next one need not wait for it
	}
}

func (j *judged) told(err error) {
	switch {
	case j.shown && !j.failed && err == nil:
		j.conn.breaker.succeeded(j.trial)
	case j.trial:
		j.conn.breaker.giveUp()
	}
}

// forgives reports whether a call goes on although its guest failed. Whoever
// decides about callers is never left out, whatever is registered.
func (c *Conn) forgives(ctx context.Context, stage core.Stage, err error) bool {
	if err == nil || !c.pool.set.open || ctx.Err() != nil || core.ErrorCode(err) != core.Unavailable || decides(stage) {
		return false
	}
	c.passed.Add(1)
	return true
}

func decides(stage core.Stage) bool {
	return stage == core.OnAuthenticate || stage == core.OnAuthorize
}

// absence is the visit of a call that goes on without a guest.
type absence struct{}

// Request gives the message on as it is.
func (absence) Request(_ context.Context, m core.Message) (core.Message, error) { return m, nil }

// Response gives the message on as it is.
func (absence) Response(_ context.Context, m core.Message) (core.Message, error) { return m, nil }

// Done does nothing.
func (absence) Done() {}
