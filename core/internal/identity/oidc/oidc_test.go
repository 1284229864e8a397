package oidc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/identity/oidc"
	"github.com/annex-gateway/annex/core/internal/identity/oidc/oidctest"
)

// house is a Verifier with one issuer and a clock that tests set.
type house struct {
	*oidc.Verifier
	tb     testing.TB
	issuer *oidctest.Issuer
	is     core.Issuer
	nanos  atomic.Int64
}

func start(tb testing.TB) *house {
	tb.Helper()
	h := &house{tb: tb, issuer: oidctest.Start(tb)}
	h.nanos.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	h.Verifier = oidc.New(oidc.Options{Now: h.now})
	tb.Cleanup(h.Close)
	h.is = h.issuer.Registration("urn:vcloud:org:x")
	h.is.ID, h.is.Revision = "urn:vcloud:oidcIssuer:1", 1
	return h
}

func (h *house) now() time.Time       { return time.Unix(0, h.nanos.Load()) }
func (h *house) pass(d time.Duration) { h.nanos.Add(int64(d)) }

func (h *house) token() string {
	h.tb.Helper()
	return h.issuer.Key().Sign(h.tb, nil, h.issuer.Claims("eve", h.now()))
}

func (h *house) accepted(token string) oidc.Token {
	h.tb.Helper()
	t, err := h.Verify(h.tb.Context(), h.is, token)
	if err != nil {
		h.tb.Fatal(err)
	}
	return t
}

func (h *house) refused(token string, code core.Code) {
	h.tb.Helper()
	if _, err := h.Verify(h.tb.Context(), h.is, token); core.ErrorCode(err) != code || err == nil {
		h.tb.Fatalf("got %v, want code %q", err, code)
	}
}

// eventually waits for what the background does.
func eventually(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	for range 2000 {
		if f() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Fatal("never happened: " + what)
}

func TestEveryAllowedAlgorithmIsAccepted(t *testing.T) {
	h := start(t)
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256", "PS256"} {
		t.Run(algorithm, func(t *testing.T) {
			key := h.issuer.NewKey("key-"+algorithm, algorithm)
			h.issuer.Publish(key)
			h.pass(time.Minute)
			token := key.Sign(t, nil, h.issuer.Claims("eve", h.now()))
			if got := h.accepted(token); got.Text("preferred_username") != "eve" {
				t.Fatal("the claims are lost")
			}
			for _, typ := range []any{"at+jwt", "application/at+jwt", "jwt", ""} {
				h.accepted(key.Sign(t, map[string]any{"typ": typ}, h.issuer.Claims("eve", h.now())))
			}
			h.accepted(key.Sign(t, map[string]any{"kid": ""}, h.issuer.Claims("eve", h.now())))
		})
	}
	t.Run("an audience among others", func(*testing.T) {
		c := h.issuer.Claims("eve", h.now())
		c["aud"] = []string{"other", oidctest.Audience}
		c["exp"] = float64(h.now().Unix()) + 60.5
		h.accepted(h.issuer.Key().Sign(t, nil, c))
	})
}

