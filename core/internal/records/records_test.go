package records_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/query"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const base = "https://h"

func uuid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func services() []core.System {
	var out []core.System
	for i, name := range []string{"alpha", "beta", "gamma(x)", "delta"} {
		s := core.System{Kind: core.KindMQTT, Vendor: "acme", Name: name, Version: "1.0.0", Namespace: "com.acme." + name, Priority: 10 * i, Enabled: i%2 == 0}
		s.ID = core.SystemID(s.Kind, s.Vendor, s.Name, s.Version)
		out = append(out, s)
	}
	return out
}

func rows[E any](of records.Of[E], all []E) iter.Seq2[records.Row, error] {
	return func(yield func(records.Row, error) bool) {
		for _, e := range all {
			if !yield(of.Row(e), nil) {
				return
			}
		}
	}
}

// ask shows what a query finds among the services.
func ask(t *testing.T, raw, accept string, whole bool) (*vxml.Element, error) {
	t.Helper()
	q, err := query.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	of := records.AdminServices()
	a, err := of.Ask(q, vxml.Choose([]string{accept}), whole)
	if err != nil {
		return nil, err
	}
	p, err := a.Choose(rows(of, services()))
	if err != nil {
		t.Fatal(err)
	}
	e, err := vxml.ParseXML(vxml.EncodeXML(p.Element(records.AdminHrefs(base), base+"/api/query")))
	if err != nil {
		t.Fatal(err)
	}
	return e, nil
}

func names(e *vxml.Element) []string {
	out := []string{}
	for _, c := range e.Children {
		if c.Name != "Link" {
			out = append(out, c.Attr("name"))
		}
	}
	return out
}

