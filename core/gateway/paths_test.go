package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/target"
)

// guarded registers a service with authorization at /api/backup: its resource
// 123 is for everybody, 456 for nobody.
func (f *fixture) guarded() {
	f.Helper()
	f.register(core.KindMQTT, "backup", urlFilter("API", "/api/backup/.*"))
	c := f.gw.catalog
	id := core.SystemID(core.KindMQTT, "acme", "backup", "1.0.0")
	_, err := c.Systems.Update(f.Context(), "", id, nil, func(s core.System) (core.System, error) { s.AuthorizationEnabled = true; return s, nil })
	if err != nil {
		f.Fatal(err)
	}
	class := create(f, c.Classes, core.ResourceClass{System: id, Name: "Backup", MimeType: "application/backup+xml"})
	action := create(f, c.Actions, core.ResourceClassAction{Class: class.ID, Name: "read", HTTPMethod: "GET", URLPattern: "/api/backup/(?<id>[0-9]+)"})
	open := create(f, c.Resources, core.ServiceResource{Class: class.ID, Name: "open", OrgID: core.SystemOrgID, ExternalObjectID: "123"})
	create(f, c.Resources, core.ServiceResource{Class: class.ID, Name: "closed", OrgID: core.SystemOrgID, ExternalObjectID: "456"})
	create(f, c.Rules, core.ACLRule{
		Action: action.ID, Name: "open", Resource: core.Reach{Access: core.AccessEntity, Entity: open.ID},
		Org: core.Reach{Access: core.AccessPublished}, Principal: core.Reach{Access: core.AccessShared},
	})
}

func create[E any](f *fixture, t *catalog.Table[E], e E) E {
	f.Helper()
	made, err := t.Create(f.Context(), "", e)
	if err != nil {
		f.Fatal(err)
	}
	return made
}

// twisted writes a path in one of the ways by which attackers try to be
// understood differently by two readers.
func twisted(rng *rand.Rand, path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if rng.IntN(10) != 0 {
			b.WriteByte(c)
			continue
		}
		const hex, upper = "0123456789abcdef", "0123456789ABCDEF"
		switch rng.IntN(16) {
		case 0, 1, 2, 3:
			b.WriteString("%" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
		case 4, 5, 6:
			b.WriteString("%" + upper[c>>4:c>>4+1] + upper[c&15:c&15+1])
		case 7:
			b.WriteString("%25" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
		case 8:
			b.WriteString("%c0%" + upper[(c|0x80)>>4:(c|0x80)>>4+1] + upper[c&15:c&15+1])
		case 9:
			b.WriteByte(c ^ 0x20)
		default:
			more := []string{"./", "../", "/", ";", ";a=b", "%2f", "%5c", "%00", "%3b", "%2e%2e/", "x/../", "%", "%E2%80%A8", "%c3%a9", "~", "-"}
			b.WriteByte(c)
			b.WriteString(more[rng.IntN(len(more))])
		}
	}
	return b.String()
}

// verdict is what becomes of a call: its status, and what the service saw.
type verdict struct {
	status int
	saw    string // empty: nothing
}

// TestAuthorizationDecidesTheSameForEverySpelling is T1: a path is decided
// like its canonical form, the service sees that form, and what is decided
// fits the path as one decoding gives it. A million paths with ANNEX_LONG.
func TestAuthorizationDecidesTheSameForEverySpelling(t *testing.T) {
	f := setUp(t)
	f.guarded()
	saw := ""
	f.kinds[core.KindMQTT].Handle(func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		saw = m.Request.RawPath
		return m.Answer(core.Response{Status: 200}), nil
	})
	call := func(path string) verdict {
		saw = ""
		w := httptest.NewRecorder()
		r := &http.Request{
			Method: "GET", URL: &url.URL{Path: "/"}, RequestURI: path, Host: "gw.test", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Authorization": {"Bearer " + f.token}}, RemoteAddr: "127.0.0.1:1", Body: http.NoBody,
		}
		f.gw.ServeHTTP(w, r.WithContext(t.Context()))
		return verdict{w.Code, saw}
	}
	n := 100_000
	if os.Getenv("ANNEX_LONG") != "" {
		n = 1_000_000
	}
	rng := rand.New(rand.NewPCG(7, 11))
	bases := []string{"/api/backup/123", "/api/backup/123", "/api/backup/456", "/api/backup/1234/x", "/api/admin/extension/service", "/cloudapi/1.0.0/users", "/api/backups/123"}
	known := map[string]verdict{}
	refused, allowed, denied := 0, 0, 0
	for range n {
		path := twisted(rng, bases[rng.IntN(len(bases))])
		got := call(path)
		canonical, err := target.Parse(path, "gw.test")
		if err != nil {
			refused++
			if got.status != 400 && got.status != 414 || got.saw != "" {
				t.Fatalf("%q cannot be read, and became %+v", path, got)
			}
			continue
		}
		want, ok := known[canonical.RawPath]
		if !ok {
			want = call(canonical.RawPath)
			known[canonical.RawPath] = want
		}
		if got != want {
			t.Fatalf("%q became %+v, and its canonical form %q became %+v", path, got, canonical.RawPath, want)
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded != canonical.Path {
			t.Fatalf("%q is decoded to %q, %v; canonical %q", path, decoded, err, canonical.Path)
		}
		switch {
		case decoded == "/api/backup/123":
			allowed++
			if got != (verdict{200, "/api/backup/123"}) {
				t.Fatalf("%q: %+v", path, got)
			}
		case strings.HasPrefix(decoded, "/api/backup/"):
			denied++
			if got != (verdict{403, ""}) {
				t.Fatalf("%q: %+v", path, got)
			}
		case got.saw != "":
			t.Fatalf("%q reached the service as %q", path, got.saw)
		}
	}
	t.Logf("%d paths: %d refused, %d allowed, %d denied", n, refused, allowed, denied)
	if refused < n/10 || allowed < n/100 || denied < n/100 {
		t.Error("the paths are not those that were meant")
	}
}
