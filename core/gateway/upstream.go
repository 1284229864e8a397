package gateway

import (
	"crypto/x509"
	"net/netip"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/forward"
	"github.com/annex-gateway/annex/core/internal/native/upstream"
)

// Upstream is the API that is being extended, when another server has it.
type Upstream struct {
	// URL is where its paths begin, such as "https://api.internal:8443/v1".
	URL string
	// Credentials say on whose behalf it is called: "none" by default, "pass"
	// for the caller's own as they came, "identity" for the gateway's signed
	// word on who calls, in X-Annex-Identity, "basic" for User and Password,
	// "header" for a field named Header with the Value.
	Credentials    string
	User, Password string
	Header, Value  string
	// Trust gives the certificate authorities that it is checked against; nil
	// for those of this machine.
	Trust func() *x509.CertPool
	// Guard judges every address before it is dialled; nil allows all.
	Guard func(netip.AddrPort) error
}

func (u Upstream) open(g *Gateway) (core.Conn, error) {
	return upstream.New(u.URL, upstream.Options{
		Credentials: upstream.Credentials{
			Mode: upstream.Mode(u.Credentials), Sign: g.identity.SignIdentity,
			User: u.User, Password: u.Password, Header: u.Header, Value: u.Value,
		},
		Server: forward.Options{Trust: u.Trust, Guard: u.Guard, Log: g.opts.Log},
	})
}