func TestWhatAQueryFinds(t *testing.T) {
	beta := services()[1]
	for name, c := range map[string]struct {
		query, accept string
		want          string
	}{
		"everything":      {"", "", "alpha beta gamma(x) delta"},
		"an empty filter": {"filter=", "", "alpha beta gamma(x) delta"},
		"a name":          {"filter=name==beta", "", "beta"},
		"name and namespace, as a real client asks": {"filter=name==alpha;namespace==com.acme.alpha", "", "alpha"},
		"either of two":                                    {"filter=name==alpha,name==delta", "", "alpha delta"},
		"a number":                                         {"filter=priority=ge=20", "", "gamma(x) delta"},
		"a truth":                                          {"filter=enabled==true", "", "alpha gamma(x)"},
		"by the URN":                                       {"filter=id==" + records.ServiceID(beta.ID), "", "beta"},
		"by the bare uuid, in capitals":                    {"filter=id==" + strings.ToUpper(beta.UUID()), "", "beta"},
		"by the address":                                   {"filter=href==" + base + "/api/admin/extension/service/" + beta.UUID(), "", "beta"},
		"not by the URN":                                   {"filter=id!=" + records.ServiceID(beta.ID), "", "alpha gamma(x) delta"},
		"escaped parentheses, from 35 on":                  {`filterEncoded=true&filter=name==gamma%5C(x%5C)`, "application/*+xml;version=36.0", "gamma(x)"},
		"values encoded twice, before 35":                  {"filterEncoded=true&filter=name==gamma%2528x%2529", "application/*+xml;version=30.0", "gamma(x)"},
		"all of it encoded twice, before 35":               {"filterEncoded=true&filter=name%253D%253Dbeta", "application/*+xml;version=30.0", "beta"},
		"a percent sign that is meant, from 35 on":         {"filterEncoded=true&filter=name==gamma%2528x%2529", "application/*+xml;version=37.0", ""},
		"sorted up":                                        {"sortAsc=name", "", "alpha beta delta gamma(x)"},
		"sorted down by a number":                          {"sortDesc=priority", "", "delta gamma(x) beta alpha"},
		"sorted by a truth":                                {"sortAsc=enabled", "", "beta delta alpha gamma(x)"},
		"sorted, the second page":                          {"sortAsc=name&page=2&pageSize=3", "", "gamma(x)"},
		"the second page":                                  {"page=2&pageSize=3", "", "delta"},
		"a page behind the last":                           {"page=9&pageSize=3", "", ""},
		"sorted, a page behind the last":                   {"page=9&pageSize=3&sortAsc=name", "", ""},
		"references":                                       {"format=references", "", "alpha beta gamma(x) delta"},
		"references by the Accept header":                  {"", "application/vnd.vmware.vcloud.query.references+xml", "alpha beta gamma(x) delta"},
		"a filter with a wildcard":                         {"filter=name==*ta", "", "beta delta"},
		"a leading ampersand and semicolons as they stand": {"&filter=priority=lt=30;enabled==false", "", "beta"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := ask(t, c.query, c.accept, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(names(e), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	for name, raw := range map[string]string{
		"an unknown attribute":      "filter=colour==red",
		"an unknown order":          "sortAsc=colour",
		"two orders":                "sortAsc=name&sortDesc=name",
		"an unknown format":         "format=xml",
		"two filters":               "filter=name==a&filter=name==b",
		"a page that is no number":  "page=x",
		"page zero":                 "page=0",
		"a number that is none":     "filter=priority==high",
		"a filter that goes wrong":  "filter=(name==a",
		"encoded badly, for old":    "filterEncoded=true&filter=name==%25zz",
		"a truth that is neither":   "filter=enabled==maybe",
		"a comparison of a boolean": "filter=enabled=gt=true",
	} {
		if _, err := ask(t, raw, "application/*+xml;version=30.0", false); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPagesLeadOn(t *testing.T) {
	e, err := ask(t, "&filter=name==*a*;priority=ge=0&pageSize=2", "", false)
	if err != nil {
		t.Fatal(err)
	}
	next := e.Child("Link")
	if e.Attr("total") != "4" || e.Attr("pageSize") != "2" || e.Attr("page") != "1" || next == nil || next.Attr("rel") != "nextPage" {
		t.Fatalf("total %s, page size %s, link %+v", e.Attr("total"), e.Attr("pageSize"), next)
	}
	_, raw, _ := strings.Cut(next.Attr("href"), "?")
	e, err = ask(t, raw, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(e); !slices.Equal(got, []string{"gamma(x)", "delta"}) || e.Child("Link") != nil {
		t.Fatalf("the next page has %v, and %+v", got, e.Child("Link"))
	}
}

func TestRecordsReferByAddressOrByURN(t *testing.T) {
	s := services()[0]
	f := core.Filter{ID: core.FilterPrefix + uuid(1), System: s.ID, URLPattern: "/api/x"}
	r := core.ACLRule{
		ID: core.RulePrefix + uuid(2), Action: core.ActionPrefix + uuid(3), Name: "r",
		Org:       core.Reach{Access: core.AccessEntity, Entity: core.OrgPrefix + uuid(4)},
		Principal: core.Reach{Access: core.AccessEntity, Entity: core.RightPrefix + uuid(5)},
	}
	show := func(format string, t2 records.Type, all iter.Seq2[records.Row, error], h records.Hrefs) string {
		a, err := t2.Ask(query.Query{{Name: "format", Value: format}}, vxml.Choose(nil), true)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Choose(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(vxml.EncodeXML(p.Element(h, base)))
	}
	admin := base + "/api/admin/extension/service/"
	for _, c := range []struct{ got, want string }{
		{show("records", records.Filters().Type, rows(records.Filters(), []core.Filter{f}), records.AdminHrefs(base)), `service="` + admin + s.UUID() + `" href="` + admin + "apifilter/" + uuid(1) + `"/>`},
		{show("idrecords", records.Filters().Type, rows(records.Filters(), []core.Filter{f}), records.AdminHrefs(base)), `service="` + records.ServiceURN + s.UUID() + `" id="` + f.ID + `"/>`},
		{show("references", records.Services().Type, rows(records.Services(), []core.System{s}), records.UserHrefs(base)), `<ServiceReference href="` + base + "/api/service/" + s.UUID() + `" id="` + records.ServiceURN + s.UUID() + `" name="alpha" type="application/vnd.vmware.vcloud.service+xml"/>`},
		{show("records", records.Rules().Type, rows(records.Rules(), []core.ACLRule{r}), records.AdminHrefs(base)), `orgAccess="Entity" org="` + base + "/api/admin/org/" + uuid(4) + `" principalAccess="Entity" principal="` + base + "/api/admin/right/" + uuid(5) + `" principalType="right" resourceClassAction="` + admin + "resourceclassaction/" + uuid(3) + `"`},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("got\n%s\nwant in it\n%s", c.got, c.want)
		}
	}
}

func TestAFailingListFails(t *testing.T) {
	boom := errors.New("boom")
	a, err := records.Rights().Ask(nil, vxml.Choose(nil), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Choose(func(yield func(records.Row, error) bool) { yield(records.Row{}, boom) }); !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
}
