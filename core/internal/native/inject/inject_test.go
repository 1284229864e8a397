package inject_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/native/inject"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

func link() *vxml.Element {
	return vxml.Link("down:x", "https://h/api/x?a=1&b=<2>", "application/vnd.x+xml", "").Set("id", "é")
}

const (
	ns        = ` xmlns="http://www.vmware.com/vcloud/v1.5"`
	attrs     = ` rel="down:x" href="https://h/api/x?a=1&#38;b=&#60;2&#62;" type="application/vnd.x+xml" id="&#233;"/>`
	theLink   = `<Link` + attrs
	ownedLink = `<Link` + ns + attrs
	jsonLink  = `{"rel":"down:x","href":"https://h/api/x?a=1&b=<2>","type":"application/vnd.x+xml","id":"é"}`
)

// into puts the links into a document, once with its bytes at hand and once
// as a stream in small pieces, and demands that both give the same.
func into(t *testing.T, form inject.Form, doc string, links ...*vxml.Element) string {
	t.Helper()
	whole := inject.New(form, core.BytesBody([]byte(doc))).Body(links...)
	got, err := whole.Bytes(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"byte by byte": iotest.OneByteReader(strings.NewReader(doc)), "with its end": iotest.DataErrReader(strings.NewReader(doc))} {
		streamed := inject.New(form, core.StreamBody(io.NopCloser(r), int64(len(doc)))).Body(links...)
		again, err := streamed.Bytes(1 << 24)
		if err != nil || string(again) != string(got) {
			t.Fatalf("%s: got %q, %v; want %q", name, again, err, got)
		}
		if streamed.Size() != int64(len(again)) {
			t.Fatalf("%s: size %d of %d bytes", name, streamed.Size(), len(again))
		}
	}
	return string(got)
}

func TestLinksStandWhereTheyBelongInXML(t *testing.T) {
	const root = `<Org` + ns + ` name="a">`
	for name, c := range map[string][2]string{
		"behind the links that are there":       {root + "\n  <Link rel='a'/>\n  <Link rel='b'></Link>\n  <D/>\n</Org>", root + "\n  <Link rel='a'/>\n  <Link rel='b'></Link>\n  " + theLink + "\n  <D/>\n</Org>"},
		"in front of all else":                  {root + "\n  <D/>\n</Org>", root + "\n  " + theLink + "\n  <D/>\n</Org>"},
		"without white space":                   {root + "<D/></Org>", root + theLink + "<D/></Org>"},
		"in an element that has nothing":        {`<Org` + ns + ` name="a" />`, `<Org` + ns + ` name="a" >` + theLink + `</Org>`},
		"in one that ends at once":              {root + "</Org>", root + theLink + "</Org>"},
		"in one with text":                      {root + "text<Link/></Org>", root + theLink + "text<Link/></Org>"},
		"behind extensions":                     {root + "<VCloudExtension><Link/><x>]]></x></VCloudExtension><D/></Org>", root + "<VCloudExtension><Link/><x>]]></x></VCloudExtension>" + theLink + "<D/></Org>"},
		"across comments":                       {root + "<!-- <D/> --><Link/><!-- > --><?p?><Link a='/>'/><!-- last --></Org>", root + "<!-- <D/> --><Link/><!-- > --><?p?><Link a='/>'/>" + theLink + "<!-- last --></Org>"},
		"across what links hold":                {root + "<Link><!-- </Link> --><![CDATA[</Link>]]><Link><a/></Link><?</Link>?></Link></Org>", root + "<Link><!-- </Link> --><![CDATA[</Link>]]><Link><a/></Link><?</Link>?></Link>" + theLink + "</Org>"},
		"with the prefix of the namespace":      {`<v:Org xmlns:v="http://www.vmware.com/vcloud/v1.5"><v:Link/></v:Org>`, `<v:Org xmlns:v="http://www.vmware.com/vcloud/v1.5"><v:Link/><v:Link` + attrs + `</v:Org>`},
		"with a default of its own":             {`<a:Org xmlns:a="urn:a"><b/></a:Org>`, `<a:Org xmlns:a="urn:a">` + ownedLink + `<b/></a:Org>`},
		"without any namespace":                 {`<Org/>`, `<Org>` + ownedLink + `</Org>`},
		"behind what stands in front":           {"\ufeff<?xml version='1.0' encoding='UTF-8'?>\n<!-- <Org> -->\n<?x <y> ?>\n" + root + "</Org>\n<!-- e -->", "\ufeff<?xml version='1.0' encoding='UTF-8'?>\n<!-- <Org> -->\n<?x <y> ?>\n" + root + theLink + "</Org>\n<!-- e -->"},
		"with a greater-than in an attribute":   {`<Org a='>' b="/>"` + ns + `/>`, `<Org a='>' b="/>"` + ns + `>` + theLink + `</Org>`},
		"in another encoding that holds ASCII":  {"<?xml version='1.0' encoding='ISO-8859-1'?><Org" + ns + " n='\xe9'/>", "<?xml version='1.0' encoding='ISO-8859-1'?><Org" + ns + " n='\xe9'>" + theLink + "</Org>"},
		"whatever is broken behind their place": {root + "<D>< & </x>", root + theLink + "<D>< & </x>"},
	} {
		if got := into(t, inject.XML, c[0], link()); got != c[1] {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c[1])
		}
	}
}

