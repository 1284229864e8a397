package vcloud

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// The exchanges that the mission document 003 prints, in its order: what is
// sent is what stands there, and the answer must have all that is printed.
// Identifiers and hosts are other ones, and "more" links are allowed. Where the
// document's answer cannot be right (it shows another LinkHref than was
// posted), the one that was posted counts.
func TestWhatTheDocumentPrints(t *testing.T) {
	t.Parallel()
	p := &printed{house: build(t), ids: map[string]string{}}
	s, err := p.catalog.Systems.Create(t.Context(), "", core.System{Kind: core.KindMQTT, Vendor: "vmware", Name: "test", Version: "1.0.0", Priority: 100, Enabled: true})
	p.must(err)
	o, err := p.catalog.Orgs.ByUnique(t.Context(), "name/acme")
	p.must(err)
	p.ids["service"], p.ids["org"] = s.UUID(), strings.TrimPrefix(o.ID, core.OrgPrefix)
	for _, x := range exchanges() {
		p.play(x)
	}
}

// exchange is a call and what is printed of its answer. Words in brackets
// stand for identifiers; keep names the one that is made.
type exchange struct {
	title, method, path, contentType, accept, body string
	status                                         int
	answer, keep                                   string
}

const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// located is what the document's elements carry at their roots.
const located = ` xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.vmware.com/vcloud/extension/v1.5 http://10.23.118.207/api/v1.5/schema/vmwextensions.xsd http://www.vmware.com/vcloud/v1.5 http://10.23.118.207/api/v1.5/schema/master.xsd"`

