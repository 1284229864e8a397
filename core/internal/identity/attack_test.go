package identity

import (
	"bytes"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/annex-gateway/annex/core"
)

// forge makes a token of a header and claims as they are written, signed with
// the gateway's own key: what is refused then is refused for its content.
type forge struct {
	key     *keyPair
	keyID   string
	session Session
	now     int64
}

func newForge(tb testing.TB, h *house, s Session) forge {
	tb.Helper()
	key, ok := newest(h.live.View().Directory.Keys())
	if !ok {
		tb.Fatal("no key")
	}
	pair, err := h.keys.pair(key)
	must(tb, err)
	return forge{pair, key.ID, s, h.clock.Now().Unix()}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (f forge) header() string {
	return fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT"}`, f.keyID)
}

func (f forge) claims() string {
	return fmt.Sprintf(`{"iss":"annex","aud":"annex","sub":%q,"sid":%q,"purpose":"session","iat":%d,"nbf":%d,"exp":%d}`,
		f.session.Caller.UserID, f.session.Record.ID, f.now, f.now, f.now+3600)
}

func (f forge) sign(header, claims string) string {
	text := b64(header) + "." + b64(claims)
	sig, err := jwt.SigningMethodES256.Sign(text, f.key.private)
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// with replaces one claim by what is written, or adds it.
func (f forge) with(name, value string) string {
	var parts []string
	done := false
	for pair := range strings.SplitSeq(strings.Trim(f.claims(), "{}"), ",") {
		if strings.HasPrefix(pair, `"`+name+`":`) {
			done = true
			if value == "" {
				continue
			}
			pair = fmt.Sprintf("%q:%s", name, value)
		}
		parts = append(parts, pair)
	}
	if !done {
		parts = append(parts, fmt.Sprintf("%q:%s", name, value))
	}
	return f.sign(f.header(), "{"+strings.Join(parts, ",")+"}")
}

func (f forge) head(format string, args ...any) string {
	return f.sign(fmt.Sprintf(format, args...), f.claims())
}

func (f forge) hmac(header string, secret []byte) string {
	text := b64(header) + "." + b64(f.claims())
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func inflated(n int) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return b.String()
}

func TestEveryTokenOfTheAttackListIsRefused(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	f := newForge(t, h, s)
	good := f.sign(f.header(), f.claims())
	if h.accepted(t, good).UserName != "eve" {
		t.Fatal("the pattern of all forgeries is no good itself")
	}
	h.accepted(t, f.with("something", `"new"`))

	h.accepted(t, f.with("exp", fmt.Sprint(f.now-int64(leeway/time.Second)+1)))
	h.accepted(t, f.with("nbf", fmt.Sprint(f.now+int64(leeway/time.Second))))
	h.accepted(t, f.with("iat", fmt.Sprint(f.now+int64(leeway/time.Second))))

	for name, token := range attacks(t, f, good) {
		t.Run(name, func(t *testing.T) { h.refused(t, token) })
	}
	if c := h.accepted(t, s.Token); c.UserName != "eve" {
		t.Fatalf("the real token now names %q", c.UserName)
	}
}

func attacks(t *testing.T, f forge, good string) map[string]string {
	t.Helper()
	text, sig := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
	dot := strings.IndexByte(text, '.')
	spki, err := x509.MarshalPKIXPublicKey(f.key.public)
	must(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	point, err := f.key.public.Bytes()
	must(t, err)
	x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	asJWK := fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, x, y)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	otherPoint, err := other.PublicKey.Bytes()
	must(t, err)
	embedded := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`,
		base64.RawURLEncoding.EncodeToString(otherPoint[1:33]), base64.RawURLEncoding.EncodeToString(otherPoint[33:]))
	stranger := f
	stranger.key = &keyPair{private: other, public: &other.PublicKey}
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	n := elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	hs := fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"JWT"}`, f.keyID)
	kid := func(k string) string { return f.head(`{"alg":"ES256","kid":%q,"typ":"JWT"}`, k) }
	unsigned := func(alg string) string {
		return b64(fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, f.keyID)) + "." + b64(f.claims()) + "."
	}
	extra := func(member string) string {
		return f.head(`{"alg":"ES256","kid":%q,"typ":"JWT",%s}`, f.keyID, member)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, sig[len(sig)-1])
	jwe := func(header string) string {
		return b64(header) + "." + b64("key") + "." + b64("iv") + "." + b64(inflated(1<<20)) + "." + b64("tag")
	}

	return map[string]string{
		"alg none":                           unsigned("none"),
		"alg None":                           unsigned("None"),
		"alg nOnE":                           unsigned("nOnE"),
		"alg none with the right signature":  f.head(`{"alg":"none","kid":%q,"typ":"JWT"}`, f.keyID),
		"no alg":                             f.head(`{"kid":%q,"typ":"JWT"}`, f.keyID),
		"alg in lower case":                  f.head(`{"alg":"es256","kid":%q,"typ":"JWT"}`, f.keyID),
		"alg ES384":                          f.head(`{"alg":"ES384","kid":%q,"typ":"JWT"}`, f.keyID),
		"alg as a list":                      f.head(`{"alg":["ES256"],"kid":%q,"typ":"JWT"}`, f.keyID),
		"an empty signature":                 text + ".",
		"no signature part":                  text,
		"HS256 with the public key as PEM":   f.hmac(hs, asPEM),
		"HS256 with the public key as DER":   f.hmac(hs, spki),
		"HS256 with the public key as JWK":   f.hmac(hs, asJWK),
		"HS256 with the kid":                 f.hmac(hs, []byte(f.keyID)),
		"HS256 with an empty secret":         f.hmac(hs, nil),
		"r and s zero":                       text + "." + zero,
		"r and s the order of the curve":     text + "." + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(n), n...)),
		"a signature in ASN.1":               text + "." + asn1Signature(t, f, text),
		"a truncated signature":              good[:len(good)-4],
		"a longer signature":                 good + "AAAA",
		"non-canonical last bits":            good[:len(good)-1] + string(alphabet[last^1]),
		"padded base64":                      good + "==",
		"a line break in the base64":         good[:len(good)-8] + "\n" + good[len(good)-8:],
		"a space in the base64":              good[:8] + " " + good[8:],
		"base64 of the other alphabet":       strings.NewReplacer("-", "+", "_", "/").Replace(good) + "/",
		"truncated claims":                   text[:len(text)-2] + "." + sig,
		"another payload, same signature":    text[:dot+1] + b64(strings.Replace(f.claims(), "session", "sessiom", 1)) + "." + sig,
		"an embedded jwk":                    stranger.head(`{"alg":"ES256","kid":%q,"typ":"JWT","jwk":%s}`, f.keyID, embedded),
		"an embedded jwk and no kid":         stranger.head(`{"alg":"ES256","typ":"JWT","jwk":%s}`, embedded),
		"an x5c chain":                       stranger.head(`{"alg":"ES256","kid":%q,"typ":"JWT","x5c":["AAAA"]}`, f.keyID),
		"jku to the attacker":                stranger.head(`{"alg":"ES256","kid":"mine","typ":"JWT","jku":"https://evil.example/keys"}`),
		"x5u to the attacker":                stranger.head(`{"alg":"ES256","kid":"mine","typ":"JWT","x5u":"https://evil.example/cert"}`),
		"jku beside the right signature":     extra(`"jku":"https://evil.example/keys"`),
		"signed by a stranger":               stranger.sign(f.header(), f.claims()),
		"kid is a path":                      kid("../../dev/null"),
		"kid is SQL":                         kid("x' UNION SELECT 'key"),
		"kid is a URL":                       kid("https://evil.example/key"),
		"kid is 64 KB":                       kid(strings.Repeat("k", 64<<10)),
		"kid is 4 KB":                        kid(strings.Repeat("k", 4<<10)),
		"kid is empty":                       kid(""),
		"kid is missing":                     f.head(`{"alg":"ES256","typ":"JWT"}`),
		"kid is a number":                    f.head(`{"alg":"ES256","kid":1,"typ":"JWT"}`),
		"an unknown crit":                    extra(`"crit":["b64"],"b64":false`),
		"an empty crit":                      extra(`"crit":[]`),
		"a zip member":                       extra(`"zip":"DEF"`),
		"a nested token":                     f.sign(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT","cty":"JWT"}`, f.keyID), good),
		"a nested token without cty":         f.sign(f.header(), good),
		"a JWE with a zip bomb":              jwe(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`),
		"PBES2 with p2c 2^31":                jwe(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483648,"p2s":"AAAA"}`),
		"1 MB of dots":                       strings.Repeat(".", 1<<20),
		"8 KB of dots":                       strings.Repeat(".", 8<<10),
		"two dots":                           "..",
		"a duplicate alg":                    f.head(`{"alg":"ES256","alg":"ES256","kid":%q,"typ":"JWT"}`, f.keyID),
		"a duplicate alg, escaped":           f.head(`{"alg":"ES256","\u0061lg":"none","kid":%q,"typ":"JWT"}`, f.keyID),
		"alg in another case":                f.head(`{"ALG":"ES256","kid":%q,"typ":"JWT"}`, f.keyID),
		"typ of another kind":                f.head(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, f.keyID),
		"no typ":                             f.head(`{"alg":"ES256","kid":%q}`, f.keyID),
		"a header that is a list":            f.head(`[]`),
		"a header with text behind it":       f.head(`{"alg":"ES256","kid":%q,"typ":"JWT"}{}`, f.keyID),
		"a duplicate exp":                    f.with("exp", fmt.Sprintf(`%d,"exp":%d`, f.now+3600, f.now+7200)),
		"a duplicate sub":                    f.with("sub", fmt.Sprintf(`%q,"sub":"urn:vcloud:user:x"`, f.session.Caller.UserID)),
		"exp as a string":                    f.with("exp", fmt.Sprintf(`"%d"`, f.now+3600)),
		"exp as a float":                     f.with("exp", fmt.Sprintf(`%d.5`, f.now+3600)),
		"exp 1e400":                          f.with("exp", "1e400"),
		"exp 1e10":                           f.with("exp", "1e10"),
		"exp negative":                       f.with("exp", "-1"),
		"exp zero":                           f.with("exp", "0"),
		"exp null":                           f.with("exp", "null"),
		"exp missing":                        f.with("exp", ""),
		"exp in another case":                strings.Clone(f.sign(f.header(), strings.Replace(f.claims(), `"exp"`, `"EXP"`, 1))),
		"expired by the leeway":              f.with("exp", fmt.Sprint(f.now-int64(leeway/time.Second))),
		"expired by the leeway and a second": f.with("exp", fmt.Sprint(f.now-int64(leeway/time.Second)-1)),
		"nbf in the future":                  f.with("nbf", fmt.Sprint(f.now+int64(leeway/time.Second)+1)),
		"nbf at the end of time":             f.with("nbf", "9223372036854775807"),
		"iat far in the future":              f.with("iat", fmt.Sprint(f.now+1e9)),
		"iat missing":                        f.with("iat", ""),
		"aud as a list":                      f.with("aud", `["annex"]`),
		"aud missing":                        f.with("aud", ""),
		"another aud":                        f.with("aud", `"urn:vcloud:extensionEndpoint:a:b:1"`),
		"another issuer":                     f.with("iss", `"https://evil.example"`),
		"issuer missing":                     f.with("iss", ""),
		"sub missing":                        f.with("sub", ""),
		"sub of another user":                f.with("sub", `"urn:vcloud:user:administrator"`),
		"sid missing":                        f.with("sid", ""),
		"sid of no session":                  f.with("sid", `"urn:vcloud:session:00000000-0000-4000-8000-000000000000"`),
		"purpose missing":                    f.with("purpose", ""),
		"purpose identity":                   f.with("purpose", `"identity"`),
		"an unknown purpose":                 f.with("purpose", `"admin"`),
		"claims that are no object":          f.sign(f.header(), `"admin"`),
		"claims of invalid UTF-8":            f.sign(f.header(), strings.Replace(f.claims(), "annex", "ann\xffex", 1)),
		"empty claims":                       f.sign(f.header(), ""),
		"the token twice, comma between":     good + "," + good,
		"the token twice, with the scheme":   good + ", Bearer " + good,
		"the token with a trailing tab":      good + "\t",
		"the token with a NUL":               good + "\x00",
	}
}