func TestForgedTokensAreRefused(t *testing.T) {
	h := start(t)
	key, rsa := h.issuer.Key(), h.issuer.NewKey("rsa", "RS256")
	h.issuer.Publish(key, rsa)
	good := h.issuer.Claims("eve", h.now())
	h.accepted(key.Sign(t, nil, good))
	stranger := h.issuer.NewKey("first", "ES256")
	with := func(name string, v any) string {
		c := maps.Clone(good)
		if c[name] = v; v == nil {
			delete(c, name)
		}
		return key.Sign(t, nil, c)
	}
	head := func(name string, v any) string { return key.Sign(t, map[string]any{name: v}, good) }
	text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := key.Sign(t, nil, good)
	body := strings.Split(token, ".")[1]
	signature := strings.Split(token, ".")[2]
	hs := func(secret []byte) string {
		signed := text(`{"alg":"HS256","kid":"first","typ":"JWT"}`) + "." + body
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	point, _ := key.Private.Public().(*ecdsa.PublicKey).Bytes()
	jwk, _ := json.Marshal(key.JWK())
	now := h.now().Unix()
	raw := func(claims string) string { return key.SignText(t, `{"alg":"ES256","kid":"first"}`, claims) }
	attacks := map[string]string{
		"no signature":                      strings.TrimSuffix(token, signature),
		"alg none":                          text(`{"alg":"none","kid":"first"}`) + "." + body + ".",
		"alg none with a signature":         text(`{"alg":"none","kid":"first"}`) + "." + body + "." + signature,
		"alg nOnE":                          text(`{"alg":"nOnE","kid":"first"}`) + "." + body + "." + signature,
		"alg missing":                       text(`{"kid":"first"}`) + "." + body + "." + signature,
		"HS256 with the key as PEM":         hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the key as DER":         hs(der),
		"HS256 with the key as a point":     hs(point),
		"HS256 with the key as JWK":         hs(jwk),
		"HS256 with an empty key":           hs(nil),
		"another key under the same kid":    stranger.Sign(t, nil, good),
		"a key in the header":               stranger.Sign(t, map[string]any{"jwk": stranger.JWK()}, good),
		"an address of keys in the header":  stranger.Sign(t, map[string]any{"jku": "https://evil.example/keys", "x5u": "https://evil.example"}, good),
		"no kid where there is a choice":    rsa.Sign(t, map[string]any{"kid": "", "alg": "ES256"}, good),
		"the algorithm of another key type": head("alg", "RS256"),
		"the kid of another key":            head("kid", "rsa"),
		"RS256 called PS256":                rsa.Sign(t, map[string]any{"alg": "PS256"}, good),
		"RS512":                             rsa.Sign(t, map[string]any{"alg": "RS512"}, good),
		"an unknown kid":                    head("kid", "../../dev/null"),
		"a kid of 4 KiB":                    head("kid", strings.Repeat("k", 4<<10)),
		"a kid that is a number":            head("kid", 7),
		"crit":                              head("crit", []string{"exp"}),
		"crit null":                         head("crit", nil),
		"a proof of possession":             head("typ", "dpop+jwt"),
		"a notice of logout":                head("typ", "logout+jwt"),
		"a nested token":                    head("cty", "JWT") + ".x.y",
		"duplicate alg":                     key.SignText(t, `{"alg":"none","alg":"ES256","kid":"first"}`, "{}"),
		"a zero signature":                  text(`{"alg":"ES256","kid":"first"}`) + "." + body + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a cut signature":                   token[:len(token)-2],
		"a token and a line break":          token[:len(token)-4] + "\n" + token[len(token)-4:],
		"padded base64":                     token + "=",
		"a megabyte of dots":                strings.Repeat(".", 1<<20),
		"more than the limit":               with("x", strings.Repeat("x", oidc.MaxToken)),
		"nothing":                           "",
		"another aud":                       with("aud", "other"),
		"aud missing":                       with("aud", nil),
		"aud an empty list":                 with("aud", []string{}),
		"aud of lists":                      with("aud", [][]string{{oidctest.Audience}}),
		"aud that only begins so":           with("aud", oidctest.Audience+"x"),
		"another iss":                       with("iss", h.is.URL+"/"),
		"iss missing":                       with("iss", nil),
		"iss as a list":                     with("iss", []string{h.is.URL}),
		"bound to a key":                    with("cnf", map[string]any{"jkt": "x"}),
		"exp missing":                       with("exp", nil),
		"exp as a string":                   with("exp", fmt.Sprint(now+60)),
		"exp negative":                      with("exp", -1),
		"exp zero":                          with("exp", 0),
		"expired by the leeway":             with("exp", now-30),
		"exp 1e300":                         with("exp", 1e300),
		"exp 1e400":                         raw(fmt.Sprintf(`{"iss":%q,"aud":%q,"preferred_username":"eve","exp":1e400}`, h.is.URL, oidctest.Audience)),
		"exp null":                          raw(fmt.Sprintf(`{"iss":%q,"aud":%q,"preferred_username":"eve","exp":null}`, h.is.URL, oidctest.Audience)),
		"exp twice":                         raw(fmt.Sprintf(`{"iss":%q,"aud":%q,"preferred_username":"eve","exp":1,"exp":%d}`, h.is.URL, oidctest.Audience, now+60)),
		"nbf in the future":                 with("nbf", now+31),
		"nbf as a string":                   with("nbf", "0"),
		"iat far in the future":             with("iat", now+1e9),
		"iat as a list":                     with("iat", []int64{now}),
		"claims that are no object":         raw(`"eve"`),
		"claims that are null":              raw(`null`),
		"empty claims":                      raw(``),
	}
	for name, token := range attacks {
		t.Run(name, func(t *testing.T) {
			if _, err := h.Verify(t.Context(), h.is, token); core.ErrorCode(err) != core.Unauthenticated || err == nil {
				t.Fatalf("got %v, want it refused", err)
			}
		})
	}
	t.Run("what differs within the leeway is accepted", func(*testing.T) {
		h.accepted(with("exp", now-29))
		h.accepted(with("nbf", now+29))
		h.accepted(with("iat", now+29))
	})
	t.Run("an issuer without an audience accepts none", func(t *testing.T) {
		is := h.is
		is.Audience = ""
		if _, err := h.Verify(t.Context(), is, with("aud", "")); core.ErrorCode(err) != core.Unauthenticated {
			t.Fatal(err)
		}
	})
	if n := h.issuer.Requests(oidctest.Keys); n > 2 {
		t.Errorf("the attacks caused %d fetches within one moment", n)
	}
}

func TestKeysThatCannotBeUsedArePassedOver(t *testing.T) {
	h := start(t)
	good := h.issuer.Key()
	rsa := h.issuer.NewKey("rsa", "RS256").JWK()
	jwk := func(base map[string]any, name string, v any) map[string]any {
		m := maps.Clone(base)
		m["kid"], m[name] = "bad-"+name, v
		return m
	}
	ec := good.JWK()
	h.issuer.Answer(oidctest.Keys, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"more": 1, "keys": []any{
			7, nil, "x",
			map[string]any{},
			map[string]any{"kty": "oct", "k": "AAAA", "kid": "first", "alg": "HS256"},
			jwk(ec, "use", "enc"), jwk(ec, "key_ops", []string{"sign"}), jwk(ec, "alg", "ES384"), jwk(ec, "crv", "P-384"), jwk(ec, "x", "AAAA"), jwk(ec, "y", ec["x"]),
			jwk(rsa, "n", "AQAB"), jwk(rsa, "e", "AQ"), jwk(rsa, "e", ""), jwk(rsa, "e", "AAAAAAAAAAM"), jwk(rsa, "n", strings.Repeat("_", 2000)),
			map[string]any{"kty": "OKP", "crv": "Ed448", "x": "AAAA", "kid": "ed"},
			ec,
		}})
	})
	h.accepted(h.token())
	for _, kid := range []string{"bad-use", "bad-key_ops", "bad-alg", "bad-crv"} {
		h.refused(good.Sign(t, map[string]any{"kid": kid}, h.issuer.Claims("eve", h.now())), core.Unauthenticated)
	}
}