func exchanges() []exchange {
	const admin = "https://10.23.118.207/api/admin/extension/service/"
	return slices.Concat([]exchange{{
		title: "a service link", method: "POST", path: "/api/admin/extension/service/[service]/links",
		contentType: "application/vnd.vmware.admin.serviceLink+xml;version=38.0", status: 201, keep: "link",
		body: `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:ServiceLink xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ns2="http://www.vmware.com/vcloud/extension/v1.5" xmlns:ns9="http://www.vmware.com/vcloud/versions">

    <ns2:LinkHref>{baseUri}org/{resourceId}/currentTime</ns2:LinkHref>
    <ns2:MimeType>text/plain</ns2:MimeType>
    <ns2:Rel>down:currentTime</ns2:Rel>
    <ns2:ResourceType>application/vnd.vmware.vcloud.org+xml</ns2:ResourceType>
</ns2:ServiceLink>`,
		answer: `<vmext:ServiceLink xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" id="urn:vcloud:serviceLink:[link]" href="https://localhost:8443/api/admin/extension/service/link/[link]" type="application/vnd.vmware.admin.serviceLink+xml">
    <Link rel="remove" href="https://localhost:8443/api/admin/extension/service/link/[link]"/>
    <Link rel="up" href="https://localhost:8443/api/admin/extension/service/[service]" type="application/vnd.vmware.admin.service+xml" name="test"/>
    <Link rel="up" href="https://localhost:8443/api/admin/extension/service/[service]" type="application/vnd.vmware.admin.service+json" name="test"/>
    <vmext:LinkHref>{baseUri}org/{resourceId}/currentTime</vmext:LinkHref>
    <vmext:MimeType>text/plain</vmext:MimeType>
    <vmext:Rel>down:currentTime</vmext:Rel>
    <vmext:ResourceType>application/vnd.vmware.vcloud.org+xml</vmext:ResourceType>
</vmext:ServiceLink>`,
	}, {
		title: "a resource class", method: "POST", path: "/api/admin/extension/service/[service]/resourceclasses",
		contentType: "application/vnd.vmware.admin.resourceClass+xml; charset=UTF-8", accept: "application/*+xml;version=5.1", status: 201, keep: "class",
		body: head + `<vmext:ResourceClass name="Backup"` + located + `>
   <vmext:MimeType>mimeTypeFoo+xml</vmext:MimeType>
   <vmext:UrlTemplate>{baseUri}foo/fooType/{resourceId}</vmext:UrlTemplate>
   <vmext:Nid>nidFoo</vmext:Nid>
   <vmext:UrnPattern>^myNssFoo(?&lt;id&gt;[0-9]*)</vmext:UrnPattern>
</vmext:ResourceClass>`,
		answer: `<vmext:ResourceClass name="Backup"` + located + ` id="urn:vcloud:resourceClass:[class]" type="application/vnd.vmware.admin.resourceClass+xml" href="` + admin + `resourceclass/[class]">
    <vcloud:Link rel="remove" href="` + admin + `resourceclass/[class]"/>
    <vcloud:Link rel="up" type="application/vnd.vmware.admin.service+xml" href="` + admin + `[service]"/>
    <vcloud:Link rel="down:resourceClassActions" type="application/vnd.vmware.vcloud.query.records+xml" href="` + admin + `resourceclass/[class]/resourceclassactions"/>
    <vcloud:Link rel="down:serviceResources" type="application/vnd.vmware.vcloud.query.records+xml" href="` + admin + `resourceclass/[class]/serviceresources"/>
    <vmext:MimeType>mimeTypeFoo+xml</vmext:MimeType>
    <vmext:UrlTemplate>{baseUri}foo/fooType/{resourceId}</vmext:UrlTemplate>
    <vmext:Nid>nidFoo</vmext:Nid>
    <vmext:UrnPattern>^myNssFoo(?&lt;id&gt;[0-9]*)</vmext:UrnPattern>
</vmext:ResourceClass>`,
	}, {
		title: "a resource class action", method: "POST", path: "/api/admin/extension/service/resourceclass/[class]/resourceclassactions",
		contentType: "application/vnd.vmware.admin.resourceClassAction+xml; charset=UTF-8", accept: "application/*+xml;version=5.1", status: 201, keep: "action",
		body: head + `<vmext:ResourceClassAction name="Read backups"` + located + `>
    <vmext:HttpMethod>GET</vmext:HttpMethod>
    <vmext:UrlPattern>/api/backup/(?&lt;id&gt;[-,a-g,0-9]*)</vmext:UrlPattern>
</vmext:ResourceClassAction>`,
		answer: `<vmext:ResourceClassAction name="Read backups"` + located + ` id="urn:vcloud:resourceClassAction:[action]" type="application/vnd.vmware.admin.resourceClassAction+xml" href="` + admin + `resourceclassaction/[action]">
    <vcloud:Link rel="remove" href="` + admin + `resourceclassaction/[action]"/>
    <vcloud:Link rel="up" type="application/vnd.vmware.admin.resourceClass+xml" href="` + admin + `resourceclass/[class]"/>
    <vcloud:Link rel="down:aclRules" type="application/vnd.vmware.vcloud.query.records+xml" href="` + admin + `resourceclassaction/[action]/aclrules"/>
    <vmext:HttpMethod>GET</vmext:HttpMethod>
    <vmext:UrlPattern>/api/backup/(?&lt;id&gt;[-,a-g,0-9]*)</vmext:UrlPattern>
</vmext:ResourceClassAction>`,
	}, {
		title: "a right", method: "POST", path: "/api/admin/extension/service/[service]/rights",
		contentType: "application/vnd.vmware.admin.right+xml", status: 201, keep: "right",
		body: `<?xml version="1.0" encoding="UTF-8"?><vcloud:Right
    xmlns:vcloud="http://www.vmware.com/vcloud/v1.5"
    name="TestExtensionRight">
    <vcloud:Description>testDescription</vcloud:Description>
    <vcloud:Category>testCategory</vcloud:Category>
    <vcloud:BundleKey>testBundleKey</vcloud:BundleKey>
    <vcloud:ServiceNamespace>ServiceNamespace</vcloud:ServiceNamespace>
</vcloud:Right>`,
		answer: `<vcloud:Right xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" name="{vmware.test.1.0.0}:TestExtensionRight" href="https://person/api/admin/right/[right]">
    <vcloud:Description>testDescription</vcloud:Description>
    <vcloud:Category>testCategory</vcloud:Category>
    <vcloud:BundleKey>testBundleKey</vcloud:BundleKey>
    <vcloud:ServiceNamespace>vmware.test.1.0.0</vcloud:ServiceNamespace>
</vcloud:Right>`,
	}, {
		title: "an ACL rule", method: "POST", path: "/api/admin/extension/service/resourceclassaction/[action]/aclrules",
		contentType: "application/vnd.vmware.admin.aclRule+xml; charset=UTF-8", accept: "application/*+xml;version=38.0", status: 201, keep: "rule",
		body: head + `<vmext:AclRule name="Acl for the resource Type Backup and shared Org"` + located + `>` + accesses("[right]") + `</vmext:AclRule>`,
		answer: `<vmext:AclRule name="Acl for the resource Type Backup and shared Org"` + located + ` id="urn:vcloud:aclRule:[rule]" type="application/vnd.vmware.admin.aclRule+xml" href="` + admin + `aclrule/[rule]">
    <vcloud:Link rel="remove" href="` + admin + `aclrule/[rule]"/>
    <vcloud:Link rel="up" type="application/vnd.vmware.admin.resourceClassAction+xml" href="` + admin + `resourceclassaction/[action]"/>` + accesses("[right]") + `
</vmext:AclRule>`,
	}, {
		title: "a service resource", method: "POST", path: "/api/admin/extension/service/resourceclass/[class]/serviceresources",
		contentType: "application/vnd.vmware.admin.serviceResource+xml; charset=UTF-8", accept: "application/*+xml;version=38.0", status: 201, keep: "resource",
		body: head + `<vmext:ServiceResource name="res-backup-1"` + located + `>
    <vmext:Org type="application/vnd.vmware.admin.organization+xml" name="" href="https://10.23.118.207/api/admin/org/[org]"/>
    <vmext:ExternalObjectId>123-456</vmext:ExternalObjectId>
</vmext:ServiceResource>`,
		answer: `<vmext:ServiceResource name="res-backup-1"` + located + ` id="urn:vcloud:serviceResource:[resource]" type="application/vnd.vmware.admin.serviceResource+xml" href="` + admin + `serviceresource/[resource]">
    <vcloud:Link rel="remove" href="` + admin + `serviceresource/[resource]"/>
    <vcloud:Link rel="up" type="application/vnd.vmware.admin.resourceClass+xml" href="` + admin + `resourceclass/[class]"/>
    <vmext:Org type="application/vnd.vmware.admin.organization+xml" href="https://10.23.118.207/api/admin/org/[org]"/>
    <vmext:ExternalObjectId>123-456</vmext:ExternalObjectId>
</vmext:ServiceResource>`,
	}}, definitionExchanges(), []exchange{
		{title: "a right that a rule names", method: "DELETE", path: "/api/admin/right/[right]", status: 409},
		{title: "the rule", method: "DELETE", path: "/api/admin/extension/service/aclrule/[rule]", status: 204},
		{title: "the right", method: "DELETE", path: "/api/admin/right/[right]", status: 204},
		{title: "rights that nobody uses", method: "POST", path: "/api/admin/extension/service/action/clearUnusedRights", status: 204},
	})
}

