package gateway_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/target"
)

// spelled writes a path as an attacker would who can only send what HTTP can
// carry.
func spelled(rng *rand.Rand, path string) string {
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; rng.IntN(24) {
		case 0, 1:
			fmt.Fprintf(&b, "%%%02x", c)
		case 2:
			fmt.Fprintf(&b, "%%%02X", c)
		case 3:
			more := []string{"%25", "./", "../", "/", ";", ";a=b", "%2f", "%5c", "%00", "%3B", "%2e%2e/", "%", "%c3%A9", "%20", "~", "?", "%3f", "\\", "#", "\xe9"}
			b.WriteByte(c)
			b.WriteString(more[rng.IntN(len(more))])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// TestUpstreamsGetWhatWasAuthorized is T1 over the wire: what the native API
// and endpoints receive has the canonical form of what the client sent, with
// its query byte for byte, and what cannot be read in one way only is not sent.
func TestUpstreamsGetWhatWasAuthorized(t *testing.T) {
	h, o := before(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil)
	secure := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	h.trust(secure.Server, "origin")
	h.endpoint("door", secure.URL+"/root", filter(core.ScopeExtAPI, "/door/.*"))
	n := 2000
	if os.Getenv("ANNEX_LONG") != "" {
		n = 10_000
	}
	rng := rand.New(rand.NewPCG(3, 5))
	bases := []string{"/native/org/123", "/ext-api/door/items/a.b", "/api/admin/extension/service", "/cloudapi/1.0.0/users"}
	c := h.dial()
	r := bufio.NewReader(c)
	sent, refused := 0, 0
	for range n {
		path := spelled(rng, bases[rng.IntN(len(bases))])
		h.say(c, "GET %s HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\n\r\n", path, h.token)
		got := h.hear(r, "GET")
		if got.header.Get("Connection") == "close" || got.header.Get("X-Vmware-Vcloud-Request-Id") == "" {
			c = h.dial()
			r = bufio.NewReader(c)
		}
		saw := append(o.take(), secure.take()...)
		want, err := target.Parse(path, "gw.test")
		if err != nil {
			refused++
			if got.status != 400 || len(saw) != 0 {
				t.Fatalf("%q cannot be read, and became %d, %v", path, got.status, saw)
			}
			continue
		}
		expected := "/base" + want.RawPath
		switch rest, ext := strings.CutPrefix(want.RawPath, "/ext-api/"); {
		case ext && strings.HasPrefix(rest, "door/"):
			expected = "/root/" + strings.TrimPrefix(rest, "door/")
			if rest == "door/" {
				expected = "/root"
			}
		case ext, under(want.Path, "/api/admin/extension"), under(want.Path, "/cloudapi"), want.Path == "/ext-api":
			expected = ""
		}
		if expected == "" {
			if len(saw) != 0 {
				t.Fatalf("%q reached an upstream: %v", path, saw)
			}
			continue
		}
		if want.RawQuery != "" {
			expected += "?" + want.RawQuery
		}
		sent++
		if got.status != 204 || len(saw) != 1 || saw[0].target != expected {
			t.Fatalf("%q became %d, and the upstream saw %v, want %s", path, got.status, saw, expected)
		}
	}
	t.Logf("%d sent, %d refused", sent, refused)
	if sent < n/20 || refused < n/10 {
		t.Error("the paths are not those that were meant")
	}
}

func under(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
