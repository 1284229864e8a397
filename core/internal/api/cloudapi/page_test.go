package cloudapi_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func register(t *testing.T, h *house, n int) {
	t.Helper()
	for i := range n {
		h.post(endpoints, fmt.Sprintf(`{"name":"n%03d","version":"1.0.%d","vendor":"acme","enabled":%t,"priority":%d,"rootUrl":"https://h.example"}`, i, i%3, i%2 == 0, i%101)).want(201)
	}
}

func names(m map[string]any) []string {
	var out []string
	for _, v := range m["values"].([]any) {
		out = append(out, v.(map[string]any)["name"].(string))
	}
	return out
}

var linkRE = regexp.MustCompile(`^<([^>]+)>;rel="([A-Za-z]+)";type="application/json"$`)

// links reads the header as clients do: split at commas, whatever they are in.
func links(t *testing.T, r reply) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, header := range r.Header.Values("Link") {
		for part := range strings.SplitSeq(header, ", ") {
			m := linkRE.FindStringSubmatch(part)
			if m == nil {
				t.Fatalf("the link %q cannot be read", part)
			}
			out[m[2]] = m[1]
		}
	}
	return out
}

func TestAnEmptyCollectionHasAPageWithValues(t *testing.T) {
	newHouse(t).get(endpoints + "/").golden("page-empty")
}

func TestClientsWalkPagesByTheNextPageLink(t *testing.T) {
	h := newHouse(t)
	register(t, h, 60)
	filter := url.QueryEscape("(vendor==acme,vendor==x);name!=n007")
	target, seen, pages := endpoints+"?pageSize=20&filter="+filter+"&sortAsc=name", []string{}, 0
	for target != "" {
		r := h.get(target)
		m := r.want(200)
		seen, pages = append(seen, names(m)...), pages+1
		l := links(t, r)
		if m["resultTotal"] != 59.0 || m["pageCount"] != 3.0 || m["page"] != float64(pages) || m["pageSize"] != 20.0 {
			t.Errorf("page %d says %v of %v", pages, m["page"], m["pageCount"])
		}
		if l["firstPage"] == "" || l["lastPage"] == "" || (l["previousPage"] == "") != (pages == 1) || (l["nextPage"] == "") != (pages == 3) {
			t.Errorf("page %d has the links %v", pages, l)
		}
		target = strings.TrimPrefix(l["nextPage"], baseURL)
		if l["nextPage"] != "" && target == l["nextPage"] {
			t.Fatalf("nextPage %q is not below %s", l["nextPage"], baseURL)
		}
	}
	if pages != 3 || len(seen) != 59 || !slices.IsSorted(seen) || slices.Contains(seen, "n007") {
		t.Errorf("%d pages with %d names: %v", pages, len(seen), seen)
	}
}

func TestClientsWalkPagesByCounting(t *testing.T) {
	h := newHouse(t)
	register(t, h, 30)
	first := h.get(endpoints).want(200)
	if len(names(first)) != 25 || first["pageSize"] != 25.0 || first["page"] != 1.0 || first["pageCount"] != 2.0 {
		t.Errorf("the first page is %v", first)
	}
	second := h.get(endpoints + "?page=2").want(200)
	if got := slices.Concat(names(first), names(second)); len(slices.Compact(slices.Sorted(slices.Values(got)))) != 30 {
		t.Errorf("both pages hold %v", got)
	}
	third := h.get(endpoints + "?page=3&pageSize=25")
	if m := third.want(200); len(names(m)) != 0 || m["resultTotal"] != 30.0 {
		t.Errorf("the page behind the last is %v", m)
	}
	if l := links(t, third); l["nextPage"] != "" || !strings.Contains(l["previousPage"], "page=2&") {
		t.Errorf("the page behind the last has the links %v", l)
	}
	if m := h.get(endpoints + "?pageSize=128").want(200); len(names(m)) != 30 || m["pageCount"] != 1.0 {
		t.Errorf("one large page is %v", m)
	}
}

