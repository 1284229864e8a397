package gateway

import (
	"crypto/x509"
	"sync/atomic"
)

// pool keeps the certificates of the configuration and those that are
// registered together, for as long as neither changes.
type pool struct{ made atomic.Pointer[pooled] }

type pooled struct{ configured, registered, both *x509.CertPool }

// TrustPool gives the trusted certificates that are registered, and those of
// configured, which may be nil. It is the same until one of both changes.
func (h *host) TrustPool(configured *x509.CertPool) *x509.CertPool {
	g := h.g
	if g.live == nil {
		return configured
	}
	v := g.live.View()
	registered := v.TrustPool()
	if p := g.pool.made.Load(); p != nil && p.configured == configured && p.registered == registered {
		return p.both
	}
	both := x509.NewCertPool()
	if configured != nil {
		both = configured.Clone()
	}
	v.AddTrusted(both)
	g.pool.made.Store(&pooled{configured, registered, both})
	return both
}
