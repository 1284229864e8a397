package catalog

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"unicode"

	"github.com/annex-gateway/annex/core"
)

// maxPEM bounds the text of certificates.
const maxPEM = 64 << 10

func (c *Catalog) certificateRules() rules[core.TrustedCertificate] {
	return rules[core.TrustedCertificate]{
		name: "certificate", noun: "trusted certificate", prefix: core.CertificatePrefix,
		id:      func(t *core.TrustedCertificate) *string { return &t.ID },
		meta:    func(t *core.TrustedCertificate) *core.Meta { return &t.Meta },
		unique:  func(t core.TrustedCertificate) []string { return []string{"alias/" + strings.ToLower(t.Alias)} },
		prepare: checkTrusted,
	}
}

func checkTrusted(_ context.Context, t *core.TrustedCertificate) error {
	if t.Alias == "" || len(t.Alias) > 128 || strings.ContainsFunc(t.Alias, unicode.IsControl) {
		return core.Errorf(core.Invalid, "alias %.130q: a trusted certificate needs an alias of 1 to 128 bytes without control characters", t.Alias)
	}
	list, err := certificates("certificate", t.PEM)
	switch {
	case err != nil:
		return err
	case len(list) != 1:
		return core.Errorf(core.Invalid, "certificate: %d certificates are given; register each of them by itself", len(list))
	}
	t.PEM = string(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: list[0].Raw}))
	t.NotAfter = list[0].NotAfter.UTC()
	return nil
}

// checkAuthorities judges the authorities of an issuer; none is fine.
func checkAuthorities(text string) error {
	if text == "" {
		return nil
	}
	_, err := certificates("ca", text)
	return err
}

const pemType = "CERTIFICATE"

// certificates reads PEM that holds one certificate or several, and nothing
// else: what is between them could be a private key.
func certificates(field, text string) ([]*x509.Certificate, error) {
	if len(text) > maxPEM {
		return nil, core.Errorf(core.Invalid, "%s: at most %d bytes of PEM are read, and %d are given", field, maxPEM, len(text))
	}
	var list []*x509.Certificate
	for rest := strings.TrimSpace(text); rest != ""; {
		block, after := pem.Decode([]byte(rest))
		if block == nil || block.Type != pemType || !strings.HasPrefix(rest, "-----BEGIN "+pemType+"-----") {
			return nil, core.Errorf(core.Invalid, "%s: PEM is needed that holds blocks \"-----BEGIN CERTIFICATE-----\" and nothing else", field)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, core.WrapError(core.Invalid, err, "%s: block %d of the PEM is no X.509 certificate", field, len(list)+1)
		}
		list = append(list, c)
		rest = strings.TrimSpace(string(after))
	}
	if len(list) == 0 {
		return nil, core.Errorf(core.Invalid, "%s: the PEM of an X.509 certificate is missing", field)
	}
	return list, nil
}