func TestANewKeyIsFetchedOnceForAllWhoBringIt(t *testing.T) {
	h := start(t)
	old := h.token()
	h.accepted(old)
	second := h.issuer.NewKey("second", "ES256")
	h.issuer.Publish(h.issuer.Key(), second)
	h.pass(11 * time.Second)
	fresh := second.Sign(t, nil, h.issuer.Claims("eve", h.now()))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := h.Verify(t.Context(), h.is, fresh); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := h.issuer.Requests(oidctest.Keys); n != 2 {
		t.Fatalf("%d fetches, want 2", n)
	}
	h.accepted(old)

	t.Run("and strangers cause no more than one within a while", func(t *testing.T) {
		for i := range 100 {
			h.refused(second.Sign(t, map[string]any{"kid": fmt.Sprint(i)}, h.issuer.Claims("eve", h.now())), core.Unauthenticated)
		}
		h.pass(11 * time.Second)
		for i := range 100 {
			h.refused(second.Sign(t, map[string]any{"kid": fmt.Sprint(i)}, h.issuer.Claims("eve", h.now())), core.Unauthenticated)
		}
		if n := h.issuer.Requests(oidctest.Keys); n != 3 {
			t.Fatalf("%d fetches, want 3", n)
		}
	})
}

func TestAKeyThatIsTakenBackVerifiesNothingAfterTheNextFetch(t *testing.T) {
	h := start(t)
	token := h.token()
	receipt := h.accepted(token).Receipt()
	if !h.Current(h.is, receipt) {
		t.Fatal("a token just checked is not current")
	}
	h.pass(16 * time.Minute)
	h.Current(h.is, receipt) // starts a fetch, and does not wait for it
	eventually(t, "the keys are fetched anew", func() bool { return h.issuer.Requests(oidctest.Keys) == 2 })
	if !h.Current(h.is, receipt) {
		t.Fatal("the same keys, and the token is not current")
	}
	h.issuer.Publish(h.issuer.NewKey("second", "ES256"))
	h.pass(16 * time.Minute)
	eventually(t, "the token is no longer current", func() bool { return !h.Current(h.is, receipt) })
	h.refused(token, core.Unauthenticated)
}

