package vcloud

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// walker is a client that knows the media types and follows links.
type walker struct {
	*house
	at *vxml.Element
}

// follow gives where the link of that rel and type leads.
func (w *walker) follow(rel, media string) string {
	w.Helper()
	var found []string
	for _, l := range w.at.Children {
		if l.Name == "Link" && l.Attr("rel") == rel && l.Attr("type") == media+"+xml" {
			found = append(found, strings.TrimPrefix(l.Attr("href"), base))
		}
	}
	if len(found) != 1 {
		w.Fatalf("%s has %d links %s to %s", w.at.Name, len(found), rel, media)
	}
	return found[0]
}

func (w *walker) get(path string) {
	w.Helper()
	w.at = w.parsed(w.expect(w.send(w.administrator, "GET", path, "", "Accept", anyXML), 200))
}

func (w *walker) add(media, body string) {
	w.Helper()
	sent := w.send(w.administrator, "POST", w.follow("add", media), body, "Content-Type", media+"+xml", "Accept", anyXML)
	w.at = w.parsed(w.expect(sent, 201))
}

func TestFromTheRootToARuleByLinksAlone(t *testing.T) {
	t.Parallel()
	w := &walker{house: build(t)}
	w.get(extensionPath)
	w.get(w.follow("down", mediaServices))
	w.add(mediaService, bodyService("com.acme.walk", "walk", ""))
	service := w.at
	w.get(w.follow("rights", mediaRights))
	w.add(vxml.MediaRight, `<vcloud:Right name="walk"`+vmext+`/>`)
	right := w.at.Attr("id")
	w.at = service
	for _, media := range []string{"apiFilter", "serviceLink", "apiDefinition"} {
		w.follow("add", mediaAdmin+media)
	}
	for _, rel := range []string{"down:apiFilters", "down:serviceLinks", "down:apiDefinitions", "down:resourceClasses"} {
		w.get(w.follow(rel, "application/vnd.vmware.vcloud.query.records"))
		w.at = service
	}
	w.follow("edit", mediaService)
	w.add(mediaAdmin+"resourceClass", bodyClass)
	w.get(w.follow("down:serviceResources", "application/vnd.vmware.vcloud.query.records"))
	w.get(strings.TrimPrefix(w.parsedFirst(service), base))
	w.add(mediaAdmin+"resourceClassAction", bodyAction)
	action := w.at
	w.add(mediaAdmin+"aclRule", bodyRule(right))
	w.get(w.follow("up", mediaAdmin+"resourceClassAction"))
	if w.at.Attr("id") != action.Attr("id") || !strings.HasPrefix(action.Attr("id"), core.ActionPrefix) {
		t.Errorf("up leads to %s", w.at.Attr("id"))
	}
	w.get(w.follow("down:aclRules", "application/vnd.vmware.vcloud.query.records"))
	if w.at.Attr("total") != "1" {
		t.Errorf("there are %s rules", w.at.Attr("total"))
	}
}

// parsedFirst gives the href of the first class that a service lists.
func (w *walker) parsedFirst(service *vxml.Element) string {
	w.Helper()
	w.at = service
	w.get(w.follow("down:resourceClasses", "application/vnd.vmware.vcloud.query.records"))
	return w.at.Child("ResourceClassRecord").Attr("href")
}
