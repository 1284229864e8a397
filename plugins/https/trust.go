package https

import (
	"crypto/x509"

	"github.com/annex-gateway/annex/core"
)

// Trust gives the certificate authorities of endpoints. Another pool than
// before takes effect with the next call: it opens new connections, and the
// idle ones made under the old pool are dropped.
type Trust interface {
	// Pool returns the pool of now, which is not changed afterwards. It is
	// called for every call.
	Pool() *x509.CertPool
}

type fixedTrust struct{ pool *x509.CertPool }

// Pool returns the same pool always.
func (f fixedTrust) Pool() *x509.CertPool { return f.pool }

// registeredTrust adds what is registered with the host.
type registeredTrust struct {
	host       core.Truster
	configured Trust
}

// Pool returns both together.
func (r registeredTrust) Pool() *x509.CertPool { return r.host.TrustPool(r.configured.Pool()) }

// TrustOnly is a Trust that never changes.
func TrustOnly(pool *x509.CertPool) Trust { return fixedTrust{pool} }

// SystemRoots is the Trust in the authorities that this machine trusts.
func SystemRoots() (Trust, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, core.WrapError(core.Internal, err, "the certificate authorities of this machine cannot be read")
	}
	return fixedTrust{pool}, nil
}
