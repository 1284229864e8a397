package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// border is one way of talking to guests: an ABI. The two conditions that
// tell borders apart are in a module's imports and exports.
type border interface {
	// name is the word for the border in messages.
	name() string
	// hostModule is the name under which its functions are imported.
	hostModule() string
	// install makes the functions known to r.
	install(ctx context.Context, r wazero.Runtime) (wazero.CompiledModule, error)
	// check reports why a module cannot be a guest here, beyond its imports.
	check(m *inspect.Module) error
	// attach makes what one guest needs, before its start functions run.
	attach(g *guest) session
}

// session is one guest's side of a border. It runs one call at a time.
type session interface {
	// started is called once the start functions have run.
	started(m api.Module)
	// request shows the request of x. It reports whether the call goes on.
	request(ctx context.Context, x *exchange) (next bool, err error)
	// response shows the answer of x; failed means that there is none, and
	// the guest is to forget the call.
	response(ctx context.Context, x *exchange, failed bool) error
}
