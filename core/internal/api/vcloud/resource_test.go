package vcloud

import (
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// toys are an entity that belongs to a filter, as other entities belong to one
// another: tokens in disguise.
func toys(filter string) spec[core.Token] {
	return spec[core.Token]{
		word: "toy", parent: "apifilter", lists: []string{"toys", "playthings"},
		root: "Toy", media: "application/vnd.annex.toy", prefix: core.TokenPrefix,
		id:       func(k core.Token) string { return k.ID },
		name:     func(k core.Token) string { return k.Name },
		revision: func(k core.Token) uint64 { return k.Revision },
		parentOf: func(core.Token) string { return filter },
		decode: func(body *vxml.Element, _ string) (core.Token, error) {
			return core.Token{Name: body.Attr("name"), Type: core.TokenRefresh, SecretHash: []byte("x")}, body.Only()
		},
		encode:  func(e *vxml.Element, k core.Token) { e.Leaf("Name", k.Name) },
		records: records.Of[core.Token]{Type: records.Type{Name: "toy"}},
	}
}

func TestAnEntityThatBelongsToAnother(t *testing.T) {
	t.Parallel()
	h := build(t)
	f, err := h.catalog.Filters.Create(t.Context(), "", core.Filter{System: h.service.ID, Scope: core.ScopeAPI, URLPattern: "/api/x"})
	h.must(err)
	s := newServer(api.Deps{Catalog: h.catalog, Identity: h.identity, Live: h.live})
	s.resources["toy"] = &resource[core.Token]{spec: toys(f.ID), table: h.catalog.Tokens}
	h.echo = echo.New()
	s.mount(h.echo)

	filter := servicePath + "/apifilter/" + strings.TrimPrefix(f.ID, core.FilterPrefix)
	shown, err := vxml.ParseXML([]byte(h.expect(h.send(h.administrator, "GET", filter, ""), 200)))
	h.must(err)
	rels := map[string]string{}
	for _, l := range shown.Children {
		rels[l.Attr("rel")] = l.Attr("href")
	}
	if rels["add"] != base+filter+"/toys" || rels["down:toys"] != base+filter+"/toys" {
		t.Fatalf("links %v", rels)
	}

	w := h.send(h.administrator, "POST", filter+"/PlayThings", `<Toy name="bear"/>`)
	made, err := vxml.ParseXML([]byte(h.expect(w, 201)))
	h.must(err)
	for _, l := range made.Children {
		if l.Attr("rel") == "up" && l.Attr("href") != base+filter {
			t.Fatalf("up leads to %s", l.Attr("href"))
		}
	}
	toy := strings.TrimPrefix(w.Header().Get("Location"), base)
	if toy != servicePath+"/toy/"+strings.TrimPrefix(made.Attr("id"), core.TokenPrefix) {
		t.Fatalf("Location %s", toy)
	}
	h.expect(h.send(h.administrator, "GET", toy, ""), 200)
	h.expect(h.send(h.administrator, "GET", filter+"/toys", ""), 200)
	h.expect(h.send(h.administrator, "GET", servicePath+"/apifilter/"+core.NewUUID()+"/toys", ""), 404)
	h.expect(h.send(h.administrator, "GET", h.path+"/toys", ""), 404)
	h.expect(h.send(h.administrator, "DELETE", toy, ""), 204)
	h.expect(h.send(h.administrator, "GET", toy, ""), 404)

	// What an item belongs to must be there.
	w = h.send(h.administrator, "POST", filter+"/toys", `<Toy name="bear"/>`)
	h.expect(w, 201)
	h.must(h.catalog.Filters.Delete(t.Context(), f.ID, nil))
	h.expect(h.send(h.administrator, "GET", strings.TrimPrefix(w.Header().Get("Location"), base), ""), 404)
}
