package vxml_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

func TestReadingIsLiberal(t *testing.T) {
	t.Parallel()
	const want = "/api/cse/.*"
	for name, body := range map[string]string{
		"without a declaration, as a real client sends it":   `<vmext:ApiFilter xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5"><vmext:UrlPattern>/api/cse/.*</vmext:UrlPattern></vmext:ApiFilter>`,
		"with declaration, comments and instructions":        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<?pi a=\"b\"?><!-- <a> --><ApiFilter>\n<!-- --><UrlPattern>/api/cse/.*</UrlPattern>\n</ApiFilter>\n<!-- end -->\n",
		"with a byte order mark":                             "\ufeff<ApiFilter><UrlPattern>/api/cse/.*</UrlPattern></ApiFilter>",
		"with prefixes that nobody declared":                 `<x:ApiFilter><y:UrlPattern>/api/cse/.*</y:UrlPattern></x:ApiFilter>`,
		"with children of namespaces that nobody knows":      `<ApiFilter><UrlPattern xmlns="urn:b">/api/cse/.*</UrlPattern></ApiFilter>`,
		"with character references and marked sections":      `<ApiFilter><UrlPattern>/api&#x2F;<![CDATA[cse/]]>.*</UrlPattern></ApiFilter>`,
		"with white space around the text":                   "<ApiFilter><UrlPattern>\n  /api/cse/.*\n</UrlPattern></ApiFilter>",
		"with links and extensions that an answer had":       `<ApiFilter><VCloudExtension/><Link rel="up"/><Link rel="remove"/><UrlPattern>/api/cse/.*</UrlPattern></ApiFilter>`,
		"with equal signs and brackets in attributes":        `<ApiFilter a="=&gt;>=" b='&lt;!--'><UrlPattern>/api/cse/.*</UrlPattern></ApiFilter>`,
		"with an unprefixed and a prefixed attribute 'type'": `<ApiFilter type="t" xmlns:xsi="urn:x" xsi:type="other"><UrlPattern>/api/cse/.*</UrlPattern></ApiFilter>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := vxml.ParseXML([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if !e.Is("ApiFilter") || e.Value("UrlPattern") != want {
				t.Fatalf("read as %s with %q", e.Name, e.Value("UrlPattern"))
			}
			if err := e.Only("UrlPattern"); err != nil {
				t.Fatal(err)
			}
			if typ := e.Attr("type"); typ != "" && typ != "t" {
				t.Fatalf("type is %q", typ)
			}
		})
	}
}

func TestHostileXMLIsRefused(t *testing.T) {
	t.Parallel()
	wide := func(n int) string { return "<a>" + strings.Repeat("<a/>", n) + "</a>" }
	for name, body := range map[string]string{
		"nothing":                              "",
		"only white space":                     " \n\t",
		"no element":                           "<!-- nothing -->",
		"only text":                            "hello",
		"a document type":                      `<!DOCTYPE a><a/>`,
		"a document type in lower case":        `<!doctype a><a/>`,
		"entities of one's own":                `<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>`,
		"an outer entity":                      `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`,
		"a declaration within the root":        `<a><!ELEMENT b ANY></a>`,
		"an entity that nobody declared":       `<a>&nbsp;</a>`,
		"a million elements":                   wide(1_000_000),
		"a million elements that stay open":    strings.Repeat("<a>", 1_000_000),
		"a million comments":                   "<a>" + strings.Repeat("<!---->", 1_000_000) + "</a>",
		"a million marked sections":            "<a>" + strings.Repeat("<![CDATA[x]]>", 1_000_000) + "</a>",
		"a million instructions":               strings.Repeat("<?a?>", 1_000_000) + "<a/>",
		"one element more than allowed":        wide(vxml.MaxElements),
		"a hundred thousand attributes":        "<a " + strings.Repeat(`a="" `, 100_000) + "/>",
		"many elements with many attributes":   "<r>" + strings.Repeat("<a "+strings.Repeat(`a="" `, 90)+"/>", 5000) + "</r>",
		"more attributes than a tag can have":  `<a b0="" b1="" ` + manyAttributes(200) + "/>",
		"one level too deep":                   strings.Repeat("<a>", vxml.MaxDepth+1) + strings.Repeat("</a>", vxml.MaxDepth+1),
		"an attribute twice":                   `<a b="1" b="2"/>`,
		"two roots":                            `<a/><b/>`,
		"text behind the root":                 `<a/>b`,
		"text before the root":                 `b<a/>`,
		"tags that do not match":               `<a></b>`,
		"prefixes that do not match":           `<x:a></y:a>`,
		"an end without a start":               `</a>`,
		"a start without an end":               `<a>`,
		"a tag that stays open":                `<a b="`,
		"an attribute without a value":         `<a b/>`,
		"an attribute without quotes":          `<a b=1/>`,
		"bytes that are no UTF-8":              "<a>\xff</a>",
		"another encoding":                     `<?xml version="1.0" encoding="UTF-7"?><a/>`,
		"a control character":                  "<a>\x01</a>",
		"a reference to a forbidden character": "<a>&#1;</a>",
	} {
		t.Run(name, func(t *testing.T) {
			e, err := vxml.ParseXML([]byte(body))
			if code := core.ErrorCode(err); err == nil || code != core.Invalid && code != core.TooLarge {
				t.Fatalf("got %v and error %v, want a refusal", e, err)
			}
			if len(core.ErrorMessage(err)) > 300 {
				t.Fatalf("the message has %d bytes", len(core.ErrorMessage(err)))
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("x" + strings.Repeat("y", i) + `="" `)
	}
	return b.String()
}

// hungry bodies are as costly as one can make them within the limits, or far
// outside of them.
func hungry() map[string]string {
	attributes := " " + manyAttributes(90)
	return map[string]string{
		"a million elements":         "<a>" + strings.Repeat("<a/>", 1_000_000) + "</a>",
		"attributes without end":     "<a " + strings.Repeat(`a="" `, 200_000) + "/>",
		"all elements allowed":       "<a>" + strings.Repeat("<bcd></bcd>", vxml.MaxElements-1) + "</a>",
		"namespaces on each element": "<a>" + strings.Repeat(`<a xmlns="b"/>`, vxml.MaxElements-1) + "</a>",
		"all attributes allowed":     "<a>" + strings.Repeat("<a"+attributes+"/>", vxml.MaxAttributes/100) + "</a>",
		"a megabyte of text":         "<a>" + strings.Repeat("text", 1<<18) + "</a>",
		"text in many pieces":        "<a>" + strings.Repeat(strings.Repeat("x", 90)+"<!---->", vxml.MaxElements-1) + "</a>",
		"a megabyte of references":   "<a>" + strings.Repeat("&lt;", 1<<18) + "</a>",
	}
}

// Not parallel: it measures the memory of the whole process.
func TestHostileXMLCostsNoMoreThanTwentyMegabytes(t *testing.T) {
	for name, body := range hungry() {
		b := []byte(body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = vxml.ParseXML(b)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 20<<20 {
			t.Errorf("%s: %d MB allocated for %d bytes", name, used>>20, len(b))
		}
	}
}

func TestHostileJSONIsRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                   "",
		"a list":                    "[]",
		"a word":                    `"a"`,
		"two objects":               "{}{}",
		"an object that stays open": `{"a":`,
		"a list within a list":      `{"a":[[1]]}`,
		"too deep":                  strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100),
		"too deep in lists":         strings.Repeat(`{"a":[`, 100) + "1" + strings.Repeat("]}", 100),
		"a million members":         `{"a":[` + strings.Repeat("1,", 1_000_000) + "1]}",
		"no quotes":                 `{a:1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := vxml.ParseJSON([]byte(body))
			if code := core.ErrorCode(err); err == nil || code != core.Invalid && code != core.TooLarge {
				t.Fatalf("got %v and error %v, want a refusal", e, err)
			}
		})
	}
}

func TestChildrenOnceAndNoOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		contentType, body string
		ok                bool
	}{
		"each once":                         {"", `<a><B>1</B><C/></a>`, true},
		"one twice":                         {"", `<a><B>1</B><B>2</B></a>`, false},
		"one twice in different namespaces": {"", `<a><x:B>1</x:B><y:B>2</y:B></a>`, false},
		"an unknown one":                    {"", `<a><D/></a>`, false},
		"names are not JSON's":              {"", `<a><b>1</b></a>`, false},
		"attributes do not count":           {"", `<a B="1" other="2"><B/></a>`, true},
		"JSON, each once":                   {"application/json", `{"b":1,"c":null,"link":[{"rel":"up"},{"rel":"remove"}],"href":"x","otherAttributes":{}}`, true},
		"JSON, one twice":                   {"application/json", `{"b":1,"b":2}`, false},
		"JSON, one in a list":               {"application/json", `{"b":[1,2]}`, false},
		"JSON, an unknown one":              {"application/json", `{"d":1}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := vxml.Parse(c.contentType, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Only("B", "C"); (err == nil) != c.ok {
				t.Fatalf("got error %v, want none: %v", err, c.ok)
			}
		})
	}
}

