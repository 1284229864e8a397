package wasm

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// pool holds the guests of one system. A guest is taken for one call and
// given back after it; there are never more than the registration allows.
type pool struct {
	kind *Kind
	mod  *module
	set  settings
	log  *guestLog

	metrics *guestMetrics
	refills atomic.Uint64 // times that guests asked whether they may go on
	memory  atomic.Int64  // bytes of all guests
	outside allowance     // of their calls to others

	slots chan struct{} // one token for every guest that is taken
	made  time.Time

	mu     sync.Mutex
	idle   []*guest // the one used last at the end
	all    map[*guest]struct{}
	live   int         // guests there are, those being started included
	reaper *time.Timer // nil while there is nobody to give up
	closed bool
	freed  bool // the module is released
}

func newPool(k *Kind, mod *module, set settings) *pool {
	p := &pool{
		kind: k, mod: mod, set: set,
		log:   &guestLog{log: k.host.Log().With("system", set.triplet), limit: set.logLines, ring: k.logs.ring(set.id)},
		slots: make(chan struct{}, set.concurrency),
		all:   map[*guest]struct{}{},
		made:  time.Now(),

		metrics: k.metrics.take(set.triplet),
	}
	p.outside.most = 4 * set.bodyBytes
	return p
}

// newMemory makes the memory of one guest.
func (p *pool) newMemory() (*linearMemory, error) {
	return newMemory(uint64(p.set.memory)&^(pageSize-1), uint64(p.mod.info.MinPages)*pageSize, &p.memory)
}

// acquire gives a guest of the caller's own, until it is released.
func (p *pool) acquire(ctx context.Context) (*guest, error) {
	if err := p.slot(ctx); err != nil {
		return nil, err
	}
	g, err := p.take()
	if g == nil && err == nil {
		g, err = p.start(ctx)
	}
	if err != nil {
		<-p.slots
		return nil, err
	}
	return g, nil
}

func (p *pool) slot(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(p.kind.opts.Wait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return core.WrapError(core.Unavailable, ctx.Err(), "WASM extension '%s' is busy: all of its %d guests are in use", p.set.name, p.set.concurrency)
}

// take gives an idle guest, or nil where one must be started.
func (p *pool) take() (*guest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, p.stopping()
	}
	last := len(p.idle) - 1
	if last < 0 {
		p.live++
		return nil, nil //nolint:nilnil // nil means: start one, which is counted already
	}
	g := p.idle[last]
	p.idle = slices.Delete(p.idle, last, last+1)
	return g, nil
}

func (p *pool) start(ctx context.Context) (*guest, error) {
	g, err := startGuest(ctx, p)
	if err != nil {
		p.discard(ctx, nil, 1)
		return nil, err
	}
	p.mu.Lock()
	p.all[g] = struct{}{}
	p.mu.Unlock()
	return g, nil
}

func (p *pool) stopping() error {
	return core.WrapError(core.Unavailable, errClosing, "WASM extension '%s' is being stopped", p.set.name)
}

// release takes a guest back, or throws it away where it is dead.
func (p *pool) release(ctx context.Context, g *guest) {
	g.used = p.made.Add(time.Since(p.made)) // time.Now takes twice as long
	g.out.flush(ctx)
	var gone []*guest
	p.mu.Lock()
	if g.dead || g.mod.IsClosed() || p.closed {
		gone = append(gone, g)
	} else {
		p.idle = append(p.idle, g)
		if len(p.idle) > 1 && p.reaper == nil {
			p.reaper = time.AfterFunc(p.kind.opts.Idle, p.reap)
		}
	}
	p.mu.Unlock()
	if len(gone) > 0 {
		p.discard(ctx, gone, len(gone))
	}
	<-p.slots
}

// reap gives up guests that have not been needed for long, and their memory
// with them: a guest's memory never becomes smaller. One stays.
func (p *pool) reap() {
	p.mu.Lock()
	n := 0
	for n < len(p.idle)-1 && time.Since(p.idle[n].used) >= p.kind.opts.Idle {
		n++
	}
	gone := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.reaper = nil
	if len(p.idle) > 1 {
		p.reaper = time.AfterFunc(p.kind.opts.Idle-time.Since(p.idle[0].used), p.reap)
	}
	p.mu.Unlock()
	p.discard(context.Background(), gone, len(gone))
}

// discard closes guests, takes n off the count of those alive, and lets go of
// the module when a closed pool has none left.
func (p *pool) discard(ctx context.Context, gone []*guest, n int) {
	for _, g := range gone {
		g.close(ctx)
	}
	p.mu.Lock()
	for _, g := range gone {
		delete(p.all, g)
	}
	p.live -= n
	last := p.closed && p.live == 0 && !p.freed
	p.freed = p.freed || last
	p.mu.Unlock()
	if last {
		p.kind.modules.release(ctx, p.mod)
		p.kind.metrics.leave(p.set.triplet)
	}
}

// close refuses new calls, waits for those in flight, and after the grace
// interrupts them.
func (p *pool) close(ctx context.Context, grace time.Duration) {
	p.mu.Lock()
	p.closed = true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	gone := p.idle
	p.idle = nil
	p.mu.Unlock()
	p.discard(ctx, gone, len(gone))
	if !p.drain(grace) {
		p.mu.Lock()
		for g := range p.all {
			g.interrupt()
		}
		p.mu.Unlock()
		p.drain(time.Second)
	}
}

// drain waits until no guest is taken.
func (p *pool) drain(most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	got := 0
	defer func() {
		for ; got > 0; got-- {
			<-p.slots
		}
	}()
	for ; got < cap(p.slots); got++ {
		select {
		case p.slots <- struct{}{}:
		case <-timer.C:
			return false
		}
	}
	return true
}
