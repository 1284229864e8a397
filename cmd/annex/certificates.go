package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/cmd/annex/localca"
)

// certificates is the server certificate of a door: the operator's, or one of
// the local authority, which is renewed before it ends.
type certificates struct {
	pair    config.Pair // empty: of the local authority
	ca      *localca.CA
	names   []string
	log     *slog.Logger
	current atomic.Pointer[tls.Certificate]
	renewal sync.Mutex
}

// renewBefore is how long before its end a certificate is replaced or
// complained about.
const renewBefore = 30 * 24 * time.Hour

// load reads or issues the certificate. On failure the old one stays.
func (c *certificates) load() error {
	cert, err := c.make()
	if err != nil {
		return err
	}
	if left := time.Until(cert.Leaf.NotAfter); left < renewBefore {
		c.log.Warn("the server's certificate ends soon or has ended", "certificate", c.pair.Certificate, "ends", cert.Leaf.NotAfter)
	}
	c.current.Store(&cert)
	return nil
}

func (c *certificates) make() (tls.Certificate, error) {
	if c.pair != (config.Pair{}) {
		return loadPair(c.pair)
	}
	cert, err := c.ca.Issue(c.names...)
	if err != nil {
		return cert, fmt.Errorf("make the server's certificate: %w", err)
	}
	return cert, nil
}

// local reports whether clients need the local authority to trust c.
func (c *certificates) local() bool { return c != nil && c.pair == (config.Pair{}) }

// get is the GetCertificate of a tls.Config.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert := c.current.Load()
	if !c.local() || time.Until(cert.Leaf.NotAfter) > renewBefore || !c.renewal.TryLock() {
		return cert, nil
	}
	defer c.renewal.Unlock()
	if err := c.load(); err != nil {
		c.log.Error("the server's certificate could not be renewed", "err", err)
	}
	return c.current.Load(), nil
}

func loadPair(p config.Pair) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return cert, fmt.Errorf("the server's certificate %s with key %s cannot be used: %w", p.Certificate, p.Key, err)
	}
	return cert, nil
}

// trust is the pool of authorities that endpoints are checked against, and the
// one that the upstream is. They can be changed while they are used.
type trust struct{ pool, upstream atomic.Pointer[x509.CertPool] }

// Pool gives the pool of now.
func (t *trust) Pool() *x509.CertPool { return t.pool.Load() }

// load reads the authorities; the local one is always among them. On failure
// the old pool stays.
func (t *trust) load(c config.Trust, ca *localca.CA) error {
	pool, err := readTrust(c)
	if err != nil {
		return err
	}
	pool.AppendCertsFromPEM(ca.PEM())
	// The upstream is the operator's own choice: this machine's authorities
	// are good enough for it, and need not be those of strangers' endpoints.
	upstream, err := readTrust(config.Trust{Files: c.Files, System: true})
	if err != nil {
		return err
	}
	t.pool.Store(pool)
	t.upstream.Store(upstream)
	return nil
}

func readTrust(c config.Trust) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	var errs []error
	if c.System {
		p, err := x509.SystemCertPool()
		if err != nil {
			errs = append(errs, fmt.Errorf("trust.system: the authorities of this machine cannot be read: %w", err))
		} else {
			pool = p
		}
	}
	for _, file := range c.Files {
		b, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the trusted authority: %w", err))
		} else if !pool.AppendCertsFromPEM(b) {
			errs = append(errs, fmt.Errorf("%s holds no PEM certificate", file))
		}
	}
	return pool, errors.Join(errs...)
}
