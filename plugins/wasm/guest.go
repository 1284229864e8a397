package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
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
)

// errClosing is why a guest ends when its system is closed under it.
var errClosing = errors.New("the extension is being stopped")

// guest is one instance of a module. It runs one call at a time.
type guest struct {
	pool    *pool
	mod     api.Module
	session session
	out     *output // what the guest writes to its standard streams
	used    time.Time
	dead    bool // trapped or over time: never used again

	budget *budget         // of the call it runs
	ctx    context.Context //nolint:containedctx // of the call it runs, for sleeping, which is given none

	mu      sync.Mutex
	stop    context.CancelCauseFunc // ends the call it runs
	stopped error
}

// guestKey is the key under which a guest travels to the host functions that
// it calls.
type guestKey struct{}

func guestOf(ctx context.Context) *guest {
	g, _ := ctx.Value(guestKey{}).(*guest)
	return g
}

// startGuest makes an instance and runs its start functions. Its errors are
// written for the author of the module.
func startGuest(ctx context.Context, p *pool) (*guest, error) {
	g := &guest{pool: p, out: &output{log: p.log}}
	g.session = p.mod.border.attach(g)
	// Both start functions are named because reactors, which the Go toolchain
	// makes, have the one and commands have the other.
	config := wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions("_initialize", "_start").
		WithStdout(g.out).WithStderr(g.out).
		WithRandSource(rand.Reader).
		WithSysWalltime().WithSysNanotime().
		WithNanosleep(g.sleep).WithOsyield(runtime.Gosched)
	var mod api.Module
	err := g.run(ctx, &budget{left: p.kind.opts.StartTimeout}, func(ctx context.Context) error {
		var err error
		ctx = experimental.WithMemoryAllocator(p.mod.withLinks(ctx), memoryLimit{uint64(p.set.memory)})
		mod, err = p.kind.modules.runtime.InstantiateModule(ctx, p.mod.code, config)
		return err
	})
	g.out.flush(ctx)
	switch {
	case errors.Is(err, errOverTime):
		err = core.Errorf(core.Invalid, "the module did not start within %s", p.kind.opts.StartTimeout)
	case err != nil && ctx.Err() != nil:
		err = core.WrapError(core.ErrorCode(ctx.Err()), err, "the module was not started in time")
	case err != nil:
		err = core.WrapError(core.Invalid, err, "the module does not start: %s", firstLine(err))
	case mod.IsClosed():
		err = core.Errorf(core.Invalid, "the module does not stay: it ends in its start function; build it as a reactor (for Go -buildmode=c-shared)")
	}
	if err != nil {
		if mod != nil {
			_ = mod.Close(ctx)
		}
		return nil, err
	}
	g.mod = mod
	g.session.started(mod)
	return g, nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// run lets the guest work under a budget. The error is errOverTime,
// errClosing, the error of a context that ended, or what the guest died of;
// after any of them the guest is dead.
func (g *guest) run(ctx context.Context, b *budget, work func(context.Context) error) (err error) {
	timed := b.start(ctx)
	defer b.stop()
	if err := g.begin(b.cancel); err != nil {
		g.dead = true
		return err
	}
	defer g.end()
	g.budget, g.ctx = b, timed
	defer func() {
		g.budget, g.ctx = nil, nil
		if p := recover(); p != nil {
			err = fmt.Errorf("panic beside the guest: %v", p)
		}
		if err == nil {
			return
		}
		g.dead = true
		if cause := context.Cause(timed); cause != nil {
			err = errors.Join(cause, err)
		}
	}()
	return work(context.WithValue(timed, guestKey{}, g))
}

func (g *guest) begin(cancel context.CancelCauseFunc) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop = cancel
	return g.stopped
}

func (g *guest) end() {
	g.mu.Lock()
	g.stop = nil
	g.mu.Unlock()
}

// interrupt ends the call that runs, and any later one.
func (g *guest) interrupt(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = cause
	if g.stop != nil {
		g.stop(cause)
	}
}

// sleep is the guest's sleep. It ends with the guest's time.
func (g *guest) sleep(ns int64) {
	if g.ctx == nil || ns <= 0 {
		return
	}
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.ctx.Done():
	}
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
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *guest) close(ctx context.Context) {
	if g.mod != nil {
		_ = g.mod.Close(ctx)
	}
}

// output turns what a guest writes to its standard streams into log lines.
type output struct {
	log  *guestLog
	line bytes.Buffer
}

// Write takes what the guest wrote. It never fails: a guest does not care
// for the log's troubles.
func (o *output) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		o.line.Write(line[:min(len(line), maxLogLine-min(o.line.Len(), maxLogLine))])
		if whole {
			o.flush(context.Background())
		}
		b = rest
	}
	return n, nil
}

func (o *output) flush(ctx context.Context) {
	if o.line.Len() > 0 {
		o.log.write(ctx, slog.LevelInfo, "", o.line.String())
		o.line.Reset()
	}
}
