package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// proxyWASM is the proxy-wasm border: a guest carries many calls at once and
// is told of the parts of each as they come.
type proxyWASM struct{}

const (
	abiMark    = "proxy_abi_version_"
	envModule  = "env"
	forkedABI  = "0_2_100"
	servedABIs = "0.1.0, 0.2.0, 0.2.1 and 0.2.100"
)

func (proxyWASM) name() string { return "proxy-wasm" }
func (proxyWASM) own() string  { return envModule }

func (proxyWASM) hostModules(context.Context, wazero.Runtime) (map[string]wazero.CompiledModule, error) {
	return nil, nil //nolint:nilnil // all it offers is made for each module
}

// abiOf is the version that a module says it is written for, such as 0_2_1,
// or "" where it says none.
func abiOf(m *inspect.Module) string {
	for _, e := range m.Exports {
		if v, ok := strings.CutPrefix(e.Name, abiMark); ok && e.Sort == inspect.Function {
			return v
		}
	}
	return ""
}

func (proxyWASM) judge(m *inspect.Module) (mine bool, err error) {
	abi, calls, others := abiOf(m), false, false
	for _, i := range m.Imports {
		calls = calls || i.Module == envModule && strings.HasPrefix(i.Name, "proxy_")
		others = others || i.Module == "http_handler" || i.Module == annexModule
	}
	switch {
	case abi == "" && !calls:
		return false, nil
	case others:
		return true, invalid("the module imports from the borders proxy-wasm and http-wasm, and can be written for one only")
	case !slices.Contains([]string{"", "0_1_0", "0_2_0", "0_2_1", forkedABI}, abi):
		return true, invalid("the module is written for proxy-wasm %s, and %s are served", strings.ReplaceAll(abi, "_", "."), servedABIs)
	}
	return true, checkProxyExports(m)
}

// checkProxyExports reports what a module lacks, or exports in a form that
// cannot be called.
func checkProxyExports(m *inspect.Module) error {
	if e, ok := m.Export("memory"); !ok || e.Sort != inspect.Memory {
		return invalid("the module exports no memory under the name memory")
	}
	allocates := false
	for _, e := range m.Exports {
		if e.Sort != inspect.Function {
			continue
		}
		if slices.Contains(allocators(), e.Name) {
			allocates = true
			if !e.Signature.Equal(inspect.Signature{Params: []byte{i32}, Results: []byte{i32}}) {
				return invalid("the module exports %s with another type than proxy-wasm gives it", e.Name)
			}
		}
		if strings.HasPrefix(e.Name, "proxy_on_") && !callable(e.Signature) {
			return invalid("the module exports %s with another type than proxy-wasm gives it", e.Name)
		}
	}
	if !allocates {
		return invalid("the module exports neither proxy_on_memory_allocate nor malloc: the gateway cannot hand it anything")
	}
	return nil
}

// allocators are the names of the function that gives memory to the host, the
// one to use first.
func allocators() []string { return []string{"proxy_on_memory_allocate", "malloc"} }

func callable(s inspect.Signature) bool {
	number := func(t byte) bool { return t == i32 }
	return len(s.Params) <= maxArgs && len(s.Results) <= 1 &&
		!slices.ContainsFunc(s.Params, func(t byte) bool { return !number(t) }) &&
		!slices.ContainsFunc(s.Results, func(t byte) bool { return !number(t) })
}

// link makes the module env for one module: the functions that it imports and
// no others. What the border does not have, or not in the form that is
// imported, answers that it is not implemented.
func (proxyWASM) link(ctx context.Context, r wazero.Runtime, m *inspect.Module) (*linked, error) {
	known := proxyFunctions()
	builder, done := r.NewHostModuleBuilder(envModule), map[string]bool{}
	for _, i := range m.Imports {
		if i.Module != envModule || done[i.Name] {
			continue
		}
		done[i.Name] = true
		f, ok := known[i.Name]
		if !ok || string(i.Signature.Params) != f.types() || len(i.Signature.Results) > 1 {
			f = proxyFunc{perform: (*proxyVM).unimplemented}
		}
		f.name, f.answers = i.Name, len(i.Signature.Results) > 0
		builder.NewFunctionBuilder().WithGoModuleFunction(f, i.Signature.Params, i.Signature.Results).Export(i.Name)
	}
	code, err := builder.Compile(ctx)
	if err != nil {
		return nil, err
	}
	mod, err := r.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, errors.Join(err, code.Close(ctx))
	}
	return &linked{mod, code}, nil
}

func (proxyWASM) attach(g *guest) session {
	return &proxyVM{
		guest: g, abi: abiOf(g.pool.mod.info), turn: make(chan struct{}, 1), gone: make(chan struct{}),
		streams: map[uint32]*proxyCall{}, callouts: map[uint32]*callout{}, next: rootID,
	}
}

// proxyFunc is a function of the border. All of them give a status.
type proxyFunc struct {
	name    string
	params  string // i and l for i32 and i64
	answers bool   // the guest looks at the status
	perform func(v *proxyVM, ctx context.Context, p params) status
}

func (f proxyFunc) types() string {
	out := make([]byte, len(f.params))
	for i, c := range []byte(f.params) {
		if out[i] = i32; c == 'l' {
			out[i] = i64
		}
	}
	return string(out)
}

// Call is where a guest comes in.
func (f proxyFunc) Call(ctx context.Context, mod api.Module, stack []uint64) {
	v := vmOf(ctx)
	if v == nil {
		panic(errors.New("a host function was called by a guest of another border"))
	}
	v.guest.check()
	v.mem = mod.Memory()
	s := f.perform(v, ctx, stack)
	if f.answers {
		stack[0] = uint64(s)
	}
}

func vmOf(ctx context.Context) *proxyVM {
	g := guestOf(ctx)
	if g == nil {
		return nil
	}
	v, _ := g.session.(*proxyVM)
	return v
}

// status is what host functions give, as the border numbers it.
type status uint32

const (
	statusOK              status = 0
	statusNotFound        status = 1
	statusBadArgument     status = 2
	statusParseFailure    status = 4
	statusMemory          status = 6
	statusEmpty           status = 7
	statusMismatch        status = 8
	statusInternalFailure status = 10
	statusUnimplemented   status = 12
)

func (*proxyVM) unimplemented(context.Context, params) status { return statusUnimplemented }
