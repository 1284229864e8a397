package identity

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// purpose keeps the kinds of tokens apart: none is ever taken for another.
type purpose string

const (
	forSession  purpose = "session"  // a login, towards the gateway
	forCall     purpose = "call"     // acts as the caller of one call, towards the gateway
	forIdentity purpose = "identity" // tells an external system who calls; never a credential here
)

const (
	algorithm    = "ES256"
	tokenType    = "JWT"
	maxToken     = 8 << 10 // bytes
	signatureLen = 64
)

// header is all that the header of our tokens holds. A token whose header
// holds anything else, a key or the address of one, is none of ours.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// claims are those of a token that the gateway itself accepts.
type claims struct {
	Issuer    string  `json:"iss"`
	Audience  string  `json:"aud"`
	Subject   string  `json:"sub"`
	Session   string  `json:"sid,omitempty"`
	Token     string  `json:"tid,omitempty"` // the API token that all this hangs on
	Purpose   purpose `json:"purpose"`
	IssuedAt  int64   `json:"iat"`
	NotBefore int64   `json:"nbf"`
	Expires   int64   `json:"exp"`
}

// verified is a token whose signature was right.
type verified struct {
	claims
	keyID string
}

// parts are the decoded pieces of a token and the text that is signed.
type parts struct {
	header    header
	payload   []byte
	signature []byte
	signed    string
}

// split takes a token apart. It accepts one form of each token only, so that
// nothing that differs from what was issued passes for it.
func split(token string) (parts, bool) {
	var p parts
	if len(token) > maxToken || strings.Count(token, ".") != 2 || !plain(token) {
		return p, false
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	b64 := base64.RawURLEncoding.Strict()
	head, err1 := b64.DecodeString(token[:first])
	payload, err2 := b64.DecodeString(token[first+1 : last])
	signature, err3 := b64.DecodeString(token[last+1:])
	if err1 != nil || err2 != nil || err3 != nil || len(signature) != signatureLen {
		return p, false
	}
	if json.Unmarshal(head, &p.header, json.RejectUnknownMembers(true)) != nil {
		return p, false
	}
	p.payload, p.signature, p.signed = payload, signature, token[:last]
	return p, p.header.Algorithm == algorithm && p.header.Type == tokenType && p.header.KeyID != ""
}

// plain reports whether s has only characters of a token. The base64 decoder
// would pass over line breaks.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// verify checks a token's form and signature and whom it is for. Whether it
// counts at this moment is checked by [Identity.current].
func (m *Identity) verify(d *live.Directory, token string) (*verified, error) {
	p, ok := split(token)
	if !ok {
		return nil, refuse(badToken)
	}
	key, ok := d.Key(p.header.KeyID)
	if !ok {
		return nil, refuse(badToken)
	}
	pair, err := m.keys.pair(key)
	if err != nil {
		return nil, err
	}
	if jwt.SigningMethodES256.Verify(p.signed, p.signature, pair.public) != nil {
		return nil, refuse(badToken)
	}
	v := &verified{keyID: key.ID}
	if json.Unmarshal(p.payload, &v.claims) != nil || !m.ours(v.claims) {
		return nil, refuse(badToken)
	}
	return v, nil
}

// ours reports whether the claims are complete and name this gateway.
func (m *Identity) ours(c claims) bool {
	if c.Issuer != m.opts.Issuer || c.Audience != m.opts.Issuer {
		return false
	}
	if c.Subject == "" || c.IssuedAt <= 0 || c.Expires <= 0 {
		return false
	}
	// A session token is nothing without its session; a token for a call may
	// act as a caller who came without one.
	return c.Purpose == forSession && c.Session != "" || c.Purpose == forCall
}

// timely reports whether now lies within the times of the token.
func (c claims) timely(now time.Time) bool {
	const slack = int64(leeway / time.Second)
	n := now.Unix()
	return n-slack < c.Expires && c.IssuedAt <= n+slack && c.NotBefore <= n+slack
}

// current tells who a verified token stands for at this moment.
func (m *Identity) current(d *live.Directory, v *verified, now time.Time) (core.Caller, error) {
	key, ok := d.Key(v.keyID)
	if !ok || !m.verifies(key, now) || !v.timely(now) {
		return core.Caller{}, refuse(endedSession)
	}
	if v.Session != "" {
		s, ok := d.Session(v.Session, now)
		if !ok || s.UserID != v.Subject {
			return core.Caller{}, refuse(endedSession)
		}
	}
	if v.Token != "" {
		t, ok := d.Token(v.Token, now)
		if !ok || t.Type != core.TokenRefresh || t.UserID != v.Subject || len(t.SecretHash) == 0 {
			return core.Caller{}, refuse(endedSession)
		}
	}
	c, ok := d.Caller(v.Subject)
	if !ok {
		return core.Caller{}, refuse(endedSession)
	}
	c.SessionID, c.TokenID = v.Session, v.Token
	return c, nil
}

// sign makes a token of the claims with the newest key.
func (m *Identity) sign(d *live.Directory, claims any) (token, keyID string, err error) {
	key, ok := newest(d.Keys())
	if !ok {
		return "", "", core.Errorf(core.Unavailable, "the gateway has no signing key: look at its log and start it again")
	}
	pair, err := m.keys.pair(key)
	if err != nil {
		return "", "", err
	}
	head, err := json.Marshal(header{Algorithm: algorithm, KeyID: key.ID, Type: tokenType})
	if err != nil {
		return "", "", core.WrapError(core.Internal, err, "a token could not be made")
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", "", core.WrapError(core.Internal, err, "a token could not be made")
	}
	b64 := base64.RawURLEncoding
	text := b64.EncodeToString(head) + "." + b64.EncodeToString(payload)
	signature, err := jwt.SigningMethodES256.Sign(text, pair.private)
	if err != nil {
		return "", "", core.WrapError(core.Internal, err, "a token could not be signed")
	}
	return text + "." + b64.EncodeToString(signature), key.ID, nil
}

// claimsFor are those of a token for the gateway itself.
func (m *Identity) claimsFor(p purpose, c core.Caller, now, expires time.Time) claims {
	return claims{
		Issuer: m.opts.Issuer, Audience: m.opts.Issuer, Subject: c.UserID, Session: c.SessionID, Token: c.TokenID, Purpose: p,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: expires.Unix(),
	}
}