// asn1Signature writes the right signature in the form of other protocols.
func asn1Signature(t *testing.T, f forge, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	der, err := ecdsa.SignASN1(rand.Reader, f.key.private, sum[:])
	must(t, err)
	return base64.RawURLEncoding.EncodeToString(der)
}

func TestTheOtherSignatureOfTheSameTokenChangesNothing(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	dot := strings.LastIndexByte(s.Token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(s.Token[dot+1:])
	must(t, err)
	n := elliptic.P256().Params().N
	mirrored := new(big.Int).Sub(n, new(big.Int).SetBytes(sig[32:])).FillBytes(make([]byte, 32))
	twin := s.Token[:dot+1] + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(sig[:32]), mirrored...))
	h.accepted(t, s.Token)
	c, err := h.Identify(t.Context(), bearerOf(twin))
	if err == nil && c.UserName != "eve" {
		t.Fatalf("the twin names %q", c.UserName)
	}
	must(t, h.Logout(t.Context(), s.Caller))
	h.refused(t, twin)
}

func TestTokensOfDisabledUsersAndOrganisationsAreRefused(t *testing.T) {
	for name, disable := range map[string]func(*testing.T, *house, Session){
		"a disabled user": func(t *testing.T, h *house, s Session) {
			t.Helper()
			h.changeUser(t, s.Caller.UserID, func(u *core.User) { u.Enabled = false })
		},
		"a disabled organisation": func(t *testing.T, h *house, s Session) {
			t.Helper()
			h.changeOrg(t, s.Caller.OrgID, func(o *core.Org) { o.Enabled = false })
		},
		"a deleted user": func(t *testing.T, h *house, s Session) {
			t.Helper()
			must(t, h.cat.Users.Delete(t.Context(), s.Caller.UserID, nil))
		},
		"a deleted session": func(t *testing.T, h *house, s Session) {
			t.Helper()
			must(t, h.cat.Sessions.Delete(t.Context(), s.Record.ID, nil))
		},
		"a deleted signing key": func(t *testing.T, h *house, _ Session) {
			t.Helper()
			for _, k := range h.live.View().Directory.Keys() {
				must(t, h.cat.Keys.Delete(t.Context(), k.ID, nil))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, Options{})
			s := h.login(t, eve())
			call, err := h.MintToken(t.Context(), s.Caller)
			must(t, err)
			h.accepted(t, s.Token) // warms the cache
			h.accepted(t, call)
			disable(t, h, s)
			h.refused(t, s.Token)
			h.refused(t, call)
		})
	}
}

