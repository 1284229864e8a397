package wasm

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// maxCarried is how many calls one guest carries at most.
const maxCarried = 1024

// fleet is the guests of one system of the proxy-wasm border. There is one to
// begin with; more are started, up to one for each processor, when all are at
// work.
type fleet struct {
	conn   *Conn
	pool   *pool
	shared *shared
	common *shared // the same, but while the plugin is only tried
	leave  func()  // gives it up
	most   int

	bodies [2]bool // which sides' bodies the plugin looks at
	line   line
	quit   chan struct{} // closed when the fleet is to end

	mu       sync.Mutex
	vms      []*proxyVM
	starting int
	broken   error // why the last start failed, until a call is told
	closed   bool
	started  bool           // there has been a guest
	pause    time.Duration  // of revive, the last one
	revived  time.Time      // when it was over
	open     sync.WaitGroup // calls
	wg       sync.WaitGroup // guests that are being started, callouts, ticks
}

// launch starts the first guest, for good or to see whether it starts.
func launch(ctx context.Context, c *Conn, trial bool) (*fleet, error) {
	p := c.pool
	f := &fleet{
		conn: c, pool: p, shared: p.kind.shared.join(&p.set, p.kind.opts.SharedBytes),
		most: min(p.set.concurrency, runtime.GOMAXPROCS(0)), line: newLine(), quit: make(chan struct{}),
	}
	f.bodies = looksAtBodies(p.mod.info)
	f.leave = sync.OnceFunc(func() { p.kind.shared.leave(&p.set, f.common, p.kind.opts.Idle) })
	f.common = f.shared
	if trial {
		f.shared = f.shared.trial()
	}
	if _, err := f.start(ctx); err != nil {
		f.leave()
		return nil, err
	}
	return f, nil
}

// looksAtBodies tells for each side whether a plugin is to be shown bodies.
func looksAtBodies(m *inspect.Module) (sides [2]bool) {
	for _, name := range []string{"body", "trailers"} {
		for side, of := range []string{"proxy_on_request_", "proxy_on_response_"} {
			if _, ok := m.Export(of + name); ok {
				sides[side] = true
			}
		}
	}
	return sides
}

// start makes a guest and starts the plugin in it.
func (f *fleet) start(ctx context.Context) (*proxyVM, error) {
	g, err := f.pool.acquire(ctx)
	if err != nil {
		return nil, err
	}
	v := g.session.(*proxyVM)
	v.fleet, v.timer = f, newTicker(v)
	f.mu.Lock()
	v.further = f.started
	f.mu.Unlock()
	if err := v.boot(ctx); err != nil {
		return nil, v.bootError(ctx, err)
	}
	if !f.adopt(v) {
		v.close(ctx)
		return nil, f.pool.stopping()
	}
	return v, nil
}

func (f *fleet) adopt(v *proxyVM) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.vms, f.started = append(f.vms, v), true
		f.line.change()
	}
	return !f.closed
}

// later runs what a guest is told of beside the calls.
func (f *fleet) later(tell func() error) {
	f.wg.Go(func() { f.note(tell()) })
}

// tell is the same for what comes from other systems, which may be too late.
func (f *fleet) tell(of func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.later(of)
	}
}

// note counts the end of a guest that no call is told of.
func (f *fleet) note(err error) {
	if err == nil || errors.Is(err, errVMGone) {
		return
	}
	err = f.conn.explain(context.Background(), err)
	f.pool.kind.host.Log().Warn("a WASM extension failed beside the calls", "system", f.pool.set.triplet, "error", err)
}

// bootError is written for the author of the plugin.
func (v *proxyVM) bootError(ctx context.Context, err error) error {
	var no *refusal
	switch {
	case errors.As(err, &no):
		return core.WrapError(core.Invalid, err, "%s%s", no, v.guest.words())
	case errors.Is(err, errOverTime):
		return core.WrapError(core.Invalid, err, "the plugin did not start within %s: raise startMs", v.guest.pool.set.start)
	case errors.Is(err, errClosing), ctx.Err() != nil:
		return core.WrapError(core.Unavailable, err, "the plugin was not started")
	}
	return core.WrapError(core.Invalid, err, "the plugin does not start: %s%s", firstLine(err), v.guest.words())
}

// more starts a guest beside the calls. The caller holds the lock.
func (f *fleet) more() {
	f.starting++
	f.wg.Go(func() {
		_, err := f.start(context.Background())
		f.mu.Lock()
		f.starting--
		switch {
		case len(f.vms) == 0:
			f.broken = err
		case err != nil && core.ErrorCode(err) == core.Invalid:
			f.pool.kind.host.Log().Warn("a further guest of a WASM extension did not start", "system", f.pool.set.triplet, "error", err)
		}
		f.mu.Unlock()
		f.line.change()
	})
}

// forget drops a guest that has ended. Where it had work beside the calls and
// was the last one, another one takes its place.
func (f *fleet) forget(v *proxyVM, working bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.vms = slices.DeleteFunc(f.vms, func(o *proxyVM) bool { return o == v })
	if working && len(f.vms) == 0 && !f.closed && f.started {
		f.wg.Go(f.revive)
	}
}

// revive starts a guest, unless a call does. A plugin that goes on failing is
// given longer and longer pauses.
func (f *fleet) revive() {
	retry := f.pool.kind.opts.Retry
	for {
		f.mu.Lock()
		if time.Since(f.revived) > 60*retry {
			f.pause = 0
		}
		f.pause = min(max(2*f.pause, retry), 60*retry)
		pause := f.pause
		f.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-f.quit:
			return
		}
		f.mu.Lock()
		over, others := f.closed || len(f.vms) > 0, f.starting > 0
		f.revived = time.Now()
		f.mu.Unlock()
		switch {
		case over:
			return
		case others:
			continue
		}
		if _, err := f.start(context.Background()); err == nil || core.ErrorCode(err) != core.Invalid {
			return
		}
	}
}

// close lets the calls that are carried end, for as long as grace lasts, and
// then the guests.
func (f *fleet) close(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	f.mu.Lock()
	f.closed = true
	close(f.quit)
	f.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		f.open.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	f.mu.Lock()
	vms := slices.Clone(f.vms)
	f.mu.Unlock()
	for _, v := range vms {
		v.close(ctx)
	}
	f.wg.Wait()
	f.leave()
}
