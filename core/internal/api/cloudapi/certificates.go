package cloudapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
)

// trustedForm is a trusted certificate in JSON.
type trustedForm struct {
	ID          string `json:"id"`
	Alias       string `json:"alias"`
	Certificate string `json:"certificate"` // PEM
}

func (a *cloud) trusted() resource[core.TrustedCertificate, trustedForm] {
	return resource[core.TrustedCertificate, trustedForm]{
		path: trustedPath, noun: "trusted certificate", table: a.Catalog.Trusted,
		id:   func(t core.TrustedCertificate) string { return t.ID },
		meta: func(t core.TrustedCertificate) core.Meta { return t.Meta },
		attributes: attributes[core.TrustedCertificate]{
			"id":    text(func(t core.TrustedCertificate) string { return t.ID }),
			"alias": text(func(t core.TrustedCertificate) string { return t.Alias }),
		},
		encode: func(t core.TrustedCertificate) trustedForm {
			return trustedForm{ID: t.ID, Alias: t.Alias, Certificate: t.PEM}
		},
		notes: noteExpiry,
		build: func(_ actor, in trustedForm) (core.TrustedCertificate, error) {
			return core.TrustedCertificate{Alias: in.Alias, PEM: in.Certificate}, nil
		},
	}
}

// noteExpiry warns of a certificate that can be registered but serves nobody.
func noteExpiry(c echo.Context, t core.TrustedCertificate) {
	if time.Now().After(t.NotAfter) {
		c.Response().Header().Set("Warning", `299 - "the certificate expired at `+t.NotAfter.Format(time.RFC3339)+`: connections that rest on it fail"`)
	}
}
