package vcloud

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/version"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const (
	typeFilter = "application/vnd.vmware.admin.apiFilter+xml"
	bodyFilter = `<vmext:ApiFilter xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5"><vmext:UrlPattern>/api/cse/.*</vmext:UrlPattern></vmext:ApiFilter>`
	anyXML     = "application/*+xml;version=36.0"
	anyJSON    = "application/*+json;version=38.1"
)

// filterIDs reads the hrefs of a list as the real client does.
func filterIDs(t *testing.T, body string) (ids, patterns []string) {
	t.Helper()
	var list struct {
		XMLName xml.Name `xml:"http://www.vmware.com/vcloud/v1.5 QueryResultRecords"`
		Records []struct {
			URLPattern string `xml:"urlPattern,attr"`
			Href       string `xml:"href,attr"`
		} `xml:"http://www.vmware.com/vcloud/v1.5 ApiFilterRecord"`
	}
	if err := xml.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, r := range list.Records {
		_, id, ok := strings.Cut(r.Href, "/service/apifilter/")
		if !ok {
			t.Fatalf("href %q", r.Href)
		}
		ids, patterns = append(ids, id), append(patterns, r.URLPattern)
	}
	return ids, patterns
}

func TestTheWayOfARealClientThroughFilters(t *testing.T) {
	t.Parallel()
	h := build(t)
	list := h.path + "/apifilters"

	ids, _ := filterIDs(t, h.expect(h.send(h.administrator, "GET", list, "", "Accept", anyXML), 200))
	if len(ids) != 0 {
		t.Fatalf("%d filters before the first", len(ids))
	}

	w := h.send(h.administrator, "POST", list, bodyFilter, "Accept", anyXML, "Content-Type", typeFilter)
	body := h.expect(w, 201)
	var made struct {
		XMLName xml.Name `xml:"http://www.vmware.com/vcloud/extension/v1.5 ApiFilter"`
		Href    string   `xml:"href,attr"`
		ID      string   `xml:"id,attr"`
	}
	if err := xml.Unmarshal([]byte(body), &made); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if made.Href != w.Header().Get("Location") || !strings.HasPrefix(made.Href, base+"/api/admin/extension/service/apifilter/") {
		t.Fatalf("href %q and Location %q", made.Href, w.Header().Get("Location"))
	}
	if got := w.Header().Get("Content-Type"); got != typeFilter+";version=36.0" {
		t.Fatalf("Content-Type %q", got)
	}
	golden(t, "apifilter.xml", body)
	item := strings.TrimPrefix(made.Href, base)

	stored, err := h.catalog.Filters.Get(t.Context(), made.ID)
	if err != nil || stored.Scope != core.ScopeAPI || stored.Stage != core.OnDispatch || stored.System != h.service.ID || stored.CreatedBy == "" {
		t.Fatalf("stored as %+v, error %v", stored, err)
	}

	// A filter of the JSON API is the same thing.
	_, err = h.catalog.Filters.Create(t.Context(), "", core.Filter{System: h.service.ID, ResponseContentType: "text/plain"})
	h.must(err)
	ids, _ = filterIDs(t, h.expect(h.send(h.administrator, "GET", list, "", "Accept", anyXML), 200))
	if len(ids) != 2 {
		t.Fatalf("%d filters, want 2", len(ids))
	}

	if got := h.expect(h.send(h.administrator, "GET", item, "", "Accept", anyXML), 200); got != body {
		t.Fatalf("got\n%s\nwant\n%s", got, body)
	}
	golden(t, "apifilter.json", h.expect(h.send(h.administrator, "GET", item, "", "Accept", anyJSON), 200))

	gone := h.send(h.administrator, "DELETE", item+"?force=False&recursive=False", "", "Accept", anyXML)
	if got := h.expect(gone, 204); got != "" {
		t.Fatalf("body %q", got)
	}
	h.expect(h.send(h.administrator, "GET", item, "", "Accept", anyXML), 404)
	h.expect(h.send(h.administrator, "DELETE", item, ""), 404)
	if ids, _ := filterIDs(t, h.expect(h.send(h.administrator, "GET", list, ""), 200)); len(ids) != 1 {
		t.Fatalf("%d filters, want 1", len(ids))
	}
}

func TestListsAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	h := build(t)
	_, err := h.catalog.Filters.Create(t.Context(), "", core.Filter{System: h.service.ID, Scope: core.ScopeAPI, URLPattern: "/api/(?<id>a|b)&.*"})
	h.must(err)
	for name, target := range map[string]string{
		"versions":          "/api/versions",
		"vmwextension":      "/api/admin/extension",
		"extensionservices": "/api/admin/extension/service",
		"service":           h.path,
		"apifilters":        h.path + "/apifilters",
		"apifilters-id":     h.path + "/apifilters?format=idrecords",
		"apifilters-ref":    h.path + "/apifilters?format=references&page=1",
	} {
		golden(t, name+".xml", h.expect(h.send(h.administrator, "GET", target, "", "Accept", anyXML), 200))
		body := h.expect(h.send(h.administrator, "GET", target, "", "Accept", anyJSON), 200)
		if !json.Valid([]byte(body)) {
			t.Errorf("%s is no JSON: %s", name, body)
		}
		golden(t, name+".json", body)
	}
}

func TestAnAMQPServiceShowsWhereItListens(t *testing.T) {
	t.Parallel()
	h := build(t)
	s, err := h.catalog.Systems.Create(t.Context(), "", core.System{
		Kind: core.KindAMQP, Vendor: "acme", Name: "backup", Version: "2.0.0", Namespace: "com.acme.backup", Priority: 50, AuthorizationEnabled: true,
		Settings: core.EncodeSettings(core.AMQPSettings{Exchange: "ex", RoutingKey: "key"}),
	})
	h.must(err)
	target := "/api/admin/extension/service/" + s.UUID()
	golden(t, "service-amqp.xml", h.expect(h.send(h.administrator, "GET", target, "", "Accept", anyXML), 200))
	h.expect(h.send(h.administrator, "GET", target[:len(target)-36]+strings.ToUpper(s.UUID()), ""), 200)
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := build(t)
	for i := range 30 {
		_, err := h.catalog.Filters.Create(t.Context(), "", core.Filter{
			ID: fmt.Sprintf("%s00000000-0000-4000-8000-0000000000%02d", core.FilterPrefix, i), System: h.service.ID, Scope: core.ScopeAPI, URLPattern: "/api/" + strconv.Itoa(i),
		})
		h.must(err)
	}
	for name, c := range map[string]struct {
		query       string
		count       int
		first, next string
	}{
		"all at once without a question":       {"", 30, "/api/0", ""},
		"the first of the default size":        {"?page=1", 25, "/api/0", "?page=2&pageSize=25"},
		"the second of the default size":       {"?page=2", 5, "/api/25", ""},
		"one in the middle":                    {"?pageSize=7&page=2&format=records", 7, "/api/7", "?pageSize=7&page=3&format=records"},
		"the last":                             {"?pageSize=15&page=2", 15, "/api/15", ""},
		"only a size":                          {"?pageSize=29", 29, "/api/0", "?pageSize=29&page=2"},
		"a size that is too large":             {"?pageSize=100000", 30, "/api/0", ""},
		"one behind the last":                  {"?page=99", 0, "", ""},
		"one far behind the last":              {"?page=999999999999", 0, "", ""},
		"a leading ampersand, an empty filter": {"?&filter=&page=2", 5, "/api/25", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			body := h.expect(h.send(h.administrator, "GET", h.path+"/apifilters"+c.query, ""), 200)
			ids, patterns := filterIDs(t, body)
			if len(ids) != c.count || c.count > 0 && patterns[0] != c.first {
				t.Fatalf("%d records, first %v", len(ids), patterns)
			}
			root, err := vxml.ParseXML([]byte(body))
			h.must(err)
			if root.Attr("total") != "30" {
				t.Fatalf("total %s", root.Attr("total"))
			}
			next := ""
			for _, l := range root.Children {
				if l.Attr("rel") == "nextPage" && strings.HasSuffix(l.Attr("type"), "+xml") {
					next = strings.TrimPrefix(l.Attr("href"), base+h.path+"/apifilters")
				}
			}
			if next != c.next {
				t.Fatalf("next page %q, want %q", next, c.next)
			}
		})
	}
	for _, query := range []string{"?page=0", "?page=x", "?pageSize=-1", "?format=xml", "?filter=a==b", "?sortAsc=a", "?page=1&page=2", "?page=%zz"} {
		h.expect(h.send(h.administrator, "GET", h.path+"/apifilters"+query, ""), 400)
	}
	w := h.send(h.administrator, "GET", h.path+"/apifilters", "", "Accept", "application/vnd.vmware.vcloud.query.references+xml;version=5.1")
	if got := w.Header().Get("Content-Type"); w.Code != 200 || got != "application/vnd.vmware.vcloud.query.references+xml;version=5.1" {
		t.Fatalf("status %d, Content-Type %q", w.Code, got)
	}
}

