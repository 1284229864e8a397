package https

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
)

func TestKindKeepsThePromisesOfAKind(t *testing.T) {
	for name, change := range map[string]func(*httptest.Server){"over HTTP/1.1": nil, "over HTTP/2": overHTTP2} {
		t.Run(name, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(echo), change)
			dead := endpoint("https://" + freePort(t))
			unknown := endpoint(s.URL)
			unknown.Settings = json.RawMessage(`{"RootURL":"https://a.example","Color":"red"}`)
			service := endpoint(s.URL)
			service.Kind = core.KindMQTT
			plugintest.Run(t, plugintest.Harness{
				Kind:   New(plugintest.NewHost(), Options{Trust: TrustOnly(ca.pool()), Guard: local.Guard}),
				System: endpoint(s.URL + "/base"),
				Dead:   &dead,
				Hang:   func() core.Message { return get("hang") },
				Invalid: map[string]core.System{
					"plain http":         endpoint("http://a.example"),
					"no settings":        {Kind: core.KindHTTPS},
					"unknown settings":   unknown,
					"another kind":       service,
					"a metadata address": endpoint("https://169.254.169.254/latest"),
				},
			})
		})
	}
}

func TestCheckOfRootURLs(t *testing.T) {
	k := New(plugintest.NewHost(), Options{})
	good := []string{
		"https://a.example", "https://a.example/", "https://a.example/base/", "https://a.example:8443/a%2Fb;v=1",
		"HTTPS://A.example", "https://93.184.216.34", "https://[2606:2800:220:1::1]:444/x", "https://under_score.example",
		"https://xn--bcher-kva.example", "https://a", "https://a.example.", "https://1and1.example", "https://a.example:443",
	}
	for _, s := range good {
		if err := k.Check(t.Context(), endpoint(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	bad := []string{
		"", "a.example", "//a.example", "http://a.example", "ftp://a.example", "https:a.example", "https:///path", "https://",
		"https://user@a.example", "https://user:pw@a.example", "https://@a.example", "https://a.example?q", "https://a.example/?", "https://a.example/#f", "https://a.example#",
		"https://a.example:0", "https://a.example:65536", "https://a.example:", "https://a.example:https", "https://a.example:-1",
		"https://a..example", "https://.example", "https://bücher.example", "https://a example", "https://a.example/a b",
		"https://a.example/../x", "https://a.example/%2e%2e/x", "https://a.example/./x", "https://a.example//x", "https://a.example/\\x", "https://a.example/\"x", "https://a.example/\x00",
		"https://a.example\\@b.example", "https://127.1", "https://2130706433", "https://0x7f.0.0.1", "https://0x7f000001", "https://017700000001", "https://127.0.0.1.", "https://1.2.3.4.5", "https://a.999",
		"https://127.0.0.1", "https://localhost", "https://x.localhost", "https://LOCALHOST.", "https://10.0.0.1", "https://[::1]", "https://[fe80::1%25eth0]", "https://[::ffff:127.0.0.1]", "https://0.0.0.0",
	}
	for _, s := range bad {
		if err := k.Check(t.Context(), endpoint(s)); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%s: %v, want it refused as invalid", s, err)
		}
	}
}

func TestLiteralAddressesFollowThePolicy(t *testing.T) {
	for s, p := range map[string]DialPolicy{
		"https://127.0.0.1:8443": {AllowLoopback: true},
		"https://localhost":      {AllowLoopback: true},
		"https://10.1.2.3":       {AllowPrivate: true},
	} {
		if err := New(plugintest.NewHost(), Options{Guard: p.Guard}).Check(t.Context(), endpoint(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if err := New(plugintest.NewHost(), Options{}).Check(t.Context(), endpoint(s)); err == nil {
			t.Errorf("%s: accepted by the default policy", s)
		}
	}
}

func FuzzRootURL(f *testing.F) {
	for _, s := range []string{"https://a.example/b", "https://[::1]:1/", "https://127.1", "https://a@b", "https://a/%2e"} {
		f.Add(s, "tail")
	}
	f.Fuzz(func(t *testing.T, s, tail string) {
		r, err := parseRootURL(s)
		if err != nil {
			if core.ErrorCode(err) != core.Invalid {
				t.Errorf("%q: code %s", s, core.ErrorCode(err))
			}
			return
		}
		if r.host == "" || r.port == 0 {
			t.Errorf("%q: %+v", s, r)
		}
		if path := r.target(tail); path[0] != '/' || !strings.HasSuffix(path, strings.TrimPrefix(tail, "/")) {
			t.Errorf("%q and %q give the target %q", s, tail, path)
		}
	})
}
