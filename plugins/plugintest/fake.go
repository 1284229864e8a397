package plugintest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/annex-gateway/annex/core"
)

// Handler is what a system of a [Fake] does with a message.
type Handler func(ctx context.Context, sys core.System, m core.Message) (core.Message, error)

// Echo answers with status 200 and the request's body. A message that is
// answered already goes back as it is.
func Echo(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
	if m.Answered() {
		return m, nil
	}
	return m.Answer(core.Response{Status: 200, Header: core.NewHeader("Content-Type", "text/plain"), Body: m.Request.Body}), nil
}

// PassOn gives the message on as it is.
func PassOn(_ context.Context, _ core.System, m core.Message) (core.Message, error) { return m, nil }

// Fake is a kind whose behaviour is scripted. It echoes unless told
// otherwise, keeps the promises of core.Kind as long as its handler does, and
// can be changed while it is in use.
type Fake struct {
	name   string
	stages []core.Stage

	mu     sync.Mutex
	handle Handler
	check  func(core.System) error
	open   func(core.System) error
	counts Counts
}

// Counts is what a [Fake] has seen.
type Counts struct {
	Checks int
	Opens  int // successful ones
	Closes int
	Calls  int
}

// NewFake makes a kind of that name. Without stages its systems may stand at
// any.
func NewFake(name string, stages ...core.Stage) *Fake {
	if len(stages) == 0 {
		stages = core.Stages()
	}
	return &Fake{name: name, stages: slices.Clone(stages), handle: Echo}
}

// Handle sets what systems do with messages from now on.
func (f *Fake) Handle(h Handler) { f.set(func() { f.handle = h }) }

// OnCheck sets a further check of registrations; nil for none.
func (f *Fake) OnCheck(check func(core.System) error) { f.set(func() { f.check = check }) }

// OnOpen sets what is asked before a system is opened; its error is that of
// Open. Nil for nothing.
func (f *Fake) OnOpen(open func(core.System) error) { f.set(func() { f.open = open }) }

// Counts tells what the kind has seen so far.
func (f *Fake) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

func (f *Fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// Name is the name given to [NewFake].
func (f *Fake) Name() string { return f.name }

// Stages are those given to [NewFake].
func (f *Fake) Stages() []core.Stage { return slices.Clone(f.stages) }

// System is a valid registration of this kind.
func (f *Fake) System(vendor, name, version string) core.System {
	return core.System{
		ID: core.SystemID(f.name, vendor, name, version), Kind: f.name,
		Vendor: vendor, Name: name, Version: version, Namespace: vendor + "." + name + "." + version,
		Enabled: true, Priority: core.DefaultPriority,
	}
}

// Check refuses another kind, settings that are not JSON, and what OnCheck
// refuses.
func (f *Fake) Check(_ context.Context, sys core.System) error {
	f.mu.Lock()
	f.counts.Checks++
	check := f.check
	f.mu.Unlock()
	switch {
	case sys.Kind != f.name:
		return core.Errorf(core.Invalid, "kind %q: this is kind %q", sys.Kind, f.name)
	case len(sys.Settings) > 0 && !json.Valid(sys.Settings):
		return core.Errorf(core.Invalid, "the settings of %s are not JSON", sys.Triplet())
	case check != nil:
		return check(sys)
	}
	return nil
}

// Open gives a Conn that calls the handler.
func (f *Fake) Open(_ context.Context, sys core.System) (core.Conn, error) {
	f.mu.Lock()
	open := f.open
	f.mu.Unlock()
	if open != nil {
		if err := open(sys); err != nil {
			return nil, err
		}
	}
	f.set(func() { f.counts.Opens++ })
	return &fakeConn{fake: f, sys: sys}, nil
}

type fakeConn struct {
	fake *Fake
	sys  core.System

	mu     sync.RWMutex // held for reading by every call in flight
	closed bool
}

// Do calls the handler.
func (c *fakeConn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	if err := ctx.Err(); err != nil {
		return m, err
	}
	if !c.mu.TryRLock() {
		return m, c.gone()
	}
	defer c.mu.RUnlock()
	if c.closed {
		return m, c.gone()
	}
	c.fake.mu.Lock()
	c.fake.counts.Calls++
	handle := c.fake.handle
	c.fake.mu.Unlock()
	return handle(ctx, c.sys, m)
}

// Close waits for the calls in flight.
func (c *fakeConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.fake.set(func() { c.fake.counts.Closes++ })
	}
	return nil
}

func (c *fakeConn) gone() error {
	return core.Errorf(core.Unavailable, "the system %s is closed", c.sys.Triplet())
}
