package wasm

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// Options are the operator's bounds. A zero field means its default.
type Options struct {
	CacheDir       string         // compiled modules are kept here; default: in memory only
	Inspect        inspect.Limits // what a module may declare; its memory follows from MaxMemoryBytes
	MaxMemoryBytes int64          // greatest memory a registration may ask for; default 1 GiB
	MaxDeadline    time.Duration  // greatest time limit a registration may ask for; default 10 s
	MaxStart       time.Duration  // greatest time for a start that a registration may ask for; default 60 s
	MaxConcurrency int            // greatest number of guests a registration may ask for; default 256
	MaxLogLines    int            // greatest number of lines in a second that a registration may ask for; default 10,000
	Compiler       []string       // a program that calls RunCompiler, to compile apart; needs CacheDir; default: compile in this process
	CompileMemory  int64          // of that program; default 2 GiB
	CompileTimeout time.Duration  // default 60 s
	Wait           time.Duration  // longest wait for a free guest; default 10 s
	Grace          time.Duration  // longest wait of Close for calls in flight; default 30 s
	Idle           time.Duration  // a guest unused for so long is given up, unless it is the last; default 1 min
	BodyBytes      int64          // greatest body that is buffered where a registration says nothing; default 10 MiB
	MaxBodyBytes   int64          // greatest body that a registration may ask to have buffered; default 64 MiB
	MaxStateBytes  int64          // greatest state of an annex system that a registration may ask for; default 16 MiB
	SharedBytes    int64          // shared data and queues of one proxy-wasm system; default 8 MiB
	BreakAfter     int            // failures in a row that put a module into quarantine; default 5
	BreakPause     time.Duration  // first stay there; it doubles up to 16 times as long; default 30 s
	Retry          time.Duration  // first pause before a module that cannot be opened, and may be left out, is tried again; it doubles up to 60 times as long; default 1 s

	// Guard judges every address that guests call, before it is dialled. Nil:
	// guests call nobody.
	Guard func(netip.AddrPort) error
	// Trust gives the certificate authorities for these calls, beside those
	// that are registered with the host. Nil: there are none.
	Trust func() *x509.CertPool
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxMemoryBytes, 1<<30)
	setDefault(&o.MaxDeadline, 10*time.Second)
	setDefault(&o.MaxStart, time.Minute)
	setDefault(&o.MaxConcurrency, 256)
	setDefault(&o.MaxLogLines, 10_000)
	setDefault(&o.CompileMemory, 2<<30)
	setDefault(&o.CompileTimeout, time.Minute)
	setDefault(&o.Wait, 10*time.Second)
	setDefault(&o.Grace, 30*time.Second)
	setDefault(&o.Idle, time.Minute)
	setDefault(&o.BodyBytes, 10<<20)
	setDefault(&o.MaxBodyBytes, max(64<<20, o.BodyBytes))
	setDefault(&o.MaxStateBytes, 16<<20)
	setDefault(&o.SharedBytes, 8<<20)
	setDefault(&o.BreakAfter, 5)
	setDefault(&o.BreakPause, 30*time.Second)
	setDefault(&o.Retry, time.Second)
	if o.Inspect.Bytes == 0 {
		o.Inspect.Bytes = 64 << 20
	}
	o.Inspect.MemoryPages = uint32(o.MaxMemoryBytes / pageSize)
	return o
}

