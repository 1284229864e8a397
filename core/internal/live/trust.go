package live

import (
	"crypto/x509"
	"sync"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// trust is the trusted certificates as of one moment, shared by the views
// between two changes. The pool is made when somebody asks for it first.
type trust struct {
	certificates map[string]core.TrustedCertificate // by id
	once         sync.Once
	pool         *x509.CertPool
}

// with returns trust with one certificate changed or gone.
func (t *trust) with(c catalog.Change) *trust {
	name := func(k core.TrustedCertificate) (string, string) { return k.ID, k.ID }
	return &trust{certificates: changed(t.certificates, c, name)}
}

// TrustPool returns the certificates that calls to external endpoints are
// checked against, and no others. It is not to be changed, and the same until
// a certificate comes, changes or goes.
func (v *View) TrustPool() *x509.CertPool {
	t := v.trust
	t.once.Do(func() {
		t.pool = x509.NewCertPool()
		v.AddTrusted(t.pool)
	})
	return t.pool
}

// AddTrusted adds the registered certificates to a pool.
func (v *View) AddTrusted(to *x509.CertPool) {
	for _, c := range v.trust.certificates {
		to.AppendCertsFromPEM([]byte(c.PEM))
	}
}