func TestBodiesOfNewFilters(t *testing.T) {
	t.Parallel()
	h := build(t)
	x := func(children string) string { return "<ApiFilter>" + children + "</ApiFilter>" }
	for name, c := range map[string]struct {
		contentType, body string
		status            int
		pattern           string
	}{
		"without a Content-Type":             {"", bodyFilter, 201, "/api/cse/.*"},
		"with any XML type":                  {"application/xml", bodyFilter, 201, "/api/cse/.*"},
		"in JSON":                            {"application/vnd.vmware.admin.apiFilter+json;version=38.0", `{"urlPattern":"/api/j/.*"}`, 201, "/api/j/.*"},
		"in JSON, as an answer had it":       {"application/*+json", `{"id":"a","href":"b","type":"c","link":[{"rel":"up"}],"urlPattern":"/api/k","responseContentType":null,"otherAttributes":{}}`, 201, "/api/k"},
		"with a content type of responses":   {typeFilter, x("<ResponseContentType>text/plain</ResponseContentType>"), 201, ""},
		"broken to fit the page":             {typeFilter, x("<UrlPattern>\n  (/api/a/.*)|\r\n   (/api/b/.*)\n</UrlPattern>"), 201, "(/api/a/.*)|(/api/b/.*)"},
		"with a named group":                 {typeFilter, x("<UrlPattern>/api/(?&lt;id&gt;[-,a-g,0-9]*)</UrlPattern>"), 201, "/api/(?<id>[-,a-g,0-9]*)"},
		"with both":                          {typeFilter, x("<UrlPattern>/a</UrlPattern><ResponseContentType>a/b</ResponseContentType>"), 400, ""},
		"with nothing":                       {typeFilter, x(""), 400, ""},
		"with an empty pattern":              {typeFilter, x("<UrlPattern> </UrlPattern>"), 400, ""},
		"with a pattern that cannot be read": {typeFilter, x("<UrlPattern>/api/(</UrlPattern>"), 400, ""},
		"with a pattern that is too long":    {typeFilter, x("<UrlPattern>/" + strings.Repeat("a", 1024) + "</UrlPattern>"), 400, ""},
		"with a content type that is none":   {typeFilter, x("<ResponseContentType>plain</ResponseContentType>"), 400, ""},
		"with two patterns":                  {typeFilter, x("<UrlPattern>/a</UrlPattern><UrlPattern>/b</UrlPattern>"), 400, ""},
		"with two patterns in JSON":          {"application/json", `{"urlPattern":["/a","/b"]}`, 400, ""},
		"with an element that is not known":  {typeFilter, x("<UrlPattern>/a</UrlPattern><UrlScope>EXT_API</UrlScope>"), 400, ""},
		"of another root":                    {typeFilter, `<ServiceLink><UrlPattern>/a</UrlPattern></ServiceLink>`, 400, ""},
		"of nothing":                         {typeFilter, "", 400, ""},
		"with a document type":               {typeFilter, `<!DOCTYPE ApiFilter [<!ENTITY x "/a">]>` + x("<UrlPattern>&x;</UrlPattern>"), 400, ""},
		"with a million elements":            {typeFilter, x(strings.Repeat("<a/>", 250_000)), 400, ""},
		"nested deeply":                      {typeFilter, strings.Repeat("<ApiFilter>", 5_000), 400, ""},
		"larger than allowed":                {typeFilter, x(strings.Repeat(" ", 1<<20)), 400, ""},
		"as a form":                          {"application/x-www-form-urlencoded", "urlPattern=/a", 415, ""},
		"as text":                            {"text/plain", bodyFilter, 415, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			headers := []string{"Accept", anyXML}
			if c.contentType != "" {
				headers = append(headers, "Content-Type", c.contentType)
			}
			w := h.send(h.administrator, "POST", h.path+"/apifilters", c.body, headers...)
			body := h.expect(w, c.status)
			root, err := vxml.ParseXML([]byte(body))
			h.must(err)
			if got := root.Value("UrlPattern"); got != c.pattern {
				t.Fatalf("pattern %q", got)
			}
			if c.status > 299 && (root.Name != "Error" || !strings.HasPrefix(root.Attr("message"), "[ request-1 ] ")) {
				t.Fatalf("body %s", body)
			}
		})
	}
}