func TestBodiesAreReadByTheirType(t *testing.T) {
	t.Parallel()
	const asXML, asJSON = `<ApiFilter><UrlPattern>x</UrlPattern></ApiFilter>`, `{"urlPattern":"x"}`
	for contentType, c := range map[string]struct {
		body string
		code core.Code
	}{
		"": {asXML, ""},
		"application/vnd.vmware.admin.apiFilter+xml":                  {asXML, ""},
		"application/vnd.vmware.admin.apiFilter+xml;version=38.0":     {asXML, ""},
		"application/vnd.vmware.admin.serviceLink+xml; charset=UTF-8": {asXML, ""},
		"application/vnd.vmware.admin.apiDefinition+xml;":             {asXML, ""},
		"application/*+xml;version=36.0":                              {asXML, ""},
		"Application/XML":                                             {asXML, ""},
		"text/xml":                                                    {asXML, ""},
		"application/vnd.vmware.admin.apiFilter+json":                 {asJSON, ""},
		"application/json;version=39.0.0-alpha":                       {asJSON, ""},
		"application/x-www-form-urlencoded":                           {asXML, core.UnsupportedMedia},
		"text/plain":                                                  {asXML, core.UnsupportedMedia},
		"application/xml; charset=utf-16":                             {asXML, core.UnsupportedMedia},
		"xml":                                                         {asXML, core.UnsupportedMedia},
		"application/vnd.vmware.admin.apiFilter+xml, application/xml; x; y = =": {asXML, core.UnsupportedMedia},
		"application/json": {asXML, core.Invalid},
		"application/xml":  {asJSON, core.Invalid},
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			e, err := vxml.Parse(contentType, []byte(c.body))
			switch {
			case c.code != "" && (err == nil || core.ErrorCode(err) != c.code):
				t.Fatalf("got error %v, want %s", err, c.code)
			case c.code == "" && (err != nil || !e.Is("ApiFilter") || e.Value("UrlPattern") != "x"):
				t.Fatalf("got %v and error %v", e, err)
			}
		})
	}
}

