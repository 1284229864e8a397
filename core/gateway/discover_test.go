package gateway

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/storage/memory"
)

// link registers, in XML, a link of the service that is shown on every
// organisation.
func (f *fixture) link(serviceID string) {
	f.Helper()
	uuid := core.System{ID: serviceID}.UUID()
	r := f.as("POST", "/api/admin/extension/service/"+uuid+"/links", `<ns2:ServiceLink xmlns:ns2="http://www.vmware.com/vcloud/extension/v1.5">
  <ns2:LinkHref>{baseUri}org/{resourceId}/currentTime</ns2:LinkHref>
  <ns2:MimeType>text/plain</ns2:MimeType>
  <ns2:Rel>down:currentTime</ns2:Rel>
  <ns2:ResourceType>application/vnd.vmware.vcloud.org+xml</ns2:ResourceType>
</ns2:ServiceLink>`, "Content-Type", "application/vnd.vmware.admin.serviceLink+xml;version=38.0")
	if r.status != 201 {
		f.Fatalf("the link: %d %s", r.status, r.body)
	}
}

// xml reads an answer.
func (f *fixture) xml(r result) *vxml.Element {
	f.Helper()
	root, err := vxml.ParseXML([]byte(r.body))
	if err != nil || r.status != 200 {
		f.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return root
}

// follow calls what the link with that rel leads to.
func (f *fixture) follow(root *vxml.Element, rel string) result {
	f.Helper()
	for _, c := range root.Children {
		if c.Name == "Link" && c.Attr("rel") == rel {
			return f.as("GET", strings.TrimPrefix(c.Attr("href"), f.server.URL), "")
		}
	}
	f.Fatalf("%s has no link %s: %+v", root.Name, rel, root)
	return result{}
}

const echoID = core.ServicePrefix + "acme:echo:1.0.0"

func TestALinkLeadsFromAnOrganisationToItsService(t *testing.T) {
	f := setUp(t)
	f.register(core.KindMQTT, "echo", urlFilter("API", "/api/org/.*/currentTime"))
	f.link(echoID)
	org := "/api/org/" + strings.TrimPrefix(core.SystemOrgID, core.OrgPrefix)
	for _, accept := range []string{"application/*+xml;version=38.0", "application/*+json;version=38.0"} {
		r := f.as("GET", org, "", "Accept", accept)
		if want := f.server.URL + org + "/currentTime"; !strings.Contains(r.body, want) || r.header.Get("Content-Length") != fmt.Sprint(len(r.body)) {
			t.Errorf("%s: %v %s", accept, r.header, r.body)
		}
		if head := f.as("HEAD", org, "", "Accept", accept); head.header.Get("Content-Length") != fmt.Sprint(len(r.body)) {
			t.Errorf("HEAD, %s: %v", accept, head.header)
		}
	}
	if r := f.follow(f.xml(f.as("GET", org, "")), "down:currentTime"); r.status != 200 {
		t.Errorf("the service answers %d %s", r.status, r.body)
	}
}

func TestUsersFindServicesByLinksAlone(t *testing.T) {
	f := setUp(t)
	f.register(core.KindMQTT, "echo", urlFilter("API", "/api/echo"))
	session := f.xml(f.as("GET", "/api/session", ""))
	services := f.xml(f.follow(f.xml(f.follow(session, "down:extensibility")), "down:service"))
	record := services.Child("ServiceRecord")
	if record == nil || record.Attr("name") != "echo" {
		t.Fatalf("services: %+v", services)
	}
	service := f.xml(f.as("GET", strings.TrimPrefix(record.Attr("href"), f.server.URL), ""))
	if list := f.xml(f.follow(service, "down:apiDefinitions")); list.Attr("total") != "0" {
		t.Errorf("definitions: %+v", list)
	}
	entity := f.xml(f.as("GET", "/api/entity/"+service.Attr("id"), ""))
	if r := f.follow(entity, "alternate"); f.xml(r).Name != "Service" {
		t.Errorf("the resolver leads to %s", r.body)
	}
	raw := "/api/query?&type=adminOrgVdc&filter=org==https%3A%2F%2Fh%2Fapi%2Forg%2F" + strings.TrimPrefix(core.SystemOrgID, core.OrgPrefix) + ";orgName==System;name==System&filterEncoded=true"
	vdc := f.xml(f.as("GET", raw, "", "Accept", "application/*+xml;version=37.0", "Accept", "vnd.vmware.vcloud.org+xml;version=37.0")).Child("AdminVdcRecord")
	if vdc == nil {
		t.Fatal("no data centre is found")
	}
	if up := f.xml(f.follow(f.xml(f.as("GET", strings.TrimPrefix(vdc.Attr("href"), f.server.URL), "")), "up")); up.Attr("id") != core.SystemOrgID {
		t.Errorf("the data centre leads up to %+v", up)
	}
}

func TestExplainKnowsTheRoad(t *testing.T) {
	f := setUp(t)
	f.register(core.KindMQTT, "echo", urlFilter("API", "/api/echo/.*"))
	r := f.as("POST", "/cloudapi/extensions/explain", `{"method":"PUT","url":"/api/echo/1","user":"administrator@system"}`)
	var x struct {
		Allowed, Native bool
		Dispatch        []struct{ System string }
		Filters         []struct{ Matched bool }
	}
	if err := json.Unmarshal([]byte(r.body), &x); err != nil || r.status != 200 || !x.Allowed || !x.Native || len(x.Dispatch) != 1 || x.Dispatch[0].System != echoID || len(x.Filters) != 1 || !x.Filters[0].Matched {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestLinksGoIntoACompressedAnswerOfAnUpstream(t *testing.T) {
	const doc = "<Org xmlns=\"http://www.vmware.com/vcloud/v1.5\" id=\"urn:vcloud:org:7\"><!-- kept --><x:New xmlns:x='u' a = '1'/></Org>"
	var asked string
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Type", "application/vnd.vmware.vcloud.org+xml;version=38.0")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Etag", `"one"`)
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, doc)
		_ = z.Close()
	}))
	t.Cleanup(up.Close)
	f := &fixture{T: t, kinds: map[string]*plugintest.Fake{}}
	gw, err := New(t.Context(), Options{
		Store: memory.New(), AdminPassword: password, Upstream: Upstream{URL: up.URL},
		Kinds: func(core.Host) ([]core.Kind, error) {
			return []core.Kind{plugintest.NewFake(core.KindMQTT, core.OnDispatch, core.OnResponse)}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.gw, f.server = gw, httptest.NewTLSServer(gw)
	t.Cleanup(func() { f.server.Close(); _ = gw.Close() })
	f.token = f.do("POST", "/cloudapi/1.0.0/sessions/provider", "", "Authorization", basic("administrator@System", password)).header.Get("X-Vmware-Vcloud-Access-Token")
	f.register(core.KindMQTT, "echo", urlFilter("API", "/api/echo"))
	f.link(echoID)
	r := f.as("GET", "/api/org/7", "", "Accept-Encoding", "br, gzip")
	want := strings.Replace(doc, "<!--", `<Link rel="down:currentTime" href="`+f.server.URL+`/api/org/7/currentTime" type="text/plain"/><!--`, 1)
	if r.status != 200 || r.body != want || r.header.Get("Content-Encoding") != "" || !strings.HasPrefix(r.header.Get("Etag"), `"one;annex=`) || asked != "gzip" {
		t.Errorf("got %d %v %s; asked for %q", r.status, r.header, r.body, asked)
	}
}