func setDefault[T int | int64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// Kind is the kind of external system that is a WebAssembly module.
type Kind struct {
	opts     Options
	host     core.Host
	modules  *modules
	outbound *outbound
	metrics  metricsBook
	shared   sharedBook
	logs     logBook

	mu    sync.Mutex
	conns map[*Conn]struct{}
}

// New makes the kind. The host must be a [core.ModuleSource] for systems to
// be registered.
func New(ctx context.Context, host core.Host, opts Options) (*Kind, error) {
	opts = opts.withDefaults()
	if opts.MaxMemoryBytes < pageSize || opts.MaxMemoryBytes > maxPages*pageSize {
		return nil, core.Errorf(core.Invalid, "WASM memory limit %d: 64 KiB to 4 GiB are possible", opts.MaxMemoryBytes)
	}
	source, _ := host.(core.ModuleSource)
	m, err := newModules(ctx, source, opts)
	if err != nil {
		return nil, err
	}
	return &Kind{opts: opts, host: host, modules: m, outbound: newOutbound(host, opts), conns: map[*Conn]struct{}{}}, nil
}

// Name is the word in System.Kind.
func (k *Kind) Name() string { return core.KindWASM }

// Stages tells where modules may stand.
func (k *Kind) Stages() []core.Stage {
	return core.Stages()
}

// Check compiles the module and starts one guest. It leaves nothing behind
// but the compiled code in the cache.
func (k *Kind) Check(ctx context.Context, sys core.System) error {
	c, err := k.open(ctx, sys, true)
	if err != nil {
		return asInvalid(err)
	}
	return c.Close() //nolint:contextcheck // what is closed is not closed by halves
}

// asInvalid gives the code that a registration's errors have, unless it was
// not the module's fault.
func asInvalid(err error) error {
	switch core.ErrorCode(err) {
	case core.Invalid, core.Timeout, core.Unavailable, core.Internal:
		return err
	}
	return core.WrapError(core.Invalid, err, "%s", core.ErrorMessage(err))
}

// Open compiles the module and starts its first guest. Where that fails, and
// calls may go on without the module, they do until it can be opened.
func (k *Kind) Open(ctx context.Context, sys core.System) (core.Conn, error) {
	c, err := k.open(ctx, sys, false)
	switch {
	case err == nil:
		return c, nil
	case sys.FailsOpen() && ctx.Err() == nil:
		return newStandIn(ctx, k, sys, err), nil
	}
	return nil, err
}

func (k *Kind) open(ctx context.Context, sys core.System, trial bool) (*Conn, error) {
	p, err := k.newPool(ctx, sys)
	if err != nil {
		return nil, err
	}
	c := newConn(p)
	if _, ok := p.mod.border.(proxyWASM); ok {
		if c.fleet, err = launch(ctx, c, trial); err != nil {
			return nil, errors.Join(err, c.Close()) //nolint:contextcheck // as in Check
		}
	}
	k.mu.Lock()
	k.conns[c] = struct{}{}
	k.mu.Unlock()
	return c, nil
}

func (k *Kind) forget(c *Conn) {
	k.mu.Lock()
	delete(k.conns, c)
	k.mu.Unlock()
}

func (k *Kind) newPool(ctx context.Context, sys core.System) (*pool, error) {
	set, err := k.settings(sys)
	if err != nil {
		return nil, err
	}
	mod, err := k.modules.acquire(ctx, set.digest)
	if err != nil {
		return nil, err
	}
	if need := int64(mod.info.MinPages) * pageSize; need > set.memory {
		k.modules.release(ctx, mod)
		return nil, core.Errorf(core.Invalid, "the module starts with %d bytes of memory and the registration allows %d: raise memoryBytes", need, set.memory)
	}
	if name := mod.border.name(); set.border != "" && set.border != name {
		k.modules.release(ctx, mod)
		return nil, core.Errorf(core.Invalid, "border %q: the module is written for the border %s", set.border, name)
	}
	p := newPool(k, mod, set)
	g, err := p.acquire(ctx)
	if err != nil {
		p.close(ctx, k.opts.Grace)
		return nil, err
	}
	p.release(ctx, g)
	return p, nil
}

// Close frees the runtime. All Conns must be closed before.
func (k *Kind) Close() error {
	k.outbound.close()
	return k.modules.close()
}

// settings are those of a registration, with defaults filled in.
type settings struct {
	id          string // of the system
	name        string // the same, for messages
	triplet     string // for logs
	digest      string
	config      []byte
	memory      int64
	deadline    time.Duration
	start       time.Duration
	concurrency int
	logLines    int // in a second
	bodyBytes   int64
	stateBytes  int64
	rewrite     bool
	border      string // the registration says so; empty: the module alone does
	vmConfig    []byte // of the proxy-wasm border, as rootID
	rootID      string
	vendor      string // with vmID: what the guests share, they share with others
	vmID        string
	properties  map[string]string
	environment map[string]string
	clusters    clusters
	open        bool // calls go on without a guest that failed
}

func (k *Kind) settings(sys core.System) (settings, error) {
	w, err := core.DecodeSettings[core.WASMSettings](sys)
	if err != nil {
		return settings{}, err
	}
	setDefault(&w.MemoryBytes, min(128<<20, k.opts.MaxMemoryBytes))
	setDefault(&w.DeadlineMS, min(100, k.opts.MaxDeadline.Milliseconds()))
	setDefault(&w.StartMS, min(5_000, k.opts.MaxStart.Milliseconds()))
	setDefault(&w.Concurrency, min(4*runtime.GOMAXPROCS(0), k.opts.MaxConcurrency))
	setDefault(&w.LogLines, min(100, k.opts.MaxLogLines))
	setDefault(&w.BodyBytes, min(k.opts.BodyBytes, k.opts.MaxBodyBytes))
	setDefault(&w.StateBytes, min(1<<20, k.opts.MaxStateBytes))
	if !validDigest(w.Module) {
		return settings{}, core.Errorf(core.Invalid, "module %q: the digest of an uploaded module is needed, as sha256: and 64 hexadecimal digits", w.Module)
	}
	if err := k.checkLimits(w); err != nil {
		return settings{}, err
	}
	switch w.FailurePolicy {
	case "", core.FailClosed, core.FailOpen:
	default:
		return settings{}, core.Errorf(core.Invalid, "failurePolicy %q: %s or %s is needed", w.FailurePolicy, core.FailClosed, core.FailOpen)
	}
	if err := checkTexts(w); err != nil {
		return settings{}, err
	}
	at, err := k.parseClusters(w.Clusters)
	if err != nil {
		return settings{}, err
	}
	return settings{
		id: sys.ID, name: sys.Name, triplet: sys.Triplet(), digest: w.Module, config: plainConfig(w.Config), memory: w.MemoryBytes,
		deadline: time.Duration(w.DeadlineMS) * time.Millisecond, start: time.Duration(w.StartMS) * time.Millisecond, concurrency: w.Concurrency, logLines: w.LogLines, rewrite: w.Rewrite,
		bodyBytes: w.BodyBytes, stateBytes: w.StateBytes,
		border: w.Border, vmConfig: plainConfig(w.VMConfig), rootID: w.RootID, clusters: at,
		vendor: sys.Vendor, vmID: w.VMID, properties: w.Properties, environment: w.Environment,
		open: w.FailurePolicy == core.FailOpen,
	}, nil
}

// checkLimits holds what a registration asks for against what the operator
// allows.
func (k *Kind) checkLimits(w core.WASMSettings) error {
	for _, l := range []struct {
		name               string
		value, least, most int64
		key                string
	}{
		{"memoryBytes", w.MemoryBytes, pageSize, k.opts.MaxMemoryBytes, "maxMemory"},
		{"deadlineMs", w.DeadlineMS, 1, k.opts.MaxDeadline.Milliseconds(), "maxDeadline"},
		{"startMs", w.StartMS, 1, k.opts.MaxStart.Milliseconds(), "maxStart"},
		{"concurrency", int64(w.Concurrency), 1, int64(k.opts.MaxConcurrency), "maxConcurrency"},
		{"logLinesPerSecond", int64(w.LogLines), 1, int64(k.opts.MaxLogLines), "maxLogLines"},
		{"bodyBytes", w.BodyBytes, 1, k.opts.MaxBodyBytes, "maxBody"},
		{"stateBytes", w.StateBytes, 1, k.opts.MaxStateBytes, "maxState"},
	} {
		if l.value < l.least || l.value > l.most {
			return core.Errorf(core.Invalid, "%s %d: %d to %d are allowed; the operator sets the most with wasm.%s", l.name, l.value, l.least, l.most, l.key)
		}
	}
	return nil
}

// plainConfig is a configuration as modules expect it: a JSON string is the
// text in it, anything else stays what it is, and null is nothing.
func plainConfig(c []byte) []byte {
	var text string
	switch {
	case string(c) == "null":
		return nil
	case len(c) > 0 && c[0] == '"' && json.Unmarshal(c, &text) == nil:
		return []byte(text)
	}
	return c
}
