package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"github.com/annex-gateway/annex/core"
)

// secretBytes is the length of an extension token before it is written as
// text: more than anybody can guess.
const secretBytes = 32

// maxSecret bounds what is looked at as a secret.
const maxSecret = 1024

// IssueExtensionToken makes the password of an external service for the
// messaging bus. The secret is shown here and never again.
func (m *Identity) IssueExtensionToken(ctx context.Context, by, name, systemID string) (core.Token, string, error) {
	secret := base64.RawURLEncoding.EncodeToString(randomBytes(secretBytes))
	hash := sha256.Sum256([]byte(secret))
	t, err := m.cat.Tokens.Create(ctx, by, core.Token{Name: name, Type: core.TokenExtension, System: systemID, SecretHash: hash[:]})
	if err != nil {
		return core.Token{}, "", err
	}
	return t, secret, nil
}

// Admit tells which external service connects as user, which is
// "vendor/name/version", with an extension token as secret. It fails with
// Unauthenticated unless the token is that service's and the service is
// enabled. Slowing down those who guess is left to the caller, who sees the
// connections.
func (m *Identity) Admit(_ context.Context, user, secret string) (sys core.System, credentialID string, err error) {
	const refused = "the user name must be vendor/name/version of an enabled external service, and the password one of its extension tokens"
	if secret == "" || len(secret) > maxSecret {
		return core.System{}, "", refuse(refused)
	}
	hash := sha256.Sum256([]byte(secret))
	v := m.view()
	t, ok := v.Directory.TokenBySecret(hash[:], m.opts.Now())
	if !ok || t.Type != core.TokenExtension || subtle.ConstantTimeCompare(t.SecretHash, hash[:]) != 1 {
		return core.System{}, "", refuse(refused)
	}
	e, ok := v.System(t.System)
	if !ok || !e.System.Enabled || e.System.Triplet() != user {
		return core.System{}, "", refuse(refused)
	}
	return e.System, t.ID, nil
}
