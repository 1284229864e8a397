package vcloud

import (
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// serviceLinks are the links that services show in native representations.
func serviceLinks() spec[core.Link] {
	return spec[core.Link]{
		word: "link", parent: "service", lists: []string{"links"}, container: "ServiceLinks",
		root: "ServiceLink", media: mediaAdmin + "serviceLink", prefix: core.LinkPrefix,
		fields:   []string{"LinkHref", "MimeType", "Rel", "ResourceType", "ResourceId", "ExternalResourceId"},
		id:       func(l core.Link) string { return l.ID },
		meta:     func(l *core.Link) *core.Meta { return &l.Meta },
		parentOf: func(l core.Link) string { return l.System },
		decode: func(body *vxml.Element, service string) (core.Link, error) {
			return core.Link{
				System: service,
				Href:   body.Value("LinkHref"), MimeType: body.Value("MimeType"), Rel: body.Value("Rel"),
				ResourceType: body.Value("ResourceType"), ResourceID: body.Value("ResourceId"),
				ExternalResourceID: body.Value("ExternalResourceId"),
			}, nil
		},
		encode: func(_ *call, e *vxml.Element, l core.Link) error {
			e.Leaf("LinkHref", l.Href).Leaf("MimeType", l.MimeType).Leaf("Rel", l.Rel).
				Leaf("ResourceType", l.ResourceType).Leaf("ResourceId", l.ResourceID).Leaf("ExternalResourceId", l.ExternalResourceID)
			return nil
		},
		rows: alone(records.Links()),
	}
}