func TestNobodyElseManages(t *testing.T) {
	t.Parallel()
	h := build(t)
	f, err := h.catalog.Filters.Create(t.Context(), "", core.Filter{System: h.service.ID, Scope: core.ScopeAPI, URLPattern: "/api/x"})
	h.must(err)
	root := "/api/admin/extension"
	targets := []string{
		root, root + "/", root + "/service", root + "/service/", h.path, h.path + "/", h.path + "/apifilters", h.path + "/apifilters/",
		root + "/service/apifilter/" + strings.TrimPrefix(f.ID, core.FilterPrefix), root + "/service/apifilter/" + core.NewUUID(),
		root + "/unknown", root + "/service/unknown", root + "/service/a/b/c/d/e", root + "/settings/amqp",
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "FOO"} {
		for _, target := range targets {
			for who, c := range map[string]struct {
				token  string
				status int
			}{"nobody": {"", 401}, "somebody with a bad token": {"x.y.z", 401}, "a tenant": {h.tenant, 403}} {
				w := h.send(c.token, method, target, bodyFilter)
				if w.Code != c.status {
					t.Errorf("%s %s by %s: %d, want %d", method, target, who, w.Code, c.status)
				}
				if root, err := vxml.ParseXML(w.Body.Bytes()); err != nil || root.Name != "Error" {
					t.Errorf("%s %s by %s: %s", method, target, who, w.Body)
				}
			}
		}
	}
	if _, err := h.catalog.Filters.Get(t.Context(), f.ID); err != nil {
		t.Errorf("the filter: %v", err)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	h := build(t)
	endpoint, err := h.catalog.Systems.Create(t.Context(), "", core.System{
		Kind: core.KindHTTPS, Vendor: "acme", Name: "page", Version: "1.0.0", Settings: core.EncodeSettings(core.HTTPSSettings{RootURL: "https://h"}),
	})
	h.must(err)
	f, err := h.catalog.Filters.Create(t.Context(), "", core.Filter{System: endpoint.ID, Scope: core.ScopeExtAPI, URLPattern: "/page/.*"})
	h.must(err)
	root := "/api/admin/extension"
	for name, c := range map[string]struct {
		method, target string
		status         int
		allow          string
	}{
		"an unknown path":                       {"GET", root + "/unknown", 404, ""},
		"an unknown path by an unknown verb":    {"FOO", root + "/unknown", 404, ""},
		"a service that is not there":           {"GET", root + "/service/" + core.NewUUID(), 404, ""},
		"filters of a service that is not":      {"GET", root + "/service/" + core.NewUUID() + "/apifilters", 404, ""},
		"a new filter of a service that is not": {"POST", root + "/service/" + core.NewUUID() + "/apifilters", 404, ""},
		"a service by a name":                   {"GET", root + "/service/cse", 404, ""},
		"an endpoint":                           {"GET", root + "/service/" + endpoint.UUID(), 404, ""},
		"filters of an endpoint":                {"GET", root + "/service/" + endpoint.UUID() + "/apifilters", 404, ""},
		"a filter of an endpoint":               {"GET", root + "/service/apifilter/" + strings.TrimPrefix(f.ID, core.FilterPrefix), 404, ""},
		"a filter of an endpoint, to delete":    {"DELETE", root + "/service/apifilter/" + strings.TrimPrefix(f.ID, core.FilterPrefix), 404, ""},
		"a filter that is not there":            {"GET", root + "/service/apifilter/" + core.NewUUID(), 404, ""},
		"a filter by another id":                {"GET", root + "/service/apifilter/1", 404, ""},
		"the word of filters alone":             {"GET", root + "/service/apifilter", 404, ""},
		"what filters do not have":              {"GET", root + "/service/apifilter/" + core.NewUUID() + "/apifilters", 404, ""},
		"an unknown list":                       {"GET", h.path + "/unknown", 404, ""},
		"something far below":                   {"GET", h.path + "/apifilters/a/b", 404, ""},
		"a verb that the root does not take":    {"POST", root, 405, "GET, HEAD"},
		"a verb that a service does not take":   {"PATCH", h.path, 405, "GET, HEAD, PUT, DELETE"},
		"a verb that a list does not take":      {"DELETE", h.path + "/apifilters", 405, "GET, HEAD, POST"},
		"a verb that a filter does not take":    {"PUT", root + "/service/apifilter/" + core.NewUUID(), 405, "GET, HEAD, DELETE"},
		"a verb that nobody knows":              {"FOO", h.path, 405, "GET, HEAD, PUT, DELETE"},
		"a new version":                         {"POST", "/api/versions", 405, "GET, HEAD"},
		"reading logins":                        {"GET", "/api/sessions", 405, "POST"},
		"what is not ours":                      {"GET", "/api/session", 404, ""},
		"what is not ours either":               {"POST", "/api/admin/extensions", 404, ""},
		"something below the versions":          {"GET", "/api/versions/x", 404, ""},
		"something below the logins":            {"POST", "/api/sessions/x", 404, ""},
		"a login of long ago":                   {"FOO", "/api/login", 404, ""},
		"the root of the API":                   {"GET", "/api/", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			w := h.send(h.administrator, c.method, c.target, bodyFilter)
			h.expect(w, c.status)
			if got := w.Header().Get("Allow"); got != c.allow {
				t.Fatalf("Allow %q, want %q", got, c.allow)
			}
		})
	}
}

