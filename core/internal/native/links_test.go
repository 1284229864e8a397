package native_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// service registers an enabled service.
func (h *house) service(name string, priority int) core.System {
	h.t.Helper()
	s, err := h.cat.Systems.Create(h.t.Context(), "", core.System{Kind: core.KindMQTT, Vendor: "acme", Name: name, Version: "1.0.0", Enabled: true, Priority: priority})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) link(system, rel, resourceType, resourceID string) {
	h.t.Helper()
	_, err := h.cat.Links.Create(h.t.Context(), "", core.Link{
		System: system, Href: "{baseUri}org/{resourceId}/" + rel, MimeType: "text/plain", Rel: rel, ResourceType: resourceType, ResourceID: resourceID, ExternalResourceID: "ext-" + rel,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) enable(id string, on bool) {
	h.t.Helper()
	_, err := h.cat.Systems.Update(h.t.Context(), "", id, nil, func(s core.System) (core.System, error) { s.Enabled = on; return s, nil })
	if err != nil {
		h.t.Fatal(err)
	}
}

const orgType = "application/vnd.vmware.vcloud.org"

func TestServicesShowLinksOnOrganisations(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	low, high := h.service("low", 10), h.service("high", 90)
	h.link(low.ID, "down:currentTime", orgType+"+xml", "")
	h.link(high.ID, "down:own", orgType+"+json", core.OrgPrefix+acme)
	h.link(high.ID, "down:bare", orgType+"+xml", strings.ToUpper(other))
	h.link(high.ID, "down:list", "application/vnd.vmware.vcloud.orgList+xml", "")
	h.link(high.ID, "down:admin", "application/vnd.vmware.admin.organization+xml", "")
	for _, form := range []string{"xml", "json"} {
		for name, path := range map[string]string{"linked-org": "/api/org/" + acme, "linked-orglist": "/api/org", "linked-adminorg": "/api/admin/org/" + acme} {
			r := get(t, h.Native, member(), path, "application/*+"+form+";version=38.0")
			body := bytesOf(t, r)
			golden(t, name+"."+form, body)
			if got := r.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
				t.Errorf("%s: Content-Length %s of %d bytes", path, got, len(body))
			}
			head, err := h.Do(t.Context(), call(member(), "HEAD", path, "Accept", "application/*+"+form))
			if err != nil || head.Response.Header.Get("Content-Length") != strconv.Itoa(len(body)) || head.Response.Body.Size() != 0 {
				t.Errorf("HEAD %s: %+v, %v", path, head.Response, err)
			}
		}
	}
	rels := func(path string) string {
		t.Helper()
		root, err := vxml.ParseXML([]byte(bytesOf(t, get(t, h.Native, administrator(), path, ""))))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range root.Children {
			if rel := c.Attr("rel"); strings.HasPrefix(rel, "down:") && c.Name == "Link" {
				out = append(out, rel)
			}
		}
		return strings.Join(out, " ")
	}
	for path, want := range map[string]string{"/api/org/" + acme: "down:own down:currentTime", "/api/org/" + other: "down:bare down:currentTime", "/api/org/" + systemID: "down:currentTime", "/api/admin": ""} {
		if got := rels(path); got != want {
			t.Errorf("%s shows %q, want %q", path, got, want)
		}
	}
	h.enable(high.ID, false)
	if got := rels("/api/org/" + acme); got != "down:currentTime" {
		t.Errorf("with the other service disabled: %q", got)
	}
	h.enable(low.ID, false)
	if got := rels("/api/org/" + acme); got != "" {
		t.Errorf("with both disabled: %q", got)
	}
}

// scripted is an upstream that answers what the test says.
type scripted struct {
	seen   core.Request
	answer core.Response
}

func (s *scripted) Do(_ context.Context, m core.Message) (core.Message, error) {
	s.seen = m.Request
	return m.Answer(s.answer), nil
}

func (s *scripted) Close() error { return nil }

func (s *scripted) say(status int, body string, headers ...string) {
	s.answer = core.Response{Status: status, Header: core.NewHeader(headers...)}
	if body != "" {
		s.answer.Body = core.StreamBody(io.NopCloser(strings.NewReader(body)), int64(len(body)))
	}
}

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLinksGoIntoWhatAnUpstreamAnswers(t *testing.T) {
	t.Parallel()
	up := &scripted{}
	h := open(t, up)
	svc := h.service("svc", 50)
	h.link(svc.ID, "x", orgType+"+xml", "")
	h.link(svc.ID, "one", orgType+"+xml", acme)
	const (
		doc   = "<?xml version='1.0'?>\n<o:Org xmlns:o='http://www.vmware.com/vcloud/v1.5' o:k='1' type='application/vnd.vmware.vcloud.org+xml' id='urn:vcloud:org:7'>\n <o:New a = \"b\"><!-- c --></o:New >\n</o:Org>"
		first = "<o:Link rel=\"x\" href=\"https://annex.test:8443/api/org/7/x\" type=\"text/plain\" id=\"ext-x\"/>"
	)
	want := strings.Replace(doc, "id='urn:vcloud:org:7'>", "id='urn:vcloud:org:7'>\n "+first, 1)
	for name, c := range map[string]struct {
		status  int
		body    string
		headers []string
		method  string
		want    string // the body; "" for the one that was sent
	}{
		"by the media type":             {200, doc, []string{"Content-Type", orgType + "+xml;version=38.0"}, "GET", want},
		"whatever its case":             {200, doc, []string{"Content-Type", "application/vnd.VMware.vcloud.ORG+xml"}, "GET", want},
		"by the root of plain XML":      {200, doc, []string{"Content-Type", "text/xml; charset=utf-8"}, "GET", want},
		"by the root of any XML":        {200, doc, []string{"Content-Type", "application/*+xml;version=5.5"}, "GET", want},
		"in what was made":              {201, doc, []string{"Content-Type", orgType + "+xml"}, "POST", want},
		"in what was compressed":        {200, zipped(t, doc), []string{"Content-Type", orgType + "+xml", "Content-Encoding", "gzip"}, "GET", want},
		"not into another type":         {200, doc, []string{"Content-Type", "application/vnd.vmware.vcloud.vdc+xml"}, "GET", ""},
		"not into text":                 {200, doc, []string{"Content-Type", "text/plain"}, "GET", ""},
		"not without a type":            {200, doc, nil, "GET", ""},
		"not into an error":             {404, doc, []string{"Content-Type", orgType + "+xml"}, "GET", ""},
		"not into a part":               {206, doc, []string{"Content-Type", orgType + "+xml"}, "GET", ""},
		"not into what is no XML":       {200, "{}", []string{"Content-Type", orgType + "+xml"}, "GET", ""},
		"not by another root":           {200, "<a type='text/plain'/>", []string{"Content-Type", "application/xml"}, "GET", ""},
		"not by a root without type":    {200, "<a/>", []string{"Content-Type", "application/xml"}, "GET", ""},
		"not into an array":             {200, "[1]", []string{"Content-Type", "application/json"}, "GET", ""},
		"not into a coding not known":   {200, doc, []string{"Content-Type", orgType + "+xml", "Content-Encoding", "br"}, "GET", ""},
		"into JSON by its root":         {200, `{"id":"7","type":"application/vnd.vmware.vcloud.org+json"}`, []string{"Content-Type", "application/json"}, "GET", `{"link":[{"rel":"x","href":"https://annex.test:8443/api/org/7/x","type":"text/plain","id":"ext-x"}],"id":"7","type":"application/vnd.vmware.vcloud.org+json"}`},
		"by an address where no id is":  {200, `{"href":"https://up/api/org/` + acme + `?a=/b"}`, []string{"Content-Type", orgType + "+json"}, "GET", `{"link":[{"rel":"x","href":"https://annex.test:8443/api/org/` + acme + `/x","type":"text/plain","id":"ext-x"},{"rel":"one","href":"https://annex.test:8443/api/org/` + acme + `/one","type":"text/plain","id":"ext-one"}],"href":"https://up/api/org/` + acme + `?a=/b"}`},
		"with an id that is no segment": {200, `{"id":"a/b?c"}`, []string{"Content-Type", orgType + "+json"}, "GET", `{"link":[{"rel":"x","href":"https://annex.test:8443/api/org/a%2Fb%3Fc/x","type":"text/plain","id":"ext-x"}],"id":"a/b?c"}`},
	} {
		t.Run(name, func(t *testing.T) {
			up.say(c.status, c.body, append(c.headers, "Etag", `"tag"`, "Content-Md5", "x", "Content-Length", "1")...)
			m, err := h.Do(t.Context(), call(administrator(), c.method, "/api/org/7"))
			if err != nil {
				t.Fatal(err)
			}
			got, r := bytesOf(t, *m.Response), *m.Response
			if c.want == "" {
				if got != c.body || r.Header.Get("Etag") != `"tag"` || r.Header.Get("Content-Encoding") != up.answer.Header.Get("Content-Encoding") {
					t.Errorf("it became %q with %v", got, r.Header)
				}
				return
			}
			sorted := func(s string) string { return strings.ReplaceAll(s, "},{", "}\n,{") }
			if len(got) != len(c.want) || c.body[0] == '<' && got != c.want || c.body[0] == '{' && !json.Valid([]byte(got)) {
				t.Errorf("got\n%s\nwant\n%s", sorted(got), sorted(c.want))
			}
			tag := r.Header.Get("Etag")
			if !strings.HasPrefix(tag, `"tag;annex=`) || r.Header.Has("Content-Md5") || r.Header.Has("Content-Encoding") || r.Body.Size() != int64(len(got)) {
				t.Errorf("header %v, %d bytes", r.Header, r.Body.Size())
			}
			again := call(administrator(), "PUT", "/api/org/7", "If-Match", tag+`, W/"y"`)
			if _, err := h.Do(t.Context(), again); err != nil || up.seen.Header.Get("If-Match") != `"tag", W/"y"` {
				t.Errorf("the upstream saw If-Match %q, %v", up.seen.Header.Get("If-Match"), err)
			}
		})
	}
}

func TestAnEntityTagChangesWithTheLinks(t *testing.T) {
	t.Parallel()
	up := &scripted{}
	h := open(t, up)
	svc := h.service("svc", 50)
	tag := func() string {
		up.say(200, "<Org/>", "Content-Type", orgType+"+xml", "Etag", `W/"a"`)
		m, err := h.Do(t.Context(), call(administrator(), "GET", "/api/org/7"))
		if err != nil {
			t.Fatal(err)
		}
		return m.Response.Header.Get("Etag")
	}
	if got := tag(); got != `W/"a"` {
		t.Errorf("without links %s", got)
	}
	h.link(svc.ID, "x", orgType+"+xml", "")
	one := tag()
	if again := tag(); again != one || !strings.HasPrefix(one, `W/"a;annex=`) {
		t.Errorf("with one link %s, then %s", one, again)
	}
	h.link(svc.ID, "y", orgType+"+xml", "")
	if two := tag(); two == one {
		t.Errorf("with another link still %s", two)
	}
}

func TestAnAnswerThatWasDecodedInVainKeepsItsTag(t *testing.T) {
	t.Parallel()
	up := &scripted{}
	h := open(t, up)
	h.link(h.service("svc", 50).ID, "x", orgType+"+xml", "")
	up.say(200, zipped(t, "<a type='text/plain'/>"), "Content-Type", "application/xml", "Content-Encoding", "gzip", "Etag", `"tag"`)
	m, err := h.Do(t.Context(), call(administrator(), "GET", "/api/x"))
	if err != nil || bytesOf(t, *m.Response) != "<a type='text/plain'/>" || m.Response.Header.Get("Etag") != `"tag"` || m.Response.Header.Has("Content-Encoding") {
		t.Errorf("got %+v, %v", m.Response, err)
	}
}

func TestWhatHasNoBodyPasses(t *testing.T) {
	t.Parallel()
	up := &scripted{}
	h := open(t, up)
	h.link(h.service("svc", 50).ID, "x", orgType+"+xml", "")
	for name, c := range map[string]struct {
		method string
		status int
	}{"HEAD": {"HEAD", 200}, "204": {"DELETE", 204}, "304": {"GET", 304}} {
		up.say(c.status, "", "Content-Type", orgType+"+xml", "Content-Length", "77", "Etag", `"a"`)
		m, err := h.Do(t.Context(), call(administrator(), c.method, "/api/org/7"))
		if err != nil || m.Response.Body != nil || m.Response.Header.Get("Content-Length") != "77" || m.Response.Header.Get("Etag") != `"a"` {
			t.Errorf("%s: %+v, %v", name, m.Response, err)
		}
	}
}

func TestCodingsThatCannotBeUndoneAreNotAskedFor(t *testing.T) {
	t.Parallel()
	up := &scripted{}
	h := open(t, up)
	ask := func() string {
		up.say(200, "x", "Content-Type", "text/plain")
		in := call(administrator(), "GET", "/api/x", "Accept-Encoding", "br, gzip")
		m, err := h.Do(t.Context(), in)
		if err != nil || m.Request.Header.Get("Accept-Encoding") != "br, gzip" {
			t.Errorf("the call goes on with %v, %v", m.Request.Header, err)
		}
		return up.seen.Header.Get("Accept-Encoding")
	}
	if got := ask(); got != "br, gzip" {
		t.Errorf("without links %q", got)
	}
	h.link(h.service("svc", 50).ID, "x", orgType+"+xml", "")
	if got := ask(); got != "gzip" {
		t.Errorf("with links %q", got)
	}
}

func BenchmarkAnswersThatShowNoLinks(b *testing.B) {
	up := &scripted{}
	h := open(b, up)
	h.link(h.service("svc", 50).ID, "x", orgType+"+xml", "")
	body := core.BytesBody(bytes.Repeat([]byte("<a/>"), 25_000))
	up.answer = core.Response{Status: 200, Header: core.NewHeader("Content-Type", "application/vnd.vmware.vcloud.vdc+xml"), Body: body}
	in := call(administrator(), "GET", "/api/vdc/1", "Accept-Encoding", "identity")
	b.ReportAllocs()
	for b.Loop() {
		if m, err := h.Do(b.Context(), in); err != nil || m.Response.Body != body {
			b.Fatal("the answer was touched", err)
		}
	}
}