func TestOneKindOfTokenIsNeverTakenForAnother(t *testing.T) {
	h := start(t, Options{})
	sys := h.addService(t, "backup")
	s := h.login(t, admin())
	_, secret, err := h.IssueExtensionToken(t.Context(), s.Caller.UserID, "bus", sys.ID)
	must(t, err)
	identity, err := h.SignIdentity(t.Context(), s.Caller, "annex", "")
	must(t, err)
	call, err := h.MintToken(t.Context(), s.Caller)
	must(t, err)

	h.refused(t, secret)
	h.refused(t, identity)
	for name, credential := range map[string]string{"session": s.Token, "call": call, "identity": identity} {
		t.Run("a "+name+" token is no extension token", func(t *testing.T) {
			_, _, err := h.Admit(t.Context(), sys.Triplet(), credential)
			wantCode(t, err, core.Unauthenticated)
		})
	}
	t.Run("a user's API token is no extension token", func(t *testing.T) {
		sum := sha256.Sum256([]byte("api token"))
		_, err := h.cat.Tokens.Create(t.Context(), "", core.Token{
			Name: "api", Type: core.TokenRefresh, UserID: s.Caller.UserID, System: sys.ID, SecretHash: sum[:],
		})
		must(t, err)
		_, _, err = h.Admit(t.Context(), sys.Triplet(), "api token")
		wantCode(t, err, core.Unauthenticated)
		h.refused(t, "api token")
	})
}