func TestListsAreFiltered(t *testing.T) {
	h := newHouse(t)
	register(t, h, 6)
	h.post(services, serviceBody).want(201)
	h.post(filters, `{"externalSystem":{"id":"`+serviceID+`"},"urlMatcher":{"urlPattern":"/api/a;b","urlScope":"API"}}`).want(201)
	h.post(tokens, `{"name":"X","type":"EXTENSION","extensionId":"`+serviceID+`"}`).want(201)
	tests := []struct {
		target string
		want   float64
	}{
		{endpoints + "?filter=vendor%3D%3Dacme%3Bname%3D%3Dn003%3Bversion%3D%3D1.0.0", 1},
		{endpoints + "?filter=vendor==acme;name==n003;version==1.0.0", 1}, // as it is, semicolons and all
		{endpoints + "?filter=vendor==acme;name==n003;version==1.0.1", 0},
		{endpoints + "?&pageSize=128&filter=name==n00*&filterEncoded=true", 6},
		{endpoints + "?filter=enabled==true", 3},
		{endpoints + "?filter=enabled!=true;priority=ge=3", 2},
		{endpoints + "?filter=(name==n001,name==n002,name==nope)", 2},
		{endpoints + "?filter=rootUrl==https://h.example", 6},
		{endpoints + "?filter=id==urn:vcloud:extensionEndpoint:acme:n001:1.0.1", 1},
		{endpoints + "?filter=", 6},
		{filters + "?filter=externalSystem.id==" + serviceID, 1},
		{filters + "?filter=externalSystem.name==clip", 1},
		{filters + "?filter=externalSystem.id==" + endpointID, 0},
		{filters + `?filter=urlMatcher.urlPattern==/api/a\;b`, 1},
		{filters + "?filter=stage==dispatch;urlMatcher.urlScope==API;responseContentType==", 1},
		{tokens + "?filter=(name==X;owner.name==acme/clip/1.0.0;(type==PROXY,type==EXTENSION))", 1},
		{tokens + "?filter=(name==X;owner.name==administrator;(type==PROXY,type==REFRESH))", 0},
		{tokens + "?filter=org.name==System", 1},
		{services + "?filter=kind==mqtt;authorizationEnabled==false;wasm.module==", 1},
		{modules + "?filter=size=gt=0", 0},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			m := h.get(strings.ReplaceAll(tt.target, `\`, "%5C")).want(200)
			if m["resultTotal"] != tt.want || len(m["values"].([]any)) != int(tt.want) {
				t.Errorf("%v results, want %v", m["resultTotal"], tt.want)
			}
		})
	}
}

func TestListsAreSorted(t *testing.T) {
	h := newHouse(t)
	for i, name := range []string{"c", "a", "b"} {
		h.post(endpoints, fmt.Sprintf(`{"name":%q,"version":"1.0.0","vendor":"acme","enabled":%t,"priority":%d,"rootUrl":"https://h.example"}`, name, name == "b", 9+i)).want(201)
	}
	for query, want := range map[string]string{
		"":                                 "a b c",
		"?sortAsc=name":                    "a b c",
		"?sortDesc=name":                   "c b a",
		"?sortAsc=priority":                "c a b",
		"?sortDesc=priority":               "b a c",
		"?sortDesc=enabled":                "b a c",
		"?sortDesc=name&pageSize=2":        "c b",
		"?sortDesc=name&pageSize=2&page=2": "a",
		"?sortDesc=name&pageSize=2&page=9": "",
	} {
		if got := strings.Join(names(h.get(endpoints+query).want(200)), " "); got != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
}

func TestQueriesThatMakeNoSenseAreRefused(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string]string{
		"?page=0":                     "page=\"0\": a whole number from 1",
		"?page=x":                     "page",
		"?page=":                      "page",
		"?pageSize=0":                 "from 1 to 128",
		"?pageSize=129":               "from 1 to 128",
		"?pageSize=-1":                "from 1 to 128",
		"?page=99999999999999999999":  "page",
		"?pageSize=5&pageSize=6":      "more than once",
		"?filter=naem==x":             `no attribute "naem" here; known are description, enabled`,
		"?filter=name==x&filter=a==b": "more than once",
		"?filter=name":                "one of ==",
		"?sortAsc=nope":               `no attribute "nope" to sort by; known are description`,
		"?sortAsc=name&sortDesc=name": "exclude each other",
		"?filter=%zz":                 "hexadecimal",
	} {
		t.Run(query, func(t *testing.T) {
			r := call{method: "GET", target: endpoints}
			h.doRaw(r, strings.TrimPrefix(query, "?")).wantError(400, "BAD_REQUEST", want)
		})
	}
	h.doRaw(call{method: "GET", target: endpoints}, strings.Repeat("a", 17<<10)).wantError(414, "REQUEST_URI_TOO_LONG", "query")
}