func TestAReceiptEndsWithItsTokenAndItsIssuersRegistration(t *testing.T) {
	h := start(t)
	receipt := h.accepted(h.token()).Receipt()
	changed := h.is
	changed.Revision++
	if h.Current(changed, receipt) {
		t.Fatal("a token is current under a registration that it was not checked by")
	}
	receipt = h.accepted(h.token()).Receipt()
	h.pass(time.Hour + 30*time.Second)
	if h.Current(h.is, receipt) {
		t.Fatal("a token is current after its end")
	}
}

func TestADeadIssuerIsUnavailableAndAskedRarely(t *testing.T) {
	h := start(t)
	token := h.token()
	var down atomic.Bool
	down.Store(true)
	h.issuer.Answer(oidctest.Discovery, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": h.is.URL, "jwks_uri": h.is.URL + oidctest.Keys})
	})
	for range 50 {
		h.refused(token, core.Unavailable)
	}
	// The client itself asks again when a connection breaks.
	if n := h.issuer.Requests(oidctest.Discovery); n < 1 || n > 3 {
		t.Fatalf("a dead issuer was asked %d times within one moment", n)
	}
	down.Store(false)
	h.refused(token, core.Unavailable) // not yet
	h.pass(2 * time.Second)
	h.accepted(token)

	t.Run("one that dies later serves by its last keys for a day", func(t *testing.T) {
		down.Store(true)
		h.pass(23 * time.Hour)
		token := h.token()
		h.accepted(token)
		h.pass(90 * time.Minute)
		h.refused(h.token(), core.Unavailable)
	})
}

