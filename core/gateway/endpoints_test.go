package gateway_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// verified gives the claims of a token, checked as an endpoint would: by the
// keys that the gateway publishes, and nothing else.
func (h *house) verified(token string) map[string]any {
	h.Helper()
	got := h.do("GET", "/.well-known/jwks.json", "")
	var set struct {
		Keys []struct{ Kid, Kty, Crv, Alg, X, Y string }
	}
	if err := json.Unmarshal([]byte(got.body), &set); err != nil || got.status != 200 {
		h.Fatalf("%d %s", got.status, got.body)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		h.Fatalf("no token: %q", token)
	}
	bytes := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			h.Fatal(err)
		}
		return b
	}
	var header struct{ Alg, Kid string }
	claims := map[string]any{}
	if err := errors.Join(json.Unmarshal(bytes(parts[0]), &header), json.Unmarshal(bytes(parts[1]), &claims)); err != nil {
		h.Fatal(err)
	}
	sig, sum := bytes(parts[2]), sha256.Sum256([]byte(parts[0]+"."+parts[1]))
	for _, k := range set.Keys {
		if k.Kid != header.Kid || k.Alg != "ES256" || header.Alg != "ES256" || len(sig) != 64 {
			continue
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, bytes(k.X)...), bytes(k.Y)...))
		if err != nil {
			h.Fatal(err)
		}
		if ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			return claims
		}
	}
	h.Fatalf("no published key has signed %v", claims)
	return nil
}

// TestEndpointsCanVerifyWhoCalls is ruling 19.
func TestEndpointsCanVerifyWhoCalls(t *testing.T) {
	o := newOrigin(t, nil)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	id := h.endpoint("who", o.URL, filter(core.ScopeExtAPI, "/who/.*"), filter(core.ScopeTenant, "/who/.*"))
	ann, orgID, userID := h.member("One", "ann")
	for name, tc := range map[string]struct {
		got    func() answer
		tenant any
		prefix string
	}{
		"below ext-api":   {func() answer { return h.as(ann, "GET", "/ext-api/who/x", "") }, nil, "/ext-api/who"},
		"a tenant's page": {func() answer { return h.do("GET", "/ext-ui/tenant/One/who/x", "", "Cookie", "vcloud_jwt="+ann) }, "One", "/ext-ui/tenant/One/who"},
	} {
		t.Run(name, func(t *testing.T) {
			o.take()
			if got := tc.got(); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			saw := o.take()[0].header
			if saw.Get("X-Forwarded-Proto") != "https" || saw.Get("X-Forwarded-Prefix") != tc.prefix || saw.Get("X-Forwarded-Host") == "" {
				t.Errorf("forwarding fields %v", saw)
			}
			claims := h.verified(saw.Get("X-Annex-Identity"))
			for claim, want := range map[string]any{"aud": id, "sub": userID, "user": "ann", "org": "One", "org_id": orgID, "tenant": tc.tenant} {
				if claims[claim] != want {
					t.Errorf("%s is %v, want %v", claim, claims[claim], want)
				}
			}
			if roles, _ := claims["roles"].([]any); len(roles) != 1 || roles[0] != "Organization Administrator" || claims["all_rights"] == true {
				t.Errorf("claims %v", claims)
			}
			until, _ := claims["exp"].(float64)
			since, _ := claims["iat"].(float64)
			if until-since != 60 {
				t.Errorf("it is good for %v s", until-since)
			}
			if got := h.as(saw.Get("X-Annex-Identity"), "GET", "/api/session", ""); got.status != 401 {
				t.Errorf("it is a credential for the gateway: %d", got.status)
			}
		})
	}
}

