package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/meter"
)

// errTooDeep is why a call ends when its guest calls itself again and again.
var errTooDeep = errors.New("the guest nests its calls too deep")

// errClosing is why a guest ends when its system is closed under it.
var errClosing = errors.New("the extension is being stopped")

// guest is one instance of a module. It runs one call at a time.
type guest struct {
	pool    *pool
	mod     api.Module
	memory  *linearMemory
	session session

	exchange exchange // of the visit that it has, if its border shows it one call at a time

	out  *output // what the guest writes to its standard streams
	said string  // what it has said beside its calls, as far as it fits
	used time.Time
	dead bool // trapped or over time: never used again

	starting budget // of its start, with what the border does before the first call

	budget  *budget         // of the call it runs
	ctx     context.Context //nolint:containedctx // of the call it runs, for sleeping, which is given none
	refills uint64          // times it asked whether it may go on, in the call it runs
	engine  engineContext   // what the engine is given in place of ctx
	unseen  uint32          // what host functions have done since somebody looked at the time
	deep    bool            // the call that it runs has made the engine's stack large

	once    sync.Once
	stopped chan struct{} // closed when it is to end, whatever it does
}

// guestKey is the key under which a guest travels to the host functions that
// it calls.
type guestKey struct{}

// engineContext is the context of a guest's call, with the guest in it. There
// is one of each guest, so it is nothing to keep beyond the call. It holds no
// other values: with every call the engine asks for switches of its own, all
// the way down.
type engineContext struct {
	context.Context
	guest *guest
}

// Value gives the guest.
func (c *engineContext) Value(key any) any {
	if key == (guestKey{}) {
		return c.guest
	}
	return nil
}

func guestOf(ctx context.Context) *guest {
	if c, ok := ctx.(*engineContext); ok {
		return c.guest
	}
	g, _ := ctx.Value(guestKey{}).(*guest)
	return g
}

// startGuest makes an instance and runs its start functions. Its errors are
// written for the author of the module.
func startGuest(ctx context.Context, p *pool) (*guest, error) {
	g := &guest{pool: p, stopped: make(chan struct{}), starting: budget{left: p.set.start}}
	var err error
	if g.memory, err = p.newMemory(); err != nil {
		return nil, core.WrapError(core.Unavailable, err, "WASM extension '%s' cannot be started now: there is no memory for a guest", p.set.name)
	}
	g.session = p.mod.border.attach(g)
	g.out = &output{guest: g}
	// Both start functions are named because reactors, which the Go toolchain
	// makes, have the one and commands have the other.
	config := wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions("_initialize", "_start").
		WithStdout(g.out).WithStderr(g.out).
		WithRandSource(entropy{g}).
		WithSysWalltime().WithSysNanotime().
		WithNanosleep(g.sleep).WithOsyield(runtime.Gosched)
	for name, value := range p.set.environment {
		config = config.WithEnv(name, value)
	}
	var mod api.Module
	err = g.run(ctx, &g.starting, func(ctx context.Context) error {
		var err error
		ctx = experimental.WithMemoryAllocator(p.mod.withLinks(ctx), g.memory)
		mod, err = p.kind.modules.runtime.InstantiateModule(ctx, p.mod.code, config)
		return err
	})
	g.out.flush(ctx)
	switch {
	case errors.Is(err, errOverTime):
		err = core.Errorf(core.Invalid, "the module did not start within %s: raise startMs", p.set.start)
	case err != nil && ctx.Err() != nil:
		err = core.WrapError(core.ErrorCode(ctx.Err()), err, "the module was not started in time")
	case err != nil:
		err = core.WrapError(core.Invalid, err, "the module does not start: %s%s", firstLine(err), g.words())
	case mod.IsClosed():
		err = core.Errorf(core.Invalid, "the module does not stay: it ends in its start function; build it as a reactor (for Go -buildmode=c-shared)")
	}
	g.mod = mod
	if err != nil {
		g.close(ctx)
		return nil, err
	}
	g.session.started(mod)
	return g, nil
}

// maxSaid is how much of what a guest says is told when it does not start.
const maxSaid = 500

// say logs what the guest says.
func (g *guest) say(ctx context.Context, l slog.Level, call, text string) {
	if room := maxSaid - len(g.said); call == "" && room > 0 {
		g.said += ("; " + text)[:min(len(text)+2, room)]
	}
	g.pool.log.write(ctx, l, call, text)
}