func TestAnIssuerThatAnswersNonsenseIsUnavailable(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	huge := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[],"x":"`))
		block := bytes.Repeat([]byte("x"), 64<<10)
		for range 64 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
		_, _ = w.Write([]byte(`"}`))
	}
	for _, c := range []struct {
		name, path string
		answer     func(h *house) http.HandlerFunc
	}{
		{"a discovery document of another issuer", oidctest.Discovery, func(h *house) http.HandlerFunc {
			return text(fmt.Sprintf(`{"issuer":"https://evil.example","jwks_uri":%q}`, h.is.URL+oidctest.Keys))
		}},
		{"a discovery document that is no JSON", oidctest.Discovery, func(*house) http.HandlerFunc { return text("<html>") }},
		{"keys over plain http", oidctest.Discovery, func(h *house) http.HandlerFunc {
			return text(fmt.Sprintf(`{"issuer":%q,"jwks_uri":"http://127.0.0.1/keys"}`, h.is.URL))
		}},
		{"keys in a file", oidctest.Discovery, func(h *house) http.HandlerFunc {
			return text(fmt.Sprintf(`{"issuer":%q,"jwks_uri":"file:///etc/passwd"}`, h.is.URL))
		}},
		{"keys where a cloud tells its secrets", oidctest.Discovery, func(h *house) http.HandlerFunc {
			return text(fmt.Sprintf(`{"issuer":%q,"jwks_uri":"https://169.254.169.254/keys"}`, h.is.URL))
		}},
		{"no address of keys", oidctest.Discovery, func(h *house) http.HandlerFunc { return text(fmt.Sprintf(`{"issuer":%q}`, h.is.URL)) }},
		{"a redirect", oidctest.Keys, func(h *house) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, h.is.URL+"/keys2", http.StatusFound) }
		}},
		{"an error", oidctest.Keys, func(*house) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
		}},
		{"a huge key set", oidctest.Keys, func(*house) http.HandlerFunc { return huge }},
		{"a huge discovery document", oidctest.Discovery, func(*house) http.HandlerFunc { return huge }},
		{"a key set without keys", oidctest.Keys, func(*house) http.HandlerFunc { return text(`{}`) }},
		{"a key set of too many keys", oidctest.Keys, func(*house) http.HandlerFunc {
			return text(`{"keys":[` + strings.Repeat("{},", 100) + `{}]}`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t)
			token := h.token()
			h.issuer.Answer(c.path, c.answer(h))
			h.refused(token, core.Unavailable)
			h.issuer.Answer(c.path, nil)
			h.pass(2 * time.Second)
			h.accepted(token)
		})
	}
	t.Run("a certificate that nobody vouches for", func(t *testing.T) {
		h := start(t)
		h.is.CA = ""
		h.refused(h.token(), core.Unavailable)
	})
	t.Run("a certificate authority that is none", func(t *testing.T) {
		h := start(t)
		h.is.CA = "nonsense"
		h.refused(h.token(), core.Unavailable)
	})
}

func TestASlowIssuerMakesNobodyElseWait(t *testing.T) {
	slow, quick := start(t), start(t)
	gate := make(chan struct{})
	asked := make(chan struct{}, 16)
	slow.issuer.Answer(oidctest.Keys, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{slow.issuer.Key().JWK()}})
	})
	is := slow.is
	is.ID = "urn:vcloud:oidcIssuer:slow"
	verify := func(ctx context.Context) error {
		_, err := quick.Verify(ctx, is, slow.token())
		return err
	}
	waiting := make(chan error, 1)
	go func() { waiting <- verify(t.Context()) }()
	<-asked
	quick.accepted(quick.token()) // with the slow one in flight
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := verify(ctx); core.ErrorCode(err) != core.Unavailable {
		t.Fatalf("a caller who does not wait got %v", err)
	}
	close(gate)
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}

	t.Run("and known keys serve while others are fetched", func(t *testing.T) {
		block := make(chan struct{})
		quick.issuer.Answer(oidctest.Keys, func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			select {
			case <-block:
			case <-r.Context().Done():
			}
		})
		quick.pass(11 * time.Second)
		go func() {
			_, err := quick.Verify(t.Context(), quick.is, quick.issuer.Key().Sign(t, map[string]any{"kid": "new"}, quick.issuer.Claims("eve", quick.now())))
			waiting <- err
		}()
		<-asked
		receipt := quick.accepted(quick.token()).Receipt()
		if !quick.Current(quick.is, receipt) {
			t.Fatal("a known token is not current during a fetch")
		}
		close(block)
		if err := <-waiting; core.ErrorCode(err) != core.Unauthenticated {
			t.Fatalf("an unknown key got %v", err)
		}
	})
}