// TestStreamsUpgradesAndTrailersPassThrough holds, for both versions of HTTP
// on both sides, that what streams is not collected.
func TestStreamsUpgradesAndTrailersPassThrough(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){
		"HTTP/1.1": (*httptest.Server).StartTLS,
		"HTTP/2.0": func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		t.Run("endpoint over "+name, func(t *testing.T) {
			next := make(chan string)
			o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/events":
					w.Header().Set("Content-Type", "text/event-stream")
					for event := range next {
						fmt.Fprintf(w, "data: %s\n\n", event)
						_ = http.NewResponseController(w).Flush()
					}
				case "/trailer":
					w.Header().Set("Trailer", "X-Sum, Set-Cookie")
					_, _ = io.Copy(w, r.Body)
					w.Header().Set("X-Sum", r.Trailer.Get("X-Sum")+r.Trailer.Get("X-Annex-Identity"))
					w.Header().Set("Set-Cookie", "vcloud_jwt=stolen")
				case "/socket":
					echoSocket(w, r)
				case "/early":
					_ = http.NewResponseController(w).EnableFullDuplex() // else this origin waits for the body
					w.Header().Set("Content-Length", "5")
					w.WriteHeader(413)
					_, _ = io.WriteString(w, "large")
				}
			}, start)
			h := newHouse(t, nil)
			h.trust(o.Server, "origin")
			h.endpoint("flow", o.URL, filter(core.ScopeExtAPI, "/flow/.*"))
			auth := []string{"Authorization", "Bearer " + h.token}

			go func() { next <- "0" }()
			resp, err := h.client().Transport.RoundTrip(h.request("GET", "/ext-api/flow/events", nil, auth...))
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(resp.Body)
			for i := range 4 {
				if i > 0 {
					next <- fmt.Sprint(i)
				}
				line, err := lines.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
					t.Fatalf("event %q, %v, want %q", line, err, want)
				}
				_, _ = lines.ReadString('\n')
			}
			close(next)
			_ = resp.Body.Close()
			if saw := o.take(); len(saw) != 1 || saw[0].proto != name || resp.ProtoMajor != 2 {
				t.Errorf("the endpoint was spoken to in %v, the gateway in %s", saw, resp.Proto)
			}

			req := h.request("POST", "/ext-api/flow/trailer", struct{ io.Reader }{strings.NewReader("abc")}, auth...)
			req.Trailer = http.Header{"X-Sum": {"7"}, "X-Annex-Identity": {"forged"}}
			if resp, err = h.client().Transport.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
			if got := h.read(resp); got.body != "abc" || got.trailer.Get("X-Sum") != "7" || len(got.trailer) != 1 {
				t.Errorf("%d %q, trailer %v", got.status, got.body, got.trailer)
			}

			c, r := h.socket("/ext-api/flow/socket")
			h.say(c, "ping")
			b := make([]byte, 4)
			if _, err := io.ReadFull(r, b); err != nil || string(b) != "ping" {
				t.Errorf("the socket says %q, %v", b, err)
			}

			pr, pw := io.Pipe()
			if resp, err = h.client().Transport.RoundTrip(h.request("POST", "/ext-api/flow/early", pr, auth...)); err != nil {
				t.Fatal(err)
			}
			if got := h.read(resp); got.status != 413 || got.body != "large" {
				t.Errorf("an early answer: %d %q", got.status, got.body)
			}
			_ = pw.Close()
		})
	}
}

// TestAnswersOverHTTP1DoNotCostTheRequestItsBody: net/http, left alone, throws
// away up to 256 KiB of a request when its answer begins.
func TestAnswersOverHTTP1DoNotCostTheRequestItsBody(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_ = http.NewResponseController(w).Flush() // the answer begins first
		_, _ = io.Copy(w, r.Body)
	})
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("echo", o.URL, filter(core.ScopeExtAPI, "/echo/.*"))
	for _, size := range []int64{-1, 200 << 10, 20 << 20} {
		sent := max(size, 200<<10)
		pr, pw := io.Pipe()
		req := h.request("POST", "/ext-api/echo/x", pr, "Authorization", "Bearer "+h.token)
		req.ContentLength = size
		transport := &http.Transport{TLSClientConfig: h.tls()}
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
		go func() {
			_, err := io.Copy(pw, io.LimitReader(zeros{}, sent))
			_ = pw.CloseWithError(err)
		}()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if n != sent || err != nil || resp.ProtoMajor != 1 {
			t.Errorf("of a body of announced size %d %d bytes came back over %s: %v", size, n, resp.Proto, err)
		}
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
	}
	t.Run("and what was read to its end keeps its connection", func(t *testing.T) {
		polite := newOrigin(t, nil)
		h.endpoint("polite", polite.URL, filter(core.ScopeExtAPI, "/polite/.*"))
		c := h.dial()
		r := bufio.NewReader(c)
		for range 50 {
			h.say(c, "POST /ext-api/polite/x HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\nContent-Length: 3\r\n\r\nabc", h.token)
			if got := h.hear(r, "POST"); got.status != 200 || got.body != "abc" {
				t.Fatalf("%d %q", got.status, got.body)
			}
		}
	})
}