// words tell the author why a guest has ended itself: there is no log to look
// into of what was never registered.
func (g *guest) words() string {
	if g.said == "" {
		return ""
	}
	return "; it says: " + strings.ToValidUTF8(strings.TrimPrefix(g.said, "; "), "\uFFFD")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// run lets the guest work under a budget. The error is errOverTime,
// errClosing, why a context ended, or what the guest died of; after any of
// them the guest is dead.
func (g *guest) run(ctx context.Context, b *budget, work func(context.Context) error) (err error) {
	if !g.memory.use() {
		g.dead = true
		return errClosing
	}
	defer g.memory.done()
	g.budget, g.ctx, g.refills, g.unseen = b, ctx, 0, 0
	g.engine = engineContext{ctx, g}
	b.begin()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic beside the guest: %v", p)
		}
		b.pause()
		if g.refills > 0 {
			g.pool.refills.Add(g.refills)
		}
		g.budget, g.ctx, g.engine.Context = nil, nil, context.Background()
		g.dead = g.dead || err != nil
		if g.deep && !g.dead && g.mod != nil {
			g.session.started(g.mod) // each function that the engine gives has a stack of its own
		}
		g.deep = false
		if err != nil && g.memory.short {
			err = fmt.Errorf("it was refused more than %d bytes of memory (memoryBytes): %w", g.pool.set.memory, err)
		}
	}()
	if err := g.refused(); err != nil {
		return err
	}
	return work(&g.engine) //nolint:contextcheck // it is made of ctx
}

// refused reports why the guest may not begin, if it may not.
func (g *guest) refused() error {
	select {
	case <-g.stopped:
		return errClosing
	default:
	}
	switch {
	case g.ctx.Err() != nil:
		return context.Cause(g.ctx)
	case g.budget.left <= 0:
		return errOverTime
	}
	return nil
}

// ended reports why the guest may not go on, if it may not.
func (g *guest) ended() error {
	select {
	case <-g.stopped:
		return errClosing
	default:
	}
	switch {
	case g.budget == nil:
		return nil
	case g.ctx.Err() != nil:
		return context.Cause(g.ctx)
	case g.budget.rest() <= 0:
		return errOverTime
	}
	return nil
}

// check ends a guest that may not go on. The guest calls it whenever it has
// run for a while, and host functions do when they have done enough.
func (g *guest) check() {
	g.unseen = 0
	if err := g.ended(); err != nil {
		panic(trap{err})
	}
}

// What host functions do is counted in small steps, each about as long as it
// takes to copy a few KiB. After so many the time is looked at.
const (
	enoughSteps  = 16
	bytesOfAStep = 4 << 10
)

// step is where every host function begins. Few of them take as long as it
// would take to look at the clock.
func (g *guest) step() {
	if g.unseen++; g.unseen >= enoughSteps {
		g.check()
	}
}

// worked counts n bytes or fields that a host function deals with.
func (g *guest) worked(n, ofAStep uint32) { g.unseen += n / ofAStep }

// waited has the time looked at soon: something took its time.
func (g *guest) waited() { g.unseen += enoughSteps }

// refill is the host function that metered code calls when its fuel is used
// up. Being called is what matters most: the runtime can stop the world here.
func refill(ctx context.Context, _ api.Module, stack []uint64) {
	g := guestOf(ctx)
	if g == nil {
		panic(errNoGuest)
	}
	g.check()
	g.refills++
	switch depth := stack[0]; {
	case depth > meter.MaxDepth:
		panic(trap{errTooDeep})
	case depth > meter.MaxDepth/16:
		g.deep = true
	}
	stack[0] = meter.Quantum
}

var errNoGuest = errors.New("a host function was called outside of a guest")

// interrupt ends the call that runs, and any later one.
func (g *guest) interrupt() { g.once.Do(func() { close(g.stopped) }) }

// sleep is the guest's sleep. It ends with the guest's time.
func (g *guest) sleep(ns int64) {
	if g.budget == nil || ns <= 0 {
		return
	}
	t := time.NewTimer(min(time.Duration(ns), g.budget.rest()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.stopped:
	case <-g.ctx.Done():
	}
	g.check()
}

// wait runs something that waits for others, on time that is not the
// guest's. It returns when ctx of the call ends, and f may go on by itself:
// whatever f waits for must have a bound of its own.
func (g *guest) wait(f func() error) error {
	ctx := g.ctx
	g.budget.pause()
	defer g.budget.resume()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-g.stopped:
		return errClosing
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close lets go of the guest. The engine gives its memory back only where the
// instance was finished.
func (g *guest) close(ctx context.Context) {
	if g.mod != nil {
		_ = g.mod.Close(ctx)
	}
	g.memory.Free()
}