func TestCloseEndsFetches(t *testing.T) {
	h := start(t)
	asked := make(chan struct{}, 16)
	h.issuer.Answer(oidctest.Keys, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	done := make(chan error, 1)
	go func() {
		_, err := h.Verify(t.Context(), h.is, h.token())
		done <- err
	}()
	<-asked
	h.Close()
	if err := <-done; core.ErrorCode(err) != core.Unavailable {
		t.Fatalf("got %v", err)
	}
	h.refused(h.token(), core.Unavailable)
	h.Close()
}

func TestTheLentClientIsUsedAndFollowsNoRedirect(t *testing.T) {
	issuer := oidctest.Start(t)
	var asked atomic.Int32
	v := oidc.New(oidc.Options{Client: func(roots *x509.CertPool) *http.Client {
		asked.Add(1)
		if roots != nil {
			t.Error("the machine's roots were not meant")
		}
		return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("no way to %s", r.URL)
		})}
	}})
	t.Cleanup(v.Close)
	is := issuer.Registration("x")
	is.CA = ""
	_, err := v.Verify(t.Context(), is, issuer.Key().Sign(t, nil, issuer.Claims("eve", time.Now())))
	if core.ErrorCode(err) != core.Unavailable || asked.Load() != 1 || strings.Contains(core.ErrorMessage(err), "no way") {
		t.Fatalf("got %v after %d clients", err, asked.Load())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestKeepForgetsIssuers(t *testing.T) {
	h := start(t)
	receipt := h.accepted(h.token()).Receipt()
	h.Keep(func(id, url string) bool { return id == h.is.ID && url == h.is.URL })
	if !h.Current(h.is, receipt) {
		t.Fatal("an issuer that was to be kept is forgotten")
	}
	h.Keep(func(string, string) bool { return false })
	if h.Current(h.is, receipt) {
		t.Fatal("an issuer that was to be forgotten is known")
	}
	h.accepted(h.token())
}

// TestHammerVerifier checks tokens from many sides while keys rotate: good
// tokens of published keys are accepted whatever else happens.
func TestHammerVerifier(t *testing.T) {
	h := start(t)
	keys := []oidctest.Key{h.issuer.Key()}
	for i := range 5 {
		keys = append(keys, h.issuer.NewKey(fmt.Sprint("key-", i), "ES256"))
	}
	stranger := h.issuer.NewKey("stranger", "ES256")
	h.accepted(h.token())
	var published atomic.Int32
	published.Store(1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 40 {
				key := keys[i%int(published.Load())]
				if _, err := h.Verify(t.Context(), h.is, key.Sign(t, nil, h.issuer.Claims("eve", h.now()))); err != nil && key.ID == "first" {
					t.Error(err)
				}
				if _, err := h.Verify(t.Context(), h.is, stranger.Sign(t, nil, h.issuer.Claims("eve", h.now()))); err == nil {
					t.Error("a stranger's token was accepted")
				}
			}
		})
	}
	for n := 2; n <= len(keys); n++ {
		h.issuer.Publish(keys[:n]...)
		published.Store(int32(n))
		h.pass(time.Minute)
	}
	wg.Wait()
	for _, k := range keys {
		h.pass(time.Minute)
		h.accepted(k.Sign(t, nil, h.issuer.Claims("eve", h.now())))
	}
}

func BenchmarkVerify(b *testing.B) {
	h := start(b)
	token := h.token()
	receipt := h.accepted(token).Receipt()
	b.Run("es256", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.accepted(token)
		}
	})
	b.Run("current", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !h.Current(h.is, receipt) {
				b.Fatal("not current")
			}
		}
	})
	b.Run("unknown-kid", func(b *testing.B) {
		b.ReportAllocs()
		t := h.issuer.Key().Sign(b, map[string]any{"kid": "x"}, h.issuer.Claims("eve", h.now()))
		for b.Loop() {
			h.refused(t, core.Unauthenticated)
		}
	})
}