// TestTheClientIsAskedForItsBodyWhenTheEndpointWantsIt: a client that waits for
// leave gets it from the endpoint, or its refusal.
func TestTheClientIsAskedForItsBodyWhenTheEndpointWantsIt(t *testing.T) {
	o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(401)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}, (*httptest.Server).StartTLS)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("leave", o.URL, filter(core.ScopeExtAPI, "/leave/.*"))
	for path, want := range map[string]string{"refuse": "HTTP/1.1 401 ", "accept": "HTTP/1.1 100 "} {
		c := h.dial()
		h.say(c, "POST /ext-api/leave/%s HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", path, h.token)
		r := bufio.NewReader(c)
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%s: %q, %v", path, line, err)
		}
		if path == "accept" {
			_, _ = r.ReadString('\n')
			h.say(c, "abc")
			if got := h.hear(r, "POST"); got.status != 200 || got.body != "abc" {
				t.Errorf("%d %s", got.status, got.body)
			}
		}
	}
}

// echoSocket is the other end of a WebSocket, frames and all left out.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		w.WriteHeader(400)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nSet-Cookie: vcloud_jwt=stolen\r\n\r\n")
	_, _ = io.Copy(c, rw)
}

// socket opens a WebSocket as the administrator.
func (h *house) socket(path string) (io.Writer, *bufio.Reader) {
	h.Helper()
	return h.socketAs(h.token, path)
}

func (h *house) socketAs(token, path string) (io.Writer, *bufio.Reader) {
	h.Helper()
	c := h.dial()
	_ = c.SetDeadline(time.Time{})
	h.say(c, "GET %s HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") != "x" || resp.Header["Set-Cookie"] != nil ||
		resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("X-Vmware-Vcloud-Request-Id") == "" {
		h.Fatalf("no socket: %v, %v", resp, err)
	}
	return c, r
}

// TestTrustIsReadAnewForNewConnections is F13: a certificate that is
// registered, taken away or swapped counts without a restart.
func TestTrustIsReadAnewForNewConnections(t *testing.T) {
	authorities := map[string]*authority{"one": newAuthority(t, "one"), "two": newAuthority(t, "two")}
	good, expired := authorities["one"].leaf(t, time.Hour), authorities["one"].leaf(t, -time.Minute)
	foreign := authorities["two"].leaf(t, time.Hour)
	var now atomic.Pointer[tls.Certificate]
	now.Store(good)
	o := startOrigin(t, nil, func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*now.Load()}, NextProtos: []string{"h2", "http/1.1"}}, nil
		}}
		s.EnableHTTP2 = true
		s.StartTLS()
	})
	h := newHouse(t, nil)
	h.endpoint("sealed", o.URL, filter(core.ScopeExtAPI, "/sealed/.*"))
	const trusted = "/cloudapi/1.0.0/ssl/trustedCertificates"
	register := func(name string) string {
		return h.made(trusted, fmt.Sprintf(`{"alias":%q,"certificate":%q}`, name, pemOf(authorities[name].cert)))
	}
	remove := func(id string) {
		if got := h.as(h.token, "DELETE", trusted+"/"+id, ""); got.status >= 300 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	check := func(step, problem string) {
		t.Helper()
		o.take()
		got := h.as(h.token, "GET", "/ext-api/sealed/x", "")
		for range 10 { // HTTP/2 does not repeat a call whose connection was closed under it
			if !strings.Contains(got.body, "broke off") {
				break
			}
			got = h.as(h.token, "GET", "/ext-api/sealed/x", "")
		}
		if problem == "" {
			if got.status != 200 {
				t.Errorf("%s: %d %s", step, got.status, got.body)
			}
			return
		}
		checkError(t, got, 502, false)
		if !strings.Contains(got.body, problem) || len(o.take()) != 0 {
			t.Errorf("%s: %s", step, got.body)
		}
	}
	swap := func(c *tls.Certificate) {
		now.Store(c)
		o.CloseClientConnections()
	}
	check("nobody is trusted", "not trusted")
	one := register("one")
	check("registered", "")
	check("again, on the same connection", "")
	remove(one)
	check("taken away", "not trusted")
	one = register("one")
	check("registered anew", "")
	swap(expired)
	check("expired", "expired")
	swap(foreign)
	check("signed by somebody else", "not trusted")
	two := register("two")
	check("who is trusted now", "")
	remove(one)
	check("the other is taken away", "")
	swap(good)
	check("whose certificate comes back", "not trusted")
	remove(two)
	register("one")
	check("and is trusted again", "")
}
