package oidc

import (
	"encoding/base64"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/annex-gateway/annex/core"
)

// MaxToken is the length of the longest token that is looked at.
const MaxToken = 8 << 10

// header is what is read of a token's header. Keys and addresses of keys that
// it may hold count for nothing.
type header struct {
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid"`
	Type      string         `json:"typ"`
	Critical  jsontext.Value `json:"crit"`
}

// parts are the decoded pieces of a token and the text that is signed.
type parts struct {
	header    header
	payload   []byte
	signature []byte
	signed    string
}

// split takes a token apart.
func split(token string) (parts, bool) {
	var p parts
	if len(token) > MaxToken || strings.Count(token, ".") != 2 || strings.ContainsAny(token, "\r\n") {
		return p, false // the decoder would pass over line breaks
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	b64 := base64.RawURLEncoding.Strict()
	head, err1 := b64.DecodeString(token[:first])
	payload, err2 := b64.DecodeString(token[first+1 : last])
	signature, err3 := b64.DecodeString(token[last+1:])
	if err1 != nil || err2 != nil || err3 != nil || len(signature) == 0 {
		return p, false
	}
	if json.Unmarshal(head, &p.header) != nil {
		return p, false
	}
	p.payload, p.signature, p.signed = payload, signature, token[:last]
	return p, p.header.Critical == nil && p.header.plain()
}

// plain reports whether the header says that the token is one for its bearer.
// Issuers sign other things with the same keys: notices of logout, proofs.
func (h header) plain() bool {
	switch strings.TrimPrefix(strings.ToLower(h.Type), "application/") {
	case "", "jwt", "at+jwt":
		return true
	}
	return false
}

// IssuerOf returns the issuer that a token names, or "". Nothing about the
// token has been checked.
func IssuerOf(token string) string {
	if len(token) > MaxToken || strings.Count(token, ".") != 2 {
		return ""
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	payload, err := base64.RawURLEncoding.Strict().DecodeString(token[first+1 : last])
	if err != nil {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Issuer
}

// Claims are those of a token whose signature was right.
type Claims struct{ of map[string]jsontext.Value }

// Text returns a claim that is a string, or "".
func (c Claims) Text(name string) string {
	var s string
	if json.Unmarshal(c.of[name], &s) != nil {
		return ""
	}
	return s
}

// Texts returns a claim that is a string or a list of strings, or nil.
func (c Claims) Texts(name string) []string {
	if s := c.Text(name); s != "" {
		return []string{s}
	}
	var list []string
	if json.Unmarshal(c.of[name], &list) != nil {
		return nil
	}
	return list
}

// False reports whether a claim is there and is false.
func (c Claims) False(name string) bool {
	v := true
	return json.Unmarshal(c.of[name], &v) == nil && !v || c.Text(name) == "false"
}

// has reports whether a claim is there.
func (c Claims) has(name string) bool { return c.of[name] != nil }

// moment returns a claim that is a time. One that is there and is not a time
// is not ok.
func (c Claims) moment(name string) (at time.Time, ok bool) {
	if !c.has(name) {
		return time.Time{}, true
	}
	var seconds float64
	// 2^53 seconds are more than any clock shows.
	if c.of[name].Kind() != '0' || json.Unmarshal(c.of[name], &seconds) != nil || seconds <= 0 || seconds > 1<<53 {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// judge reads the claims of a token of the issuer and checks all that does not
// change with time.
func judge(is core.Issuer, payload []byte) (t Token, ok bool) {
	if json.Unmarshal(payload, &t.of) != nil || t.Text("iss") != is.URL || is.Audience == "" {
		return t, false
	}
	audience := false
	for _, a := range t.Texts("aud") {
		audience = audience || a == is.Audience
	}
	// One that is bound to a key of its holder is no token for whoever has it.
	if !audience || t.has("cnf") {
		return t, false
	}
	var okExp, okNbf, okIat bool
	t.expires, okExp = t.moment("exp")
	t.notBefore, okNbf = t.moment("nbf")
	issued, okIat := t.moment("iat")
	if issued.After(t.notBefore) {
		t.notBefore = issued
	}
	return t, okExp && okNbf && okIat && !t.expires.IsZero()
}