func accesses(right string) string {
	return `
    <vmext:ServiceResourceAccess>
        <vmext:Access>Shared</vmext:Access>
    </vmext:ServiceResourceAccess>
    <vmext:OrganizationAccess>
        <vmext:Access>Shared</vmext:Access>
    </vmext:OrganizationAccess>
    <vmext:PrincipalAccess>
        <vmext:Access>Entity</vmext:Access>
        <vmext:Entity xsi:type="vcloud:ResourceReferenceType" type="application/vnd.vmware.admin.right+xml" href="https://10.23.118.207/api/admin/right/` + right + `"/>
    </vmext:PrincipalAccess>`
}

func definitionExchanges() []exchange {
	return []exchange{{
		title: "an API definition", method: "POST", path: "/api/admin/extension/service/[service]/definitions",
		contentType: "application/vnd.vmware.admin.apiDefinition+xml;", accept: "application/*+xml;version=38.0", status: 201, keep: "definition",
		body: head + `<vmext:ApiDefinition type="application/vnd.vmware.admin.apiDefinition+xml" name="loadBalancerApi" operationKey="apiDef:loadBalancer"` + located + `>
    <vcloud:Description>Some description</vcloud:Description>
    <vmext:EntryPoint>{baseUri}/loadBalancer</vmext:EntryPoint>
    <vmext:Namespace>com.lirex.loadBalancer</vmext:Namespace>
    <vmext:ApiVendor>Lirex</vmext:ApiVendor>
     <vmext:SupportedApiVersions>
         <vmext:Version>100</vmext:Version>
         <vmext:Version>1001</vmext:Version>
     </vmext:SupportedApiVersions>
     <vmext:Files>
       <vmext:FileDescriptor>
         <vmext:Description>Load balancer descriptors archive</vmext:Description>
         <vmext:File name="descriptors" type="application/zip" href="{baseUri}/loadBalancerDescriptors/descriptors.zip"/>
       </vmext:FileDescriptor>
    </vmext:Files>
</vmext:ApiDefinition>`,
		answer: `<vmext:ApiDefinition type="application/vnd.vmware.admin.apiDefinition+xml" name="loadBalancerApi" operationKey="apiDef:loadBalancer"` + located + `>
    <vcloud:Description>Some description</vcloud:Description>
    <vmext:EntryPoint>https://h/api/loadBalancer</vmext:EntryPoint>
    <vmext:Namespace>com.lirex.loadBalancer</vmext:Namespace>
    <vmext:ApiVendor>Lirex</vmext:ApiVendor>
     <vmext:SupportedApiVersions><vmext:Version>100</vmext:Version><vmext:Version>1001</vmext:Version></vmext:SupportedApiVersions>
     <vmext:Files>
       <vmext:FileDescriptor>
         <vmext:Description>Load balancer descriptors archive</vmext:Description>
         <vmext:File name="descriptors" type="application/zip" href="https://h/api/loadBalancerDescriptors/descriptors.zip"/>
       </vmext:FileDescriptor>
    </vmext:Files>
</vmext:ApiDefinition>`,
	}, {
		title: "a file descriptor", method: "POST", path: "/api/admin/extension/service/definition/[definition]/files",
		contentType: "application/vnd.vmware.admin.fileDescriptor+xml; charset=UTF-8", accept: "application/*+xml;version=38.0", status: 201, keep: "file",
		body: head + `<vmext:FileDescriptor type="application/vnd.vmware.admin.fileDescriptor+xml"` + located + `>
     <vmext:Description>Load balancer descriptors archive</vmext:Description>
     <vmext:File name="readme" type="application/pdf" href="https://filestore/readme.pdf"/>
</vmext:FileDescriptor>`,
		answer: `<vmext:FileDescriptor type="application/vnd.vmware.admin.fileDescriptor+xml"` + located + `>
     <vmext:Description>Load balancer descriptors archive</vmext:Description>
     <vmext:File name="readme" type="application/pdf" href="https://filestore/readme.pdf"/>
</vmext:FileDescriptor>`,
	}}
}

