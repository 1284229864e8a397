// Package api holds what both admin APIs need to speak HTTP: who calls, hrefs,
// entity tags, bounded bodies, strict JSON and the raw query.
package api

import (
	"context"
	"iter"
	"log/slog"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Deps is what the admin APIs work with. All fields but Explain, Log and
// Limits are needed.
type Deps struct {
	Catalog  *catalog.Catalog
	Identity *identity.Identity
	Live     *live.Live
	// Explain tells where a call would go. Without it nobody can ask.
	Explain func(context.Context, core.ExplainQuery) core.Explanation
	// Logs gives the caller what a system wrote, and with follow goes on until
	// ctx or the caller's credential ends. Without it nobody can ask.
	Logs   func(ctx context.Context, by core.Caller, systemID string, follow bool) iter.Seq[core.LogLine]
	Log    *slog.Logger // discards by default
	Limits Limits
}

// Limits bounds what the admin APIs read. A zero limit means the default.
type Limits struct {
	Admin  int64 // bytes of a registration; 1 MiB by default
	Module int64 // bytes of an uploaded WASM module; 64 MiB by default
}

// The default limits.
const (
	DefaultAdminLimit  = 1 << 20
	DefaultModuleLimit = 64 << 20
)

// WithDefaults returns d with the defaults filled in.
func (d Deps) WithDefaults() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Limits.Admin <= 0 {
		d.Limits.Admin = DefaultAdminLimit
	}
	if d.Limits.Module <= 0 {
		d.Limits.Module = DefaultModuleLimit
	}
	return d
}
