package live

import (
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage/memory"
)

func TestLinksAreShownWhereTheyBelong(t *testing.T) {
	f := start(t, memory.New())
	const org = core.OrgPrefix + "5eac4ea6-11e4-4827-a249-ac8631779b92"
	low, high := f.serviceID("low", 10), f.serviceID("high", 90)
	add := func(system, rel, resourceType, resourceID string) {
		t.Helper()
		_, err := f.cat.Links.Create(t.Context(), "", core.Link{
			System: system, Href: "{baseUri}x", MimeType: "text/plain", Rel: rel, ResourceType: resourceType, ResourceID: resourceID,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add(low, "all", "application/vnd.vmware.vcloud.org+xml", "")
	add(low, "urn", "application/vnd.vmware.vcloud.org+xml", org)
	add(high, "uuid", "application/vnd.vmware.vcloud.org+xml", "5eac4ea6-11e4-4827-a249-ac8631779b92")
	add(high, "other", "application/vnd.vmware.admin.vcloud+xml", "")
	rels := func(mediaType, urn string) map[string]bool {
		out := map[string]bool{}
		for _, l := range f.live.View().Links(mediaType, urn) {
			out[l.Rel] = true
		}
		return out
	}
	same := func(what string, got map[string]bool, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
		for _, w := range want {
			if !got[w] {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
	}
	same("the organisation, in XML", rels("application/vnd.vmware.vcloud.org+xml;version=38.0", org), "all", "urn", "uuid")
	same("the organisation, in JSON", rels("application/vnd.vmware.vcloud.org+json", org), "all", "urn", "uuid")
	same("another organisation", rels("application/vnd.vmware.vcloud.org+xml", core.SystemOrgID), "all")
	same("another type", rels("text/plain", org))
	if first := f.live.View().Links("application/vnd.vmware.vcloud.org+xml", org)[0]; first.Rel != "uuid" {
		t.Errorf("the more important service's link is not the first: %+v", first)
	}
	f.update(low, func(s *core.System) { s.Enabled = false })
	same("with one service disabled", rels("application/vnd.vmware.vcloud.org+xml", org), "uuid")
	if err := f.cat.Systems.Delete(t.Context(), low, nil); err != nil {
		t.Fatal(err)
	}
	same("with one service gone", rels("application/vnd.vmware.vcloud.org+xml", org), "uuid")
}

func TestResolveFindsClassesOfEnabledServices(t *testing.T) {
	f := start(t, memory.New())
	id := f.serviceID("foo", 50)
	_, err := f.cat.Classes.Create(t.Context(), "", core.ResourceClass{
		System: id, Name: "Backup", MimeType: "mimeTypeFoo+xml", URLTemplate: "{baseUri}foo/fooType/{resourceId}", NID: "nidFoo", URNPattern: "^myNssFoo(?<id>[0-9]*)",
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := f.live.View().Resolve("urn:nidFoo:myNssFoo17")
	if err != nil || len(found) != 1 || found[0].ID != "17" || found[0].Class.MimeType != "mimeTypeFoo+xml" {
		t.Errorf("got %+v, %v", found, err)
	}
	f.update(id, func(s *core.System) { s.Enabled = false })
	if found, _ := f.live.View().Resolve("urn:nidFoo:myNssFoo17"); len(found) != 0 {
		t.Errorf("a disabled service's class is found: %+v", found)
	}
}

// serviceID registers an enabled system that has the id of a service.
func (f *fixture) serviceID(name string, priority int) string {
	f.Helper()
	return f.system(name, priority).ID
}
