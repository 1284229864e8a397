package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// border is one way of talking to guests: an ABI. Which one a module is
// written for is told by its imports and exports.
type border interface {
	// name is the word for the border in messages.
	name() string
	// hostModules are the modules that guests import from, by name, compiled
	// for r. They are shared by all guests.
	hostModules(ctx context.Context, r wazero.Runtime) (map[string]wazero.CompiledModule, error)
	// judge reports whether a module is written for the border, and then why
	// it cannot be a guest, beyond its imports.
	judge(m *inspect.Module) (mine bool, err error)
	// attach makes what one guest needs, before its start functions run.
	attach(g *guest) session
}

// linker is offered by a border that makes one host module for each module,
// because what modules import of it is not the same for all.
type linker interface {
	// own is the name that the module is imported by.
	own() string
	// link makes it for m.
	link(ctx context.Context, r wazero.Runtime, m *inspect.Module) (*linked, error)
}

// linked is a host module that was made for one module.
type linked struct {
	mod  api.Module
	code wazero.CompiledModule
}

func (l *linked) close(ctx context.Context) {
	_ = l.mod.Close(ctx)
	_ = l.code.Close(ctx)
}

// session is one guest's side of a border.
type session interface {
	// started is called once the start functions have run, and again when the
	// functions that it has taken of m are to be let go.
	started(m api.Module)
	// callID is that of the call that the guest works on, or empty.
	callID() string
}

// turns is the session of a guest that runs one call at a time.
type turns interface {
	session
	// request shows the request of x. It reports whether the call goes on.
	request(ctx context.Context, x *exchange) (next bool, err error)
	// response shows the answer of x; failed means that there is none, and
	// the guest is to forget the call.
	response(ctx context.Context, x *exchange, failed bool) error
}

// link makes the host module that only m imports from, if its border has one.
func (r *hostRuntime) link(ctx context.Context, m *module) error {
	l, ok := m.border.(linker)
	if !ok {
		return nil
	}
	own, err := l.link(ctx, r, m.info)
	m.linked = own
	return err
}

// withLinks makes an instance of m find the host module that is its own.
func (m *module) withLinks(ctx context.Context) context.Context {
	l, ok := m.border.(linker)
	if !ok {
		return ctx
	}
	return experimental.WithImportResolver(ctx, func(name string) api.Module {
		if name == l.own() {
			return m.linked.mod
		}
		return nil
	})
}