func TestLinksStandWhereTheyBelongInJSON(t *testing.T) {
	const member = `"link":[` + jsonLink + `]`
	for name, c := range map[string][2]string{
		"in an array that is there":     {`{"a":1,"link":[{"rel":"a"}],"b":{}}`, `{"a":1,"link":[{"rel":"a"},` + jsonLink + `],"b":{}}`},
		"in an empty one":               {`{"link": [ ] }`, `{"link": [` + jsonLink + ` ] }`},
		"in one over several lines":     {"{\n  \"link\": [\n    {}\n  ]\n}", "{\n  \"link\": [\n    {}," + jsonLink + "\n  ]\n}"},
		"instead of null":               {`{"link":null,"a":1}`, `{"link":[` + jsonLink + `],"a":1}`},
		"in a new one":                  {`{ "a" : "link" }`, `{` + member + `, "a" : "link" }`},
		"in an object that has nothing": {" { } ", " {" + member + " } "},
		"not in one further in":         {`{"a":{"link":[1]},"b":[{"link":[]}]}`, `{` + member + `,"a":{"link":[1]},"b":[{"link":[]}]}`},
		"by a name with escapes":        {`{"l\u0069nk":["]"]}`, `{"l\u0069nk":["]",` + jsonLink + `]}`},
		"behind strings with escapes":   {`{"a\"":"\\","b":"\"}{","link":["\\\"]"]}`, `{"a\"":"\\","b":"\"}{","link":["\\\"]",` + jsonLink + `]}`},
		"behind numbers and words":      {`{"a":-1.5e3,"b":true,"c":null,"link":[]}`, `{"a":-1.5e3,"b":true,"c":null,"link":[` + jsonLink + `]}`},
		"with something behind":         {`{"link":[]} {"link":[]}`, `{"link":[` + jsonLink + `]} {"link":[]}`},
		"behind a byte order mark":      {"\ufeff{}", "\ufeff{" + member + "}"},
	} {
		if got := into(t, inject.JSON, c[0], link()); got != c[1] {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c[1])
		}
	}
}

