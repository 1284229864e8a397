package query_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/query"
)

func TestParseSplitsAtAmpersandsOnly(t *testing.T) {
	q, err := query.Parse("&type=adminOrgVdc&filter=org==https%3A%2F%2Fh%2Fapi;orgName==testorg;name==a+b&flag&=x&type=y")
	if err != nil {
		t.Fatal(err)
	}
	want := query.Query{
		{Name: "type", Value: "adminOrgVdc"},
		{Name: "filter", Value: "org==https://h/api;orgName==testorg;name==a b"},
		{Name: "flag", Value: ""},
		{Name: "", Value: "x"},
		{Name: "type", Value: "y"},
	}
	if !slices.Equal(q, want) {
		t.Errorf("got %q, want %q", q, want)
	}
	if q.Get("type") != "adminOrgVdc" || q.Get("none") != "" || !q.Has("flag") || q.Has("none") {
		t.Error("Get and Has do not tell what is there")
	}
	if _, err := q.One("type"); core.ErrorCode(err) != core.Invalid {
		t.Errorf("a parameter given twice gives %v", err)
	}
	if v, err := q.One("filter"); err != nil || v != want[1].Value {
		t.Errorf("One gives %q, %v", v, err)
	}
}

func TestParseRefusesBrokenEscapesAndLongQueries(t *testing.T) {
	for raw, code := range map[string]core.Code{
		"a=%zz": core.Invalid, "%=1": core.Invalid, "a=%4": core.Invalid,
		strings.Repeat("a", query.Max+1): core.TooLong,
	} {
		if _, err := query.Parse(raw); err == nil || core.ErrorCode(err) != code {
			t.Errorf("%.10q gives %v, want %s", raw, err, code)
		}
	}
}

func TestQueryEncodeCanStandInALinkHeader(t *testing.T) {
	q := query.Query{{Name: "filter", Value: "(a==b,c==d);e==<\">"}, {Name: "page", Value: "1"}, {Name: "page", Value: "2"}}
	got := q.With("page", "3").With("pageSize", "25").Encode()
	if want := "filter=%28a%3D%3Db%2Cc%3D%3Dd%29%3Be%3D%3D%3C%22%3E&page=3&pageSize=25"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if q.Get("page") != "1" {
		t.Error("With changed its receiver")
	}
}

func FuzzParseReadWhatEncodeWrote(f *testing.F) {
	f.Add("a=b&filter=c==d;e")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := query.Parse(raw)
		if err != nil {
			return
		}
		again, err := query.Parse(q.Encode())
		if len(q.Encode()) <= query.Max && (err != nil || !slices.Equal(q, again)) {
			t.Errorf("%q gives %q, then %q, %v", raw, q, again, err)
		}
	})
}