func FuzzParseXML(f *testing.F) {
	for _, body := range []string{
		`<vmext:ApiFilter xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5"><vmext:UrlPattern>/api/cse/.*</vmext:UrlPattern></vmext:ApiFilter>`,
		`<?xml version="1.0"?><!-- a --><a b="c&amp;"><![CDATA[d]]>&#x20;<e/></a>`,
		`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, `<a b='"'>]]></a>`, "\ufeff<a/>",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := vxml.ParseXML(body)
		if err != nil {
			if code := core.ErrorCode(err); code != core.Invalid && code != core.TooLarge {
				t.Fatalf("error code %s: %v", code, err)
			}
			return
		}
		elements, depth := measure(e)
		if elements > vxml.MaxElements || depth > vxml.MaxDepth {
			t.Fatalf("%d elements, %d deep", elements, depth)
		}
		again, err := vxml.ParseXML(vxml.EncodeXML(e))
		if err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
		if !same(e, again) {
			t.Fatalf("written as %s", vxml.EncodeXML(e))
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	for _, body := range []string{`{"urlPattern":"/api/.*","link":[{"rel":"up"}],"otherAttributes":{}}`, `{"a":[1,true,null,"x"]}`, `{"":""}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := vxml.ParseJSON(body)
		if err != nil {
			if code := core.ErrorCode(err); code != core.Invalid && code != core.TooLarge {
				t.Fatalf("error code %s: %v", code, err)
			}
			return
		}
		if elements, depth := measure(e); elements > 4*vxml.MaxElements || depth > vxml.MaxDepth+1 {
			t.Fatalf("%d elements, %d deep", elements, depth)
		}
	})
}

func FuzzChoose(f *testing.F) {
	f.Add("application/*+xml;version=37.0", "vnd.vmware.vcloud.org+xml;version=37.0")
	f.Add("application/json;version=", "*/*;q=0.8, a;b;c=\"d,e\"")
	f.Fuzz(func(t *testing.T, a, b string) {
		got := vxml.Choose([]string{a, b}).ContentType("application/vnd.vmware.vcloud.org")
		if len(got) > 150 || strings.ContainsAny(got, "\r\n\"\x00, ") {
			t.Fatalf("Content-Type %q", got)
		}
	})
}

func measure(e *vxml.Element) (elements, depth int) {
	for _, c := range e.Children {
		n, d := measure(c)
		elements, depth = elements+n, max(depth, d)
	}
	return elements + 1, depth + 1
}

func same(a, b *vxml.Element) bool {
	if a.Name != b.Name || a.Text != b.Text || len(a.Attrs) != len(b.Attrs) || len(a.Children) != len(b.Children) {
		return false
	}
	for i := range a.Attrs {
		if a.Attrs[i] != b.Attrs[i] {
			return false
		}
	}
	for i := range a.Children {
		if !same(a.Children[i], b.Children[i]) {
			return false
		}
	}
	return true
}