// printed plays exchanges against a house.
type printed struct {
	*house
	ids map[string]string // by their words
}

func (p *printed) fill(text string) string {
	for word, id := range p.ids {
		text = strings.ReplaceAll(text, "["+word+"]", id)
	}
	return text
}

func (p *printed) play(x exchange) {
	p.Helper()
	w := p.send(p.administrator, x.method, p.fill(x.path), p.fill(x.body), "Content-Type", x.contentType, "Accept", x.accept)
	if w.Code != x.status {
		p.Fatalf("%s: %d %s", x.title, w.Code, w.Body)
	}
	p.valid(w)
	if x.keep != "" {
		at := w.Header().Get("Location")
		p.ids[x.keep] = at[strings.LastIndexByte(at, '/')+1:]
	}
	if x.answer == "" {
		return
	}
	want, err := tree(p.fill(x.answer))
	p.must(err)
	got, err := tree(w.Body.String())
	p.must(err)
	if err := got.has(want); err != nil {
		p.Errorf("%s: %v in\n%s", x.title, err, w.Body)
	}
}

// piece is an element with what is in it.
type piece struct {
	name     xml.Name
	attrs    map[string]string
	text     string
	children []*piece
}

var hostRE = regexp.MustCompile(`^https?://[^/]*/api/`)

// tree reads a document. Hosts in front of /api/ are all the same.
func tree(doc string) (*piece, error) {
	d := xml.NewDecoder(bytes.NewReader([]byte(doc)))
	stack := []*piece{{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return stack[0].children[0], nil
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := &piece{name: t.Name, attrs: map[string]string{}}
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" && a.Name.Local != "schemaLocation" {
					e.attrs[a.Name.Space+" "+a.Name.Local] = hostRE.ReplaceAllString(a.Value, "/api/")
				}
			}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			top.text = hostRE.ReplaceAllString(strings.TrimSpace(top.text), "/api/")
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
}

// has checks that all of want is in p: its attributes, its links in any order,
// its other children in theirs and no more of them.
func (p *piece) has(want *piece) error {
	if p.name != want.name || p.text != want.text {
		return fmt.Errorf("%v %q, want %v %q", p.name, p.text, want.name, want.text)
	}
	for name, value := range want.attrs {
		if p.attrs[name] != value {
			return fmt.Errorf("%v: the attribute%s is %q, want %q", p.name, name, p.attrs[name], value)
		}
	}
	links, others := p.parts()
	wantLinks, wantOthers := want.parts()
	for _, w := range wantLinks {
		if !slices.ContainsFunc(links, func(l *piece) bool { return l.has(w) == nil }) {
			return fmt.Errorf("there is no link %v", w.attrs)
		}
	}
	if len(others) != len(wantOthers) {
		return fmt.Errorf("%v has %d children, want %d", p.name, len(others), len(wantOthers))
	}
	for i, w := range wantOthers {
		if err := others[i].has(w); err != nil {
			return err
		}
	}
	return nil
}

func (p *piece) parts() (links, others []*piece) {
	for _, c := range p.children {
		if c.name.Local == "Link" {
			links = append(links, c)
		} else {
			others = append(others, c)
		}
	}
	return links, others
}