func TestWhatIsNotUnderstoodStays(t *testing.T) {
	for _, doc := range []string{
		"", " ", "text", "<", "<Org", "<Org ", "<Org a", "<Org a=", "<Org a='", "<Org a='1'", "<Org a=1>", "<Org a='<'/>", "<1/>", "< Org/>", "</Org>",
		"<!DOCTYPE Org><Org/>", "<!DOCTYPE Org [<!ENTITY a '<Org>'>]><Org/>", "<?xml", "<?xml ?", "<!-- <Org/>", "<Org><Link>", "<Org><Link", "<Org><Link><!--</Org>",
		"<?xml version='1.0' encoding='UTF-16'?><Org/>", "<?xml version='1.0' encoding='EBCDIC'?><Org/>", "\xff\xfe<\x00O\x00/\x00>\x00", "x<Org/>", "<Org/ >", "<Org \x00/>",
	} {
		if got := into(t, inject.XML, doc, link()); got != doc {
			t.Errorf("%q became %q", doc, got)
		}
	}
	for _, doc := range []string{
		"", " ", "[]", `[{"link":[]}]`, "null", `"link"`, "{", `{"link"`, `{"link":`, `{"link":[`, `{"link":[}`, `{"link":[]`, `{"link":{}}`, `{"link":1}`, `{"link":"a"}`,
		`{"a":}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1,}`, `{"a`, `{"a\`, `{"a":"`, "\x00{}", "{\x00}", `{,}`, `{"a":1]`,
	} {
		if got := into(t, inject.JSON, doc, link()); got != doc {
			t.Errorf("%q became %q", doc, got)
		}
	}
	if got := into(t, inject.Other, "<Org/>", link()); got != "<Org/>" {
		t.Errorf("a text became %q", got)
	}
	if got := into(t, inject.XML, "<Org/>"); got != "<Org/>" {
		t.Errorf("without links it became %q", got)
	}
}

func TestWhatTheRootSaysOfItself(t *testing.T) {
	want := inject.Root{Type: "a&b", ID: "urn:x:é", Href: "https://h/1"}
	for doc, form := range map[string]inject.Form{
		`<Org type="a&amp;b" x:type="n" id='urn:x:&#xe9;' href = "https://h/1"><id>2</id></Org>`:              inject.XML,
		`{"a":{"id":"2"},"type":"a&b","id":"urn:x:\u00e9","link":[{"href":"3"}],"href":"https://h\/1","n":1}`: inject.JSON,
	} {
		d := inject.New(form, core.StreamBody(io.NopCloser(strings.NewReader(doc)), -1))
		if got := d.Type(); got != want.Type {
			t.Errorf("type %q of %s", got, doc)
		}
		if got, ok := d.Root(); !ok || got != want {
			t.Errorf("got %+v, %v of %s", got, ok, doc)
		}
		b, err := d.Body().Bytes(1 << 20)
		if err != nil || string(b) != doc {
			t.Errorf("%s became %s, %v", doc, b, err)
		}
	}
}

func TestNoMoreIsReadThanIsNeeded(t *testing.T) {
	never := iotest.ErrReader(errors.New("read too far"))
	for doc, form := range map[string]inject.Form{"<Org" + ns + "><Link/><D>": inject.XML, `{"type":"x",`: inject.JSON} {
		body := core.StreamBody(io.NopCloser(io.MultiReader(iotest.OneByteReader(strings.NewReader(doc)), never)), -1)
		d := inject.New(form, body)
		d.Type()
		links := []*vxml.Element{link()}
		if form == inject.JSON {
			links = nil
		}
		got := d.Body(links...)
		head := make([]byte, len(doc))
		if _, err := io.ReadFull(got.Open(), head); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestAReaderThatFailsFailsLater(t *testing.T) {
	broken := errors.New("broken")
	for doc, form := range map[string]inject.Form{"<Org><Link": inject.XML, `{"a":[`: inject.JSON} {
		d := inject.New(form, core.StreamBody(io.NopCloser(io.MultiReader(strings.NewReader(doc), iotest.ErrReader(broken))), -1))
		b, err := io.ReadAll(d.Body(link()).Open())
		if string(b) != doc || !errors.Is(err, broken) {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

func TestADocumentThatIsTooLongStays(t *testing.T) {
	long := strings.Repeat(" ", inject.MaxDocument)
	for doc, form := range map[string]inject.Form{"<Org>" + long + "<D/></Org>": inject.XML, `{"a":"` + long + `"}`: inject.JSON} {
		got, err := inject.New(form, core.StreamBody(io.NopCloser(strings.NewReader(doc)), -1)).Body(link()).Bytes(1 << 30)
		if err != nil || string(got) != doc {
			t.Errorf("%d bytes became %d, %v", len(doc), len(got), err)
		}
	}
}

func FuzzXML(f *testing.F) {
	for _, s := range []string{`<a><Link/><b c="d"/></a>`, "<?xml version='1.0'?><!--c--><a:b xmlns:a='urn:a'> <Link><x/></Link>t</a:b>", `<a x='>'/>`, `<Org` + ns + `><VCloudExtension/><![CDATA[]]></Org>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) { checkXML(t, doc) })
}

// checkXML demands that a document keeps its bytes, and that one which an XML
// parser understands still says what it said, and the link.
func checkXML(t *testing.T, doc string) {
	t.Helper()
	got := into(t, inject.XML, doc, link())
	if got == doc {
		return
	}
	if !lengthened(doc, got) {
		t.Fatalf("%q became %q", doc, got)
	}
	before, err := tokens(doc)
	if err != nil {
		return
	}
	after, err := tokens(got)
	if err != nil || len(after) < len(before)+2 {
		t.Fatalf("%q became %q: %v", doc, got, err)
	}
	if strings.Join(without(after), "\n") != strings.Join(before, "\n") {
		t.Fatalf("%q became %q: %q and not %q", doc, got, after, before)
	}
}

// lengthened reports whether got is doc with something put in at one place,
// where a slash may have gone.
func lengthened(doc, got string) bool {
	i := 0
	for i < len(doc) && i < len(got) && doc[i] == got[i] {
		i++
	}
	for ; i >= 0; i-- {
		rest := doc[i:]
		if strings.HasSuffix(got[i:], rest) || strings.HasPrefix(rest, "/>") && strings.HasSuffix(got[i:], rest[1:]) {
			return true
		}
	}
	return false
}

// tokens lists what an XML parser reads, text without white space.
func tokens(doc string) ([]string, error) {
	var out []string
	d := xml.NewDecoder(strings.NewReader(doc))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return out, wellFormed(doc)
		case err != nil:
			return nil, err
		}
		b, _ := json.Marshal(token)
		if text, ok := token.(xml.CharData); ok {
			if b = bytes.TrimSpace(text); len(b) == 0 {
				continue
			}
		}
		out = append(out, string(b))
	}
}

func wellFormed(doc string) error {
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// without leaves out the first link that was put in, and its end.
func without(all []string) []string {
	for i, s := range all {
		if strings.Contains(s, `"down:x"`) {
			return append(append([]string{}, all[:i]...), all[i+2:]...)
		}
	}
	return all
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"link":[{}],"a":{"b":[1,"]"]}}`, `{}`, `{"link":null}`, `{"a":"\\\"","link":[]}`, `{"link":[ "x" ] , "b":-1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) { checkJSON(t, doc) })
}

func checkJSON(t *testing.T, doc string) {
	t.Helper()
	got := into(t, inject.JSON, doc, link())
	if got == doc || !json.Valid([]byte(doc)) {
		return
	}
	var before, after map[string]any
	if err := errors.Join(json.Unmarshal([]byte(doc), &before), json.Unmarshal([]byte(got), &after)); err != nil {
		t.Fatalf("%q became %q: %v", doc, got, err)
	}
	had, _ := before["link"].([]any)
	has, _ := after["link"].([]any)
	if len(has) != len(had)+1 {
		t.Fatalf("%q became %q", doc, got)
	}
	before["link"], after["link"] = had, has[:len(had)]
	a, _ := json.Marshal(before)
	b, _ := json.Marshal(after)
	if len(had) > 0 && string(a) != string(b) {
		t.Fatalf("%q became %q", doc, got)
	}
}

func TestRandomDocumentsKeepTheirBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	xmlWords := []string{"<Org", ns, " a='1'", ` b=">"`, ">", "/>", "</Org>", "<Link/>", "<Link>", "</Link>", "<!--", "-->", "<![CDATA[", "]]>", " ", "\n  ", "text", "<v:Link v:a=''/>", "<D>", "</D>", "<VCloudExtension/>", "<?p ", "?>", "&amp;"}
	jsonWords := []string{"{", "}", "[", "]", ":", ",", `"link"`, `"type"`, `"id"`, `"a\"b"`, `"\\"`, "1", "null", "true", " ", "\n", `"link":[`, `"a":`, "{}", "[]"}
	random := func(words []string, first string) string {
		doc := first
		for range rnd.IntN(14) {
			doc += words[rnd.IntN(len(words))]
		}
		return doc
	}
	changed := 0
	for range 20_000 {
		doc := random(xmlWords, "<Org")
		checkXML(t, doc)
		checkJSON(t, random(jsonWords, "{"))
		if into(t, inject.XML, doc, link()) != doc {
			changed++
		}
	}
	if changed < 1000 {
		t.Errorf("only %d documents got a link", changed)
	}
}

func BenchmarkInject100KB(b *testing.B) {
	item := `<Child name="a" href="https://h/api/child/5eac4ea6-11e4-4827-a249-ac8631779b92"><Text>some text</Text></Child>` + "\n"
	docXML := []byte(`<?xml version="1.0"?><Org` + ns + ` id="urn:vcloud:org:1" type="t">` + strings.Repeat(`<Link rel="down" href="https://h/api/query" type="x"/>`+"\n", 30) + strings.Repeat(item, 900) + `</Org>`)
	docJSON := []byte(`{"id":"urn:vcloud:org:1","type":"t","child":[` + strings.Repeat(`{"name":"a","href":"https://h/api/child/5eac4ea6-11e4-4827-a249-ac8631779b92","text":"some text"},`, 1000) + `{}],"link":[{}]}`)
	for name, c := range map[string]struct {
		form inject.Form
		doc  []byte
	}{"xml": {inject.XML, docXML}, "json": {inject.JSON, docJSON}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			for b.Loop() {
				d := inject.New(c.form, core.BytesBody(c.doc))
				if root, ok := d.Root(); !ok || root.ID == "" {
					b.Fatal("no root")
				}
				if d.Body(link()).Size() <= int64(len(c.doc)) {
					b.Fatal("no link")
				}
			}
		})
	}
}