func TestSlashesAtTheEndAndHeads(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, target := range []string{"/api/versions", "/api/admin/extension", "/api/admin/extension/service", h.path, h.path + "/apifilters"} {
		want := h.expect(h.send(h.administrator, "GET", target, ""), 200)
		slash := h.expect(h.send(h.administrator, "GET", target+"/", ""), 200)
		if strings.ReplaceAll(slash, `/" type`, `" type`) != want {
			t.Errorf("%s/ is\n%s\nand without slash\n%s", target, slash, want)
		}
		h.expect(h.send(h.administrator, "HEAD", target, ""), 200)
	}
}

func TestAnETagProtectsADelete(t *testing.T) {
	t.Parallel()
	h := build(t)
	w := h.send(h.administrator, "POST", h.path+"/apifilters", bodyFilter)
	h.expect(w, 201)
	item, tag := strings.TrimPrefix(w.Header().Get("Location"), base), w.Header().Get("ETag")
	if got := h.send(h.administrator, "GET", item, "").Header().Get("ETag"); got != tag || tag == "" {
		t.Fatalf("ETag %q, and %q at first", got, tag)
	}
	h.expect(h.send(h.administrator, "DELETE", item, "", "If-Match", api.ETag(1<<40)), 412)
	h.expect(h.send(h.administrator, "DELETE", item, "", "If-Match", "nonsense"), 400)
	h.expect(h.send(h.administrator, "DELETE", item, "", "If-Match", tag), 204)
}

