// Package pipeline is the road that every call goes: authenticate, match,
// authorize, dispatch, respond. There is no other order and no way to
// configure one.
package pipeline

import (
	"context"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Identifier tells who calls.
type Identifier interface {
	Identify(ctx context.Context, r core.Request) (core.Caller, error)
	// Resolve tells whom a module of the authenticate stage named.
	Resolve(ctx context.Context, c core.Claim) (core.Caller, error)
}

// Observer is told about every visit to a system or to the native API.
type Observer interface {
	// BeginVisit gives the header of the request that the system is shown. Of
	// v, System and Filter are set.
	BeginVisit(ctx context.Context, v core.Event, h core.Header) (context.Context, core.Header)
	// EndVisit gets the context that BeginVisit gave.
	EndVisit(ctx context.Context, e core.Event)
}

// Options are what a Pipeline can be told. A zero limit means the default.
type Options struct {
	// VisitLimit bounds one visit to a system that does not stream; 60 s.
	VisitLimit time.Duration
	// MaxChain bounds the systems that see one response; 8.
	MaxChain int
	// Reserved reports whether a path belongs to the gateway itself: no
	// rewriting leads there.
	Reserved func(path string) bool
	// Trace, when set, is told about every visit and decision.
	Trace func(ctx context.Context, e core.Event)
	// Observer, when set, accompanies every visit.
	Observer Observer
}

// Pipeline leads calls. It is safe for concurrent use.
type Pipeline struct {
	live     *live.Live
	identity Identifier
	native   core.Conn
	opts     Options
	made     time.Time
	telling  chan struct{} // full when enough calls are told to the log stage
}

// now is what time.Now gives, for half the price: of the clock on the wall it
// knows only what it was when the road was made.
func (p *Pipeline) now() time.Time { return p.made.Add(time.Since(p.made)) }

// New makes the road to the systems of l and, where none of them answers, to
// the native API.
func New(l *live.Live, identity Identifier, native core.Conn, opts Options) *Pipeline {
	if opts.VisitLimit <= 0 {
		opts.VisitLimit = time.Minute
	}
	if opts.MaxChain <= 0 {
		opts.MaxChain = 8
	}
	if opts.Reserved == nil {
		opts.Reserved = func(string) bool { return false }
	}
	return &Pipeline{
		live: l, identity: identity, native: native, opts: opts, made: time.Now(), telling: make(chan struct{}, maxTelling),
	}
}

// call is one message on its way. It belongs to one goroutine.
type call struct {
	view   *live.View // one picture for the whole call
	msg    core.Message
	place  place       // where the path lies
	stops  []live.Stop // of the dispatch stage
	pinned []pinned    // guests that saw the request and wait for the response
	author string      // the system that wrote the response; empty: the native API
	claim  *core.Claim // of the authenticate stage, until it is resolved
	plain  bool        // the request asks for codings only that can be undone
	quiet  bool        // is explained, not led: nothing is told to a trace
	ended  time.Time   // of the last visit
	lately time.Time   // when the next one begins, if nothing takes time before it
}

// Serve leads a message to its answer. The caller writes the answer, closes
// its body, and then calls done, whether or not there was an error.
func (p *Pipeline) Serve(ctx context.Context, m core.Message) (answer core.Message, done func(), err error) {
	c := &call{view: p.live.View(), msg: m}
	done = c.finish
	if c.view.Logs() {
		done = func() {
			c.finish()
			p.tell(ctx, c)
		}
	}
	for _, step := range []func(context.Context, *call) error{
		p.authenticate, p.match, p.authorize, p.dispatch, p.respond,
	} {
		if err := step(ctx, c); err != nil {
			discard(c.msg.Response)
			return c.msg, done, err
		}
	}
	return c.msg, done, nil
}

// finish is the one exit: it lets go, in reverse order, of everything that
// the call held.
func (c *call) finish() {
	for len(c.pinned) > 0 {
		last := len(c.pinned) - 1
		c.pinned[last].visit.Done()
		c.pinned[last].release()
		c.pinned = c.pinned[:last]
	}
}

// discard lets go of an answer that nobody gets to see.
func discard(r *core.Response) {
	if r == nil {
		return
	}
	_ = r.Body.Close()
	if r.Upgraded != nil {
		_ = r.Upgraded.Close()
	}
}
