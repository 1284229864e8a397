package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

func TestIfMatchReadsEntityTags(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		code   core.Code // "" for one that can be read
		holds  bool      // for revision 7
		free   bool
	}{
		{"none", nil, "", true, true},
		{"any", []string{"*"}, "", true, true},
		{"the tag", []string{`"7"`}, "", true, false},
		{"another tag", []string{`"8"`}, "", false, false},
		{"a weak tag", []string{`W/"7"`}, "", false, false},
		{"a list", []string{`"1", "7" ,"9"`}, "", true, false},
		{"two headers", []string{`"1"`, `"7"`}, "", true, false},
		{"a tag with a comma in it", []string{`"1,7"`}, "", false, false},
		{"an empty tag", []string{`""`}, "", false, false},
		{"an empty header", []string{""}, core.Invalid, false, false},
		{"commas only", []string{", ,"}, core.Invalid, false, false},
		{"no quotes", []string{"7"}, core.Invalid, false, false},
		{"a quote that stays open", []string{`"7`}, core.Invalid, false, false},
		{"no comma between", []string{`"7" "8"`}, core.Invalid, false, false},
		{"any among tags", []string{`"7", *`}, core.Invalid, false, false},
		{"weak without a tag", []string{"W/"}, core.Invalid, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := api.IfMatch(http.Header{"If-Match": tt.values})
			if tt.code != "" {
				if err == nil || core.ErrorCode(err) != tt.code {
					t.Fatalf("got %v, want %s", err, tt.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			expect, err := p.Expect(7)
			switch {
			case !tt.holds && core.ErrorCode(err) != core.Stale:
				t.Errorf("got %v, want Stale", err)
			case tt.holds && (err != nil || tt.free != (expect == nil)):
				t.Errorf("expects %v, err %v", expect, err)
			case tt.holds && !tt.free && *expect != 7:
				t.Errorf("expects %d", *expect)
			}
		})
	}
}

func FuzzIfMatchEnds(f *testing.F) {
	f.Add(`"1", W/"2",*`)
	f.Fuzz(func(_ *testing.T, s string) { _, _ = api.IfMatch(http.Header{"If-Match": {s}}) })
}

func TestHrefsAreAbsoluteWithPlainColons(t *testing.T) {
	h := api.NewHrefs("https://annex.example:8443/")
	for got, want := range map[string]string{
		h.To("/api/org"): "https://annex.example:8443/api/org",
		h.To("/cloudapi/1.0.0/apiFilters", "urn:vcloud:apiFilter:1"): "https://annex.example:8443/cloudapi/1.0.0/apiFilters/urn:vcloud:apiFilter:1",
		h.To("/a", "b/c d?", "e"):                                    "https://annex.example:8443/a/b%2Fc%20d%3F/e",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestReadBodyIsBounded(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name   string
		body   io.Reader
		length int64
		code   core.Code
		want   string
	}{
		{"a body of the limit", strings.NewReader("12345678"), -1, "", "12345678"},
		{"no body", http.NoBody, 0, "", ""},
		{"one byte over the limit", strings.NewReader("123456789"), -1, core.TooLarge, ""},
		{"an announced length over the limit", iotest.ErrReader(broken), 9, core.TooLarge, ""},
		{"a body that breaks off", iotest.ErrReader(broken), -1, core.Invalid, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/", tt.body)
			r.ContentLength = tt.length
			b, err := api.ReadBody(httptest.NewRecorder(), r, 8)
			if tt.code != "" {
				if err == nil || core.ErrorCode(err) != tt.code || strings.Contains(core.ErrorMessage(err), "broken") {
					t.Errorf("got %v, want %s", err, tt.code)
				}
			} else if err != nil || string(b) != tt.want {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
	if b, err := api.ReadBody(httptest.NewRecorder(), &http.Request{}, 8); err != nil || b != nil {
		t.Errorf("a request without a body gives %q, %v", b, err)
	}
}

func TestProviderOnlyLetsSystemAdministratorsThrough(t *testing.T) {
	handler := api.ProviderOnly()(func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	for name, tt := range map[string]struct {
		caller core.Caller
		code   core.Code
	}{
		"an administrator": {core.Caller{UserID: "u", OrgID: core.SystemOrgID}, ""},
		"a tenant":         {core.Caller{UserID: "u", OrgID: "o", OrgName: core.SystemOrg, Rights: core.AllRights()}, core.Forbidden},
		"nobody":           {core.Caller{}, core.Forbidden},
		"nobody of System": {core.Caller{OrgID: core.SystemOrgID}, core.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := api.WithCaller(t.Context(), tt.caller)
			c := echo.New().NewContext(httptest.NewRequestWithContext(ctx, "GET", "/", nil), httptest.NewRecorder())
			if err := handler(c); (err == nil) != (tt.code == "") || err != nil && core.ErrorCode(err) != tt.code {
				t.Errorf("got %v, want code %q", err, tt.code)
			}
		})
	}
}

func TestTheEdgeTravelsInTheContext(t *testing.T) {
	edge := api.Edge{ID: "id", BaseURL: "https://h", Request: core.Request{Path: "/x"}}
	r := httptest.NewRequestWithContext(api.WithEdge(t.Context(), edge), "GET", "/", nil)
	c := echo.New().NewContext(r, httptest.NewRecorder())
	if api.RequestID(c) != "id" || api.BaseURL(c) != "https://h" || api.EdgeOf(r.Context()).Request.Path != "/x" {
		t.Error("what was put in does not come out")
	}
	if api.EdgeOf(context.Background()).ID != "" || api.Caller(c).Known() {
		t.Error("something comes out of nothing")
	}
}