func TestVersionsAreForEverybody(t *testing.T) {
	t.Parallel()
	h := build(t)
	for name, headers := range map[string][]string{
		"without an Accept header":   nil,
		"with one without a version": {"Accept", "application/*+xml"},
		"with a bad token":           {"Authorization", "Bearer x"},
	} {
		w := h.send("", "GET", "/api/versions", "", headers...)
		var list struct {
			XMLName  xml.Name `xml:"http://www.vmware.com/vcloud/versions SupportedVersions"`
			Versions []struct {
				Deprecated       bool `xml:"deprecated,attr"`
				Version          string
				LoginURL         string `xml:"LoginUrl"`
				ProviderLoginURL string `xml:"ProviderLoginUrl"`
			} `xml:"VersionInfo"`
		}
		if err := xml.Unmarshal([]byte(h.expect(w, 200)), &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, v := range list.Versions {
			got = append(got, v.Version)
			if v.LoginURL != base+"/cloudapi/1.0.0/sessions" || v.ProviderLoginURL != v.LoginURL+"/provider" {
				t.Fatalf("%s: %+v", name, v)
			}
		}
		if strings.Join(got, " ") != "35.0 36.0 37.0 38.0 38.1 39.0" {
			t.Fatalf("%s: %v", name, got)
		}
	}
	if a, b := strings.Join(vxml.ListedVersions(), " "), strings.Join(version.List(), " "); a != b {
		t.Fatalf("this API lists %s and the JSON API %s", a, b)
	}
}

func TestTheOlderLogin(t *testing.T) {
	t.Parallel()
	h := build(t)
	login := func(user, password string) (int, http.Header, string) {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "/", nil)
		r.SetBasicAuth(user, password)
		w := h.send("", "POST", "/api/sessions", "", "Authorization", r.Header.Get("Authorization"), "Accept", "application/*+xml;version=5.5")
		return w.Code, w.Header(), w.Body.String()
	}
	for name, c := range map[string][2]string{
		"a wrong password": {"administrator@System", "x"}, "an unknown user": {"who@System", password},
		"an unknown organisation": {"administrator@who", password}, "no organisation": {"administrator", password}, "nobody": {"@System", password},
	} {
		if code, _, body := login(c[0], c[1]); code != 401 || !strings.Contains(body, "<Error") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	h.expect(h.send("", "POST", "/api/sessions", ""), 401)
	h.expect(h.send(h.administrator, "POST", "/api/sessions", ""), 401)

	for user, file := range map[string]string{"administrator@system": "session.xml", "eve@example.com@acme": "session-tenant.xml"} {
		code, header, body := login(user, password)
		token := header.Get("X-Vcloud-Authorization")
		if code != 200 || token == "" || header.Get("X-Vmware-Vcloud-Access-Token") != token {
			t.Fatalf("%d %v", code, header)
		}
		cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
		if err != nil || cookie.Name != "vcloud_jwt" || cookie.Value != token || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" {
			t.Fatalf("cookie %v, error %v", cookie, err)
		}
		if got := header.Get("Content-Type"); got != "application/vnd.vmware.vcloud.session+xml;version=5.5" {
			t.Fatalf("Content-Type %q", got)
		}
		golden(t, file, body)
		h.expect(h.send("", "DELETE", "/api/session", "", "X-Vcloud-Authorization", token), 204)
		h.expect(h.send("", "DELETE", "/api/session", "", "X-Vcloud-Authorization", token), 401)
	}
	h.expect(h.send("", "DELETE", "/api/session", ""), 401)
}
