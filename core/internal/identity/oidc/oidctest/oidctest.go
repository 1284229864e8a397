// Package oidctest runs an OpenID Connect issuer on the loopback interface,
// for tests of what trusts one.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/annex-gateway/annex/core"
)

// The paths at which an issuer answers.
const (
	Discovery = "/.well-known/openid-configuration"
	Keys      = "/keys"
)

// Audience is what the tokens are for.
const Audience = "annex-test"

// Issuer is a running issuer. It is safe for concurrent use.
type Issuer struct {
	tb     testing.TB
	server *httptest.Server

	mu       sync.Mutex
	keys     []Key
	instead  map[string]http.HandlerFunc
	requests map[string]int
}

// Key is a key pair of an issuer.
type Key struct {
	ID        string
	Algorithm string
	Private   crypto.Signer
}

// Start runs an issuer with one ES256 key until the test ends.
func Start(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb, instead: map[string]http.HandlerFunc{}, requests: map[string]int{}}
	i.server = httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	i.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	i.server.StartTLS()
	tb.Cleanup(i.server.Close)
	i.keys = []Key{i.NewKey("first", "ES256")}
	return i
}

// URL is how the issuer calls itself.
func (i *Issuer) URL() string { return i.server.URL }

// CA is the certificate of the issuer's server, in PEM.
func (i *Issuer) CA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw}))
}

// Registration is how an organisation trusts the issuer.
func (i *Issuer) Registration(orgID string) core.Issuer {
	return core.Issuer{Name: "test", OrgID: orgID, URL: i.URL(), Audience: Audience, Enabled: true, CA: i.CA()}
}

// Answer has h answer at that path from now on; nil has the issuer itself.
func (i *Issuer) Answer(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.instead[path] = h
}

// Requests tells how often a path was asked for.
func (i *Issuer) Requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[path]
}

// Publish replaces the keys.
func (i *Issuer) Publish(keys ...Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	h := i.instead[r.URL.Path]
	i.requests[r.URL.Path]++
	keys := []map[string]any{}
	for _, k := range i.keys {
		keys = append(keys, k.JWK())
	}
	i.mu.Unlock()
	switch {
	case h != nil:
		h(w, r)
	case r.URL.Path == Discovery:
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL(), "jwks_uri": i.URL() + Keys, "scopes_supported": []string{"openid"}})
	case r.URL.Path == Keys:
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	default:
		http.NotFound(w, r)
	}
}

// NewKey makes a key pair that is not published yet.
func (i *Issuer) NewKey(id, algorithm string) Key {
	i.tb.Helper()
	k := Key{ID: id, Algorithm: algorithm}
	var err error
	switch algorithm {
	case "RS256", "PS256":
		k.Private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, k.Private, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		i.tb.Fatal(err)
	}
	return k
}

// JWK is the public key as it is published.
func (k Key) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	out := map[string]any{"kid": k.ID, "use": "sig"}
	switch p := k.Private.Public().(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", b64(p)
	case *ecdsa.PublicKey:
		point, _ := p.Bytes() // of a key just made
		out["kty"], out["crv"], out["x"], out["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	}
	return out
}

// Key returns the first published key.
func (i *Issuer) Key() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[0]
}

// Claims are those of a good token of user at now.
func (i *Issuer) Claims(user string, now time.Time) map[string]any {
	return map[string]any{
		"iss": i.URL(), "aud": Audience, "sub": "subject-" + user, "preferred_username": user,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// Sign makes a token with the key. The header is that of a good token, changed
// by what header holds.
func (k Key) Sign(tb testing.TB, header, claims map[string]any) string {
	tb.Helper()
	h := map[string]any{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"}
	for name, v := range header {
		h[name] = v
	}
	return k.SignText(tb, encode(tb, h), encode(tb, claims))
}

// SignText makes a token of a header and claims as they are written.
func (k Key) SignText(tb testing.TB, header, claims string) string {
	tb.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	signature, err := jwt.GetSigningMethod(k.Algorithm).Sign(text, k.Private)
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + b64(signature)
}

func encode(tb testing.TB, v any) string {
	tb.Helper()
	var b strings.Builder
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}
