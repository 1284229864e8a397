package wasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
	"github.com/annex-gateway/annex/plugins/wasm/meter"
)

const (
	pageSize = 64 << 10
	maxPages = 1 << 16
)

// hostRuntime is the engine with everything that guests may import.
type hostRuntime struct {
	wazero.Runtime
	cache   wazero.CompilationCache
	borders []border
	offers  map[string]map[string]inspect.Signature // host module → function → type
}

func newHostRuntime(ctx context.Context, opts Options, borders ...border) (*hostRuntime, error) {
	cache := wazero.NewCompilationCache()
	if opts.CacheDir != "" {
		var err error
		if cache, err = wazero.NewCompilationCacheWithDir(opts.CacheDir); err != nil {
			return nil, core.WrapError(core.Unavailable, err, "the cache of compiled WASM modules in %s cannot be used: make it a writable directory", opts.CacheDir)
		}
	}
	config := engineConfig(opts.MaxMemoryBytes).WithCompilationCache(cache)
	r := &hostRuntime{
		Runtime: wazero.NewRuntimeWithConfig(ctx, config), cache: cache,
		borders: borders, offers: map[string]map[string]inspect.Signature{},
	}
	err := r.install(ctx, meter.Module, func(ctx context.Context) (wazero.CompiledModule, error) {
		b := r.NewHostModuleBuilder(meter.Module)
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(refill), []api.ValueType{i64}, []api.ValueType{i64}).Export(meter.Function)
		return b.Compile(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, r.close(ctx))
	}
	delete(r.offers, meter.Module) // the rewriter's imports are the only ones
	for _, name := range wasiNames() {
		b := r.NewHostModuleBuilder(name)
		err := exportWASI(ctx, r, b)
		if err == nil {
			err = r.install(ctx, name, b.Compile)
		}
		if err != nil {
			return nil, errors.Join(err, r.close(ctx))
		}
	}
	for _, b := range borders {
		if err := r.offer(ctx, b); err != nil {
			return nil, errors.Join(err, r.close(ctx))
		}
	}
	return r, nil
}

// engineConfig is how modules are compiled. What is in the cache depends on it.
func engineConfig(maxMemory int64) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst).
		WithMemoryLimitPages(uint32(maxMemory / pageSize)).
		WithDebugInfoEnabled(false)
}

// offer installs the host modules of a border.
func (r *hostRuntime) offer(ctx context.Context, b border) error {
	mods, err := b.hostModules(ctx, r)
	if err != nil {
		return core.WrapError(core.Internal, err, "the host modules of the border %s cannot be built", b.name())
	}
	for name, code := range mods {
		if err := r.install(ctx, name, func(context.Context) (wazero.CompiledModule, error) { return code, nil }); err != nil {
			return err
		}
	}
	return nil
}

func (r *hostRuntime) install(ctx context.Context, name string, compile func(context.Context) (wazero.CompiledModule, error)) error {
	code, err := compile(ctx)
	if err != nil {
		return core.WrapError(core.Internal, err, "the host module %s cannot be built", name)
	}
	if _, err = r.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName(name)); err != nil {
		return core.WrapError(core.Internal, err, "the host module %s cannot be started", name)
	}
	offers := map[string]inspect.Signature{}
	for fn, def := range code.ExportedFunctions() {
		offers[fn] = inspect.Signature{Params: def.ParamTypes(), Results: def.ResultTypes()}
	}
	r.offers[name] = offers
	return nil
}

// borderOf tells which border a module is written for, and refuses what no
// border can run, by name.
func (r *hostRuntime) borderOf(m *inspect.Module) (border, error) {
	for _, b := range r.borders {
		mine, err := b.judge(m)
		if !mine {
			continue
		}
		return b, errors.Join(r.checkImports(b, m), err)
	}
	return nil, invalid("the module is written for none of the borders http-wasm, proxy-wasm and annex")
}

// checkImports refuses imports that a border does not offer.
func (r *hostRuntime) checkImports(b border, m *inspect.Module) error {
	l, links := b.(linker)
	for _, i := range m.Imports {
		offered, known := r.offers[i.Module][i.Name]
		switch {
		case i.Sort != inspect.Function:
			return core.Errorf(core.Invalid, "the module imports the %s %s.%s, and only functions are offered", i.Sort, i.Module, i.Name)
		case links && i.Module == l.own():
		case !known:
			return core.Errorf(core.Invalid, "the module imports %s.%s, which is not offered", i.Module, i.Name)
		case !offered.Equal(i.Signature):
			return core.Errorf(core.Invalid, "the module imports %s.%s with another type than it has", i.Module, i.Name)
		}
	}
	return nil
}

func (r *hostRuntime) compile(ctx context.Context, metered []byte) (code wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			code, err = nil, core.WrapError(core.Invalid, fmt.Errorf("panic: %v", p), "the compiler gave up on the module")
		}
	}()
	code, err = r.CompileModule(ctx, metered)
	if err != nil {
		// The compiler's text describes the author's own module; it names
		// neither paths nor anything of the gateway.
		return nil, core.WrapError(core.Invalid, err, "the module is not valid: %s", err)
	}
	return code, nil
}

func (r *hostRuntime) close(ctx context.Context) error {
	return errors.Join(r.Close(ctx), r.cache.Close(ctx))
}
