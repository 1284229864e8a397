package wasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// The features of the http-wasm border, as its flags number them.
const (
	bufferRequest  = 1
	bufferResponse = 2
	trailers       = 4
	allFeatures    = bufferRequest | bufferResponse | trailers
)

const i32, i64 = api.ValueTypeI32, api.ValueTypeI64

// httpWASM is the http-wasm border: the guest is called once with the request
// and once with the answer, and asks the host for their parts.
type httpWASM struct{}

func (httpWASM) name() string { return "http-wasm" }

// hostFunc is a function that a guest may call. What it returns replaces the
// first of the parameters on the stack.
type hostFunc struct {
	name    string
	params  int  // all of them are i32
	result  byte // i32, i64 or 0 for none
	perform func(h *handler, p params) uint64
}

// params are the parameters of a call. The upper halves of their slots hold
// garbage, so they are read through here only.
type params []uint64

func (p params) u32(i int) uint32 { return uint32(p[i]) }

func functions() []hostFunc {
	return []hostFunc{
		{"enable_features", 1, i32, (*handler).enableFeatures},
		{"get_config", 2, i32, (*handler).getConfig},
		{"log", 3, 0, (*handler).log},
		{"log_enabled", 1, i32, (*handler).logEnabled},
		{"get_header_names", 3, i64, (*handler).getHeaderNames},
		{"get_header_values", 5, i64, (*handler).getHeaderValues},
		{"set_header_value", 5, 0, (*handler).setHeaderValue},
		{"add_header_value", 5, 0, (*handler).addHeaderValue},
		{"remove_header", 3, 0, (*handler).removeHeader},
		{"read_body", 3, i64, (*handler).readBody},
		{"write_body", 3, 0, (*handler).writeBody},
		{"get_method", 2, i32, (*handler).getMethod},
		{"set_method", 2, 0, (*handler).setMethod},
		{"get_uri", 2, i32, (*handler).getURI},
		{"set_uri", 2, 0, (*handler).setURI},
		{"get_protocol_version", 2, i32, (*handler).getProtocolVersion},
		{"get_source_addr", 2, i32, (*handler).getSourceAddr},
		{"get_status_code", 0, i32, (*handler).getStatusCode},
		{"set_status_code", 1, 0, (*handler).setStatusCode},
	}
}

func (httpWASM) hostModules(ctx context.Context, r wazero.Runtime) (map[string]wazero.CompiledModule, error) {
	const name = "http_handler"
	code, err := compileFunctions(ctx, r.NewHostModuleBuilder(name), functions())
	return map[string]wazero.CompiledModule{name: code}, err
}

func compileFunctions(ctx context.Context, builder wazero.HostModuleBuilder, fns []hostFunc) (wazero.CompiledModule, error) {
	for _, f := range fns {
		in := make([]api.ValueType, f.params)
		for i := range in {
			in[i] = i32
		}
		var out []api.ValueType
		if f.result != 0 {
			out = []api.ValueType{f.result}
		}
		builder.NewFunctionBuilder().WithGoModuleFunction(f, in, out).Export(f.name)
	}
	return builder.Compile(ctx)
}

// Call is where a guest comes in. A panic is how the engine is told to trap.
func (f hostFunc) Call(ctx context.Context, mod api.Module, stack []uint64) {
	g := guestOf(ctx)
	if g == nil {
		panic(errNoGuest)
	}
	g.step()
	h, ok := g.session.(*handler)
	if !ok {
		panic(errors.New("a host function was called by a guest of another border"))
	}
	h.mem = mod.Memory()
	out := f.perform(h, stack)
	if f.result != 0 {
		stack[0] = out
	}
}

func (httpWASM) judge(m *inspect.Module) (bool, error) { return true, checkHandler(m) }

// checkHandler reports what a module lacks of the http-wasm border.
func checkHandler(m *inspect.Module) error {
	if e, ok := m.Export("memory"); !ok || e.Sort != inspect.Memory {
		return invalid("the module exports no memory under the name memory")
	}
	want := map[string]inspect.Signature{
		"handle_request":  {Results: []byte{i64}},
		"handle_response": {Params: []byte{i32, i32}},
	}
	for name, sig := range want {
		e, ok := m.Export(name)
		if !ok || e.Sort != inspect.Function {
			return invalid("the module exports no function %s: it is no http-wasm module (for Go, build it with -buildmode=c-shared and //go:wasmexport)", name)
		}
		if !e.Signature.Equal(sig) {
			return invalid("the module exports %s with another type than http-wasm gives it", name)
		}
	}
	return nil
}

func (httpWASM) attach(g *guest) session { return &handler{guest: g} }

// handler is one guest's side of the http-wasm border.
type handler struct {
	guest      *guest
	mem        api.Memory
	onRequest  api.Function
	onResponse api.Function
	base       uint32 // features enabled by the start functions
	features   uint32 // those and the ones enabled in this call
	context    uint32 // what the guest wants to see again with the answer
	x          *exchange
	stack      [2]uint64
}

// trap is why the host ended a guest.
type trap struct{ err error }

func (t trap) Error() string { return t.err.Error() }
func (t trap) Unwrap() error { return t.err }

func fail(format string, args ...any) {
	panic(trap{fmt.Errorf(format, args...)})
}

func (h *handler) started(m api.Module) {
	h.onRequest = m.ExportedFunction("handle_request")
	h.onResponse = m.ExportedFunction("handle_response")
}

func (h *handler) request(ctx context.Context, x *exchange) (bool, error) {
	h.x, h.features = x, h.base
	defer func() { h.x = nil }()
	if err := h.onRequest.CallWithStack(ctx, h.stack[:]); err != nil {
		return false, err
	}
	next := uint32(h.stack[0]) == 1
	h.context = uint32(h.stack[0] >> 32)
	if next && h.features&bufferRequest != 0 {
		// The guest may read the request again when it sees the answer, and by
		// then a stream would be gone.
		return true, x.reqBody.load()
	}
	return next, nil
}

func (h *handler) response(ctx context.Context, x *exchange, failed bool) error {
	h.x = x
	defer func() { h.x = nil }()
	h.stack[0], h.stack[1] = uint64(h.context), 0
	if failed {
		h.stack[1] = 1
	}
	return h.onResponse.CallWithStack(ctx, h.stack[:])
}

func (h *handler) callID() string {
	if h.x == nil {
		return ""
	}
	return h.x.msg.ID
}

// call is the call that the guest works on.
func (h *handler) call() *exchange {
	if h.x == nil {
		fail("there is no call while the module starts")
	}
	return h.x
}

func (h *handler) enabled(feature uint32) bool { return h.features&feature != 0 }

func invalid(format string, args ...any) error {
	return core.Errorf(core.Invalid, format, args...)
}
