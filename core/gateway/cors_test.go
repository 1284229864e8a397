package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/storage/memory"
)

func TestOtherOriginsMayCallWhenTheOperatorSaysSo(t *testing.T) {
	const ui = "https://ui.example"
	h := newHouse(t, func(s *settings) {
		s.CORS = gateway.CORS{Origins: []string{ui}, Credentials: true, MaxAge: time.Hour}
	})
	for name, tc := range map[string]struct {
		method, path string
		header       []string
		status       int
		origin       string // that is allowed
	}{
		"a preflight":                       {"OPTIONS", "/api/session", []string{"Origin", ui, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization, x-mine"}, 204, ui},
		"one of somebody else":              {"OPTIONS", "/api/session", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, 401, ""},
		"one of nobody":                     {"OPTIONS", "/api/session", []string{"Access-Control-Request-Method", "POST"}, 401, ""},
		"one for a bad path":                {"OPTIONS", "/api/../session", []string{"Origin", ui, "Access-Control-Request-Method", "POST"}, 400, ""},
		"a call":                            {"GET", "/api/session", []string{"Origin", ui, "Authorization", "Bearer " + h.token}, 200, ui},
		"a call that is refused":            {"GET", "/api/session", []string{"Origin", ui}, 401, ui},
		"a call of somebody else":           {"GET", "/api/session", []string{"Origin", "https://evil.example", "Authorization", "Bearer " + h.token}, 200, ""},
		"an origin that is longer":          {"GET", "/livez", []string{"Origin", ui + ".evil.example"}, 200, ""},
		"two origins":                       {"GET", "/livez", []string{"Origin", ui, "Origin", "https://evil.example"}, 200, ""},
		"the login":                         {"OPTIONS", "/cloudapi/1.0.0/sessions", []string{"Origin", ui, "Access-Control-Request-Method", "POST"}, 204, ui},
		"a method that is none is not told": {"OPTIONS", "/livez", []string{"Origin", ui, "Access-Control-Request-Method", "P O"}, 204, ui},
	} {
		t.Run(name, func(t *testing.T) {
			got := h.do(tc.method, tc.path, "", tc.header...)
			allowed := got.header.Get("Access-Control-Allow-Origin")
			if got.status != tc.status || allowed != tc.origin {
				t.Errorf("%d, allowed is %q", got.status, allowed)
			}
			if tc.status != 400 && !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Origin") {
				t.Errorf("Vary %v", got.header.Values("Vary"))
			}
			if (allowed != "") != (got.header.Get("Access-Control-Allow-Credentials") == "true") {
				t.Errorf("%v", got.header)
			}
		})
	}
	got := h.do("OPTIONS", "/x", "", "Origin", ui, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-mine, <bad>,,Accept")
	if got.header.Get("Access-Control-Allow-Methods") != "PUT" || got.header.Get("Access-Control-Allow-Headers") != "x-mine, Accept" || got.header.Get("Access-Control-Max-Age") != "3600" {
		t.Errorf("%v", got.header)
	}
	got = h.do("GET", "/livez", "", "Origin", ui)
	if !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "X-VMWARE-VCLOUD-ACCESS-TOKEN") {
		t.Errorf("%v", got.header)
	}
	t.Run("and not else", func(t *testing.T) {
		closed := newHouse(t, nil)
		if got := closed.do("GET", "/livez", "", "Origin", ui); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v", got.header)
		}
	})
	t.Run("what cannot be is refused at the start", func(t *testing.T) {
		for _, c := range []gateway.CORS{
			{Origins: []string{"*"}, Credentials: true}, {Origins: []string{"ui.example"}}, {Origins: []string{"https://ui.example/"}}, {Origins: []string{"ftp://x"}}, {Origins: []string{"null"}},
		} {
			_, err := gateway.New(t.Context(), gateway.Options{Store: memory.New(), CORS: c, Kinds: func(core.Host) ([]core.Kind, error) { return nil, nil }})
			if core.ErrorCode(err) != core.Invalid {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}
