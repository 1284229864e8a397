// Package localca is a certificate authority of one machine: made at the
// first start, kept in a directory, good for trying things out and for
// clients that are told to trust it.
package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	skew     = time.Hour // for clocks that are behind ours
)

// CA signs server certificates.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	file string
}

// Open reads the authority from dir, or makes one there. The directory and
// the key are readable by their owner only.
func Open(dir string) (*CA, error) {
	c, err := read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, c.create(dir)
	}
	return c, err
}

// Check tells what is wrong with the authority in dir, if there is one. It
// changes nothing.
func Check(dir string) error {
	if _, err := read(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read gives fs.ErrNotExist when there is no certificate: the key alone is
// what an interrupted start leaves behind.
func read(dir string) (*CA, error) {
	c := &CA{file: filepath.Join(dir, "ca.pem")}
	certPEM, err := os.ReadFile(c.file)
	if err != nil {
		return c, err
	}
	unusable := func(err error) (*CA, error) {
		return nil, fmt.Errorf("the local certificate authority in %s cannot be used: %w (delete ca.pem and ca.key there to have a new one made, which clients must be told to trust)", dir, err)
	}
	keyPEM, err := os.ReadFile(keyFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return unusable(errors.New("ca.key is missing"))
	} else if err != nil {
		return unusable(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return unusable(err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return unusable(errors.New("ca.key is not a key of this program's making"))
	}
	c.cert, c.key, c.pem = pair.Leaf, key, certPEM
	return c, nil
}

func keyFile(dir string) string { return filepath.Join(dir, "ca.key") }

func (c *CA) create(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Annex local authority"},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(caLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	c.key = key
	c.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	// The key first: a certificate without its key would stop the next start.
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := writeWhole(keyFile(dir), keyPEM); err != nil {
		return err
	}
	return writeWhole(c.file, c.pem)
}

// writeWhole writes a file that is there whole or not at all, whenever the
// process ends.
func writeWhole(name string, b []byte) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// File is where the authority's certificate lies, for clients to trust.
func (c *CA) File() string { return c.file }

// PEM is the authority's certificate.
func (c *CA) PEM() []byte { return bytes.Clone(c.pem) }

// Issue makes a server certificate for the names and addresses.
func (c *CA) Issue(hosts ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: hosts[0]},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der, c.cert.Raw}, PrivateKey: key, Leaf: leaf}, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic("localca: no randomness: " + err.Error())
	}
	return n
}
