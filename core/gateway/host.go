package gateway

import (
	"context"
	"io"
	"log/slog"

	"github.com/annex-gateway/annex/core"
)

// host is what kinds may ask of the gateway.
type host struct{ g *Gateway }

// Admit tells which system connects with these credentials.
func (h *host) Admit(ctx context.Context, user, secret string) (core.System, string, error) {
	if h.g.live == nil {
		return core.System{}, "", core.Errorf(core.Unavailable, "the gateway is still starting")
	}
	return h.g.identity.Admit(ctx, user, secret)
}

// State is the memory of one system.
func (h *host) State(systemID string) core.State { return h.g.catalog.State(systemID) }

// Log is where kinds log.
func (h *host) Log() *slog.Logger { return h.g.opts.Log }

// MintToken issues a short-lived token that acts as the caller.
func (h *host) MintToken(ctx context.Context, c core.Caller) (string, error) {
	return h.g.identity.MintToken(ctx, c)
}

// SignIdentity vouches for the caller to one audience.
func (h *host) SignIdentity(ctx context.Context, c core.Caller, audience, tenant string) (string, error) {
	return h.g.identity.SignIdentity(ctx, c, audience, tenant)
}

// OpenModule gives the bytes of an uploaded module.
func (h *host) OpenModule(ctx context.Context, digest string) (io.ReadCloser, error) {
	return h.g.catalog.OpenModule(ctx, digest)
}
