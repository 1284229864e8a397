package vcloud

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// resourceClasses are the types of resources that services expose.
func resourceClasses() spec[core.ResourceClass] {
	return spec[core.ResourceClass]{
		word: "resourceclass", parent: "service", lists: []string{"resourceclasses"}, container: "ResourceClasses",
		root: "ResourceClass", media: mediaAdmin + "resourceClass", prefix: core.ClassPrefix,
		fields:   []string{"MimeType", "UrlTemplate", "Nid", "UrnPattern"},
		id:       func(k core.ResourceClass) string { return k.ID },
		meta:     func(k *core.ResourceClass) *core.Meta { return &k.Meta },
		parentOf: func(k core.ResourceClass) string { return k.System },
		named:    func(k core.ResourceClass) (name, description string) { return k.Name, k.Description },
		decode: func(body *vxml.Element, service string) (core.ResourceClass, error) {
			return core.ResourceClass{
				System: service, Name: body.Attr("name"), Description: body.Value("Description"),
				MimeType: body.Value("MimeType"), URLTemplate: body.Value("UrlTemplate"),
				NID: body.Value("Nid"), URNPattern: onOneLine(body.Value("UrnPattern")),
			}, nil
		},
		encode: func(_ *call, e *vxml.Element, k core.ResourceClass) error {
			e.Leaf("MimeType", k.MimeType).Leaf("UrlTemplate", k.URLTemplate).Leaf("Nid", k.NID).Leaf("UrnPattern", k.URNPattern)
			return nil
		},
		rows: alone(records.Classes()),
	}
}

// resourceClassActions are what can be done with the resources of a class.
func resourceClassActions() spec[core.ResourceClassAction] {
	return spec[core.ResourceClassAction]{
		word: "resourceclassaction", parent: "resourceclass", lists: []string{"resourceclassactions"}, container: "ResourceClassActions",
		root: "ResourceClassAction", media: mediaAdmin + "resourceClassAction", prefix: core.ActionPrefix,
		fields:   []string{"HttpMethod", "UrlPattern"},
		id:       func(a core.ResourceClassAction) string { return a.ID },
		meta:     func(a *core.ResourceClassAction) *core.Meta { return &a.Meta },
		parentOf: func(a core.ResourceClassAction) string { return a.Class },
		named:    func(a core.ResourceClassAction) (name, description string) { return a.Name, a.Description },
		decode: func(body *vxml.Element, class string) (core.ResourceClassAction, error) {
			return core.ResourceClassAction{
				Class: class, Name: body.Attr("name"), Description: body.Value("Description"),
				HTTPMethod: strings.ToUpper(body.Value("HttpMethod")), URLPattern: onOneLine(body.Value("UrlPattern")),
			}, nil
		},
		encode: func(_ *call, e *vxml.Element, a core.ResourceClassAction) error {
			e.Leaf("HttpMethod", a.HTTPMethod).Leaf("UrlPattern", a.URLPattern)
			return nil
		},
		rows: alone(records.Actions()),
	}
}

// serviceResources are the resources that services expose.
func serviceResources() spec[core.ServiceResource] {
	return spec[core.ServiceResource]{
		word: "serviceresource", parent: "resourceclass", lists: []string{"serviceresources"}, container: "ServiceResources",
		root: "ServiceResource", media: mediaResource, prefix: core.ResourcePrefix,
		fields:   []string{"Org", "ExternalObjectId"},
		id:       func(r core.ServiceResource) string { return r.ID },
		meta:     func(r *core.ServiceResource) *core.Meta { return &r.Meta },
		parentOf: func(r core.ServiceResource) string { return r.Class },
		named:    func(r core.ServiceResource) (name, description string) { return r.Name, r.Description },
		decode: func(body *vxml.Element, class string) (core.ServiceResource, error) {
			r := core.ServiceResource{
				Class: class, Name: body.Attr("name"), Description: body.Value("Description"),
				ExternalObjectID: body.Value("ExternalObjectId"),
			}
			var err error
			r.OrgID, err = refer("Org", body.Child("Org"), core.OrgPrefix)
			return r, err
		},
		encode: func(c *call, e *vxml.Element, r core.ServiceResource) error {
			e.Add(c.reference("Org", r.OrgID)).Leaf("ExternalObjectId", r.ExternalObjectID)
			return nil
		},
		rows: alone(records.Resources()),
	}
}
