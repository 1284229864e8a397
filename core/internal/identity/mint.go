package identity

import (
	"context"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// issued is a token that may be handed out again.
type issued struct {
	token  string
	keyID  string
	caller core.Caller
	until  time.Time // handed out no longer
}

// fresh reports whether the token may be handed out for c: it was made for
// the very same caller, rights included, and its key still signs.
func (t *issued) fresh(d *live.Directory, c core.Caller, now time.Time) bool {
	key, ok := d.Key(t.keyID)
	return ok && key.Retired.IsZero() && now.Before(t.until) && t.caller.Equal(c)
}

// issue hands out the token remembered under name, or a new one.
func (m *Identity) issue(name string, c core.Caller, reuse time.Duration, make func(now time.Time) any) (string, error) {
	now, d := m.opts.Now(), m.view().Directory
	if t, ok := m.issued.get(name); ok && t.fresh(d, c, now) {
		return t.token, nil
	}
	token, keyID, err := m.sign(d, make(now))
	if err != nil {
		return "", err
	}
	m.issued.put(name, &issued{token, keyID, c, now.Add(reuse)})
	return token, nil
}

// MintToken gives a token for the gateway that acts as the caller. It dies
// with the caller's session and API token, and after CallTTL at the latest;
// that of a caller who has neither dies with the user.
func (m *Identity) MintToken(_ context.Context, c core.Caller) (string, error) {
	if !c.Known() {
		return "", refuse(noCredential)
	}
	return m.issue("call\x00"+c.UserID+"\x00"+c.SessionID+"\x00"+c.TokenID, c, m.opts.CallTTL/callReusePart, func(now time.Time) any {
		return m.claimsFor(forCall, c, now, now.Add(m.opts.CallTTL))
	})
}

// identityClaims tell an external system who calls.
type identityClaims struct {
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	Subject   string   `json:"sub"`
	Purpose   purpose  `json:"purpose"`
	ID        string   `json:"jti"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	User      string   `json:"user"`
	Org       string   `json:"org"`
	OrgID     string   `json:"org_id"`
	Roles     []string `json:"roles"`
	Rights    []string `json:"rights"`
	AllRights bool     `json:"all_rights,omitempty"`
	Tenant    string   `json:"tenant,omitempty"`
}

// SignIdentity gives a token that tells audience, and nobody else, who calls.
// It is good for a minute and no credential for the gateway. Tenant is the
// organisation named in the path, if any.
func (m *Identity) SignIdentity(_ context.Context, c core.Caller, audience, tenant string) (string, error) {
	if !c.Known() {
		return "", refuse(noCredential)
	}
	name := "identity\x00" + c.UserID + "\x00" + c.SessionID + "\x00" + c.TokenID + "\x00" + tenant + "\x00" + audience
	return m.issue(name, c, identityReuse, func(now time.Time) any {
		roles := make([]string, 0, len(c.Roles))
		for _, r := range c.Roles {
			roles = append(roles, r.Name)
		}
		return identityClaims{
			Issuer: m.opts.Issuer, Audience: audience, Subject: c.UserID, Purpose: forIdentity, ID: core.NewUUID(),
			IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(identityTTL).Unix(),
			User: c.UserName, Org: c.OrgName, OrgID: c.OrgID,
			Roles: roles, Rights: c.Rights.Names(), AllRights: c.Rights.All(), Tenant: tenant,
		}
	})
}
