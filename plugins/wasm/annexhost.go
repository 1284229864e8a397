package wasm

import (
	"context"
	"slices"

	"github.com/tetratelabs/wazero"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// annexModule is the name that the gateway's own functions are imported from.
const annexModule = "annex"

// annexBorder is the http-wasm border with the gateway's own functions. A
// module that imports none of them is an http-wasm module.
type annexBorder struct{ httpWASM }

func (annexBorder) name() string { return "annex" }

func (annexBorder) hostModules(ctx context.Context, r wazero.Runtime) (map[string]wazero.CompiledModule, error) {
	code, err := compileFunctions(ctx, r.NewHostModuleBuilder(annexModule), annexFunctions())
	return map[string]wazero.CompiledModule{annexModule: code}, err
}

func (annexBorder) judge(m *inspect.Module) (mine bool, err error) {
	if !slices.ContainsFunc(m.Imports, func(i inspect.Import) bool { return i.Module == annexModule }) {
		return false, nil
	}
	return true, checkHandler(m)
}

func annexFunctions() []hostFunc {
	return []hostFunc{
		{"stage", 2, i32, (*handler).getStage},
		{"caller", 3, i32, (*handler).getCaller},
		{"has_right", 2, i32, (*handler).hasRight},
		{"rights", 2, i64, (*handler).getRights},
		{"claim", 4, 0, (*handler).claim},
		{"state_get", 5, i64, (*handler).stateGet},
		{"state_put", 6, i32, (*handler).statePut},
		{"state_delete", 4, i32, (*handler).stateDelete},
		{"fetch", 9, i32, (*handler).fetch},
		{"fetch_header", 4, i64, (*handler).fetchHeader},
		{"fetch_body", 2, i64, (*handler).fetchBody},
		{"metric", 4, i32, (*handler).metric},
	}
}

func (h *handler) getStage(p params) uint64 {
	return h.put(p.u32(0), p.u32(1), string(h.call().msg.Route.Stage))
}

// getCaller gives what is known of the caller: 0 the user's name, 1 their id,
// 2 the organisation's name, 3 its id, 4 "provider" for a system
// administrator. All are empty where nobody is known, as before authenticate.
func (h *handler) getCaller(p params) uint64 {
	c := h.call().msg.Caller
	kind := ""
	if c.Provider() {
		kind = "provider"
	}
	parts := [...]string{c.UserName, c.UserID, c.OrgName, c.OrgID, kind}
	if p.u32(0) >= uint32(len(parts)) {
		fail("part %d of a caller is not known", p.u32(0))
	}
	return h.put(p.u32(1), p.u32(2), parts[p.u32(0)])
}

func (h *handler) hasRight(p params) uint64 {
	right, ok := h.text(p, 0, maxRight)
	return uint64(flagOf(ok && h.call().msg.Caller.Rights.Has(right)))
}

// getRights gives the names of the caller's rights; none for who holds all.
func (h *handler) getRights(p params) uint64 {
	return h.putList(p.u32(0), p.u32(1), h.call().msg.Caller.Rights.Names(), same)
}

const (
	maxName  = 256
	maxRight = 4 << 10
)

// claim names the user on whose behalf the call is made. It belongs to the
// stage authenticate; the gateway finds out whether there is such a user.
func (h *handler) claim(p params) uint64 {
	x := h.call()
	if x.msg.Route.Stage != core.OnAuthenticate {
		fail("the guest names the caller at the stage %s, and only the stage authenticate may", x.msg.Route.Stage)
	}
	user, org := h.read(p.u32(0), p.u32(1)), h.read(p.u32(2), p.u32(3))
	if len(user) == 0 || len(user) > maxName || len(org) == 0 || len(org) > maxName {
		fail("the guest names a caller without user or organisation, or with a name of more than %d bytes", maxName)
	}
	x.claim = &core.Claim{User: string(user), Org: string(org)}
	return 0
}

func (h *handler) metric(p params) uint64 {
	sorts := [...]core.MetricSort{core.Counter, core.Gauge, core.Histogram}
	if p.u32(0) >= uint32(len(sorts)) {
		fail("metrics of sort %d are not known", p.u32(0))
	}
	value, ok := h.mem.ReadUint64Le(p.u32(3))
	if !ok {
		fail("the guest points outside of its memory: 8 bytes at %d", p.u32(3))
	}
	metrics := h.guest.pool.metrics
	name, fits := h.text(p, 1, maxMetricName)
	if !fits {
		return 0
	}
	id, ok := metrics.define(sorts[p.u32(0)], name)
	if !ok {
		return 0
	}
	if p.u32(0) == 0 {
		return uint64(flagOf(metrics.add(id, int64(value)) == statusOK))
	}
	return uint64(flagOf(metrics.record(id, value) == statusOK))
}
