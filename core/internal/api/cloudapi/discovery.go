package cloudapi

import (
	"context"

	"github.com/annex-gateway/annex/core"
)

// linkForm is a service link in JSON.
type linkForm struct {
	ID           string     `json:"id"`
	Service      *reference `json:"service"`
	Href         string     `json:"linkHref"`
	MimeType     string     `json:"mimeType"`
	Rel          string     `json:"rel"`
	ResourceType string     `json:"resourceType"`
	ResourceID   *string    `json:"resourceId"`
	ExternalID   *string    `json:"externalResourceId"`
}

func (a *cloud) serviceLinks() resource[core.Link, linkForm] {
	return resource[core.Link, linkForm]{
		path: linksPath, noun: "service link", table: a.Catalog.Links,
		id:   func(l core.Link) string { return l.ID },
		meta: func(l core.Link) core.Meta { return l.Meta },
		attributes: attributes[core.Link]{
			"id":           text(func(l core.Link) string { return l.ID }),
			"service.id":   text(func(l core.Link) string { return l.System }),
			"rel":          text(func(l core.Link) string { return l.Rel }),
			"resourceType": text(func(l core.Link) string { return l.ResourceType }),
		},
		encode: func(l core.Link) linkForm {
			return linkForm{
				ID: l.ID, Service: a.serviceRef(l.System), Href: l.Href, MimeType: l.MimeType, Rel: l.Rel, ResourceType: l.ResourceType,
				ResourceID: textOrNull(l.ResourceID), ExternalID: textOrNull(l.ExternalResourceID),
			}
		},
		build: func(_ actor, in linkForm) (l core.Link, err error) {
			if l.System, err = parentID("service", core.ServicePrefix, in.Service); err != nil {
				return l, err
			}
			return mergeLink(in, l)
		},
		merge: mergeLink,
	}
}

func mergeLink(in linkForm, l core.Link) (core.Link, error) {
	l.Href, l.MimeType, l.Rel, l.ResourceType = in.Href, in.MimeType, in.Rel, in.ResourceType
	l.ResourceID, l.ExternalResourceID = or(in.ResourceID, ""), or(in.ExternalID, "")
	return l, stays("service", in.Service, l.System)
}

// definitionForm is an API definition in JSON.
type definitionForm struct {
	ID          string     `json:"id"`
	Service     *reference `json:"service"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	EntryPoint  *string    `json:"entryPoint"`
	Namespace   *string    `json:"namespace"`
	APIVendor   *string    `json:"apiVendor"`
	Versions    []string   `json:"supportedApiVersions"`
}

func (a *cloud) definitions() resource[core.APIDefinition, definitionForm] {
	return resource[core.APIDefinition, definitionForm]{
		path: definitionsPath, noun: "API definition", table: a.Catalog.Definitions,
		id:   func(d core.APIDefinition) string { return d.ID },
		meta: func(d core.APIDefinition) core.Meta { return d.Meta },
		attributes: attributes[core.APIDefinition]{
			"id":         text(func(d core.APIDefinition) string { return d.ID }),
			"name":       text(func(d core.APIDefinition) string { return d.Name }),
			"service.id": text(func(d core.APIDefinition) string { return d.System }),
			"namespace":  text(func(d core.APIDefinition) string { return d.Namespace }),
		},
		encode: func(d core.APIDefinition) definitionForm {
			return definitionForm{
				ID: d.ID, Service: a.serviceRef(d.System), Name: d.Name, Description: textOrNull(d.Description),
				EntryPoint: textOrNull(d.EntryPoint), Namespace: textOrNull(d.Namespace), APIVendor: textOrNull(d.APIVendor), Versions: d.Versions,
			}
		},
		build: func(_ actor, in definitionForm) (d core.APIDefinition, err error) {
			if d.System, err = parentID("service", core.ServicePrefix, in.Service); err != nil {
				return d, err
			}
			return mergeDefinition(in, d)
		},
		merge: mergeDefinition,
	}
}

func mergeDefinition(in definitionForm, d core.APIDefinition) (core.APIDefinition, error) {
	d.Name, d.Description, d.Versions = in.Name, or(in.Description, ""), in.Versions
	d.EntryPoint, d.Namespace, d.APIVendor = or(in.EntryPoint, ""), or(in.Namespace, ""), or(in.APIVendor, "")
	return d, stays("service", in.Service, d.System)
}

// fileForm is a file descriptor in JSON.
type fileForm struct {
	ID          string     `json:"id"`
	Definition  *reference `json:"apiDefinition"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	MimeType    *string    `json:"mimeType"`
	Href        string     `json:"href"`
}

func (a *cloud) files() resource[core.FileDescriptor, fileForm] {
	return resource[core.FileDescriptor, fileForm]{
		path: filesPath, noun: "file descriptor", table: a.Catalog.Files,
		id:   func(f core.FileDescriptor) string { return f.ID },
		meta: func(f core.FileDescriptor) core.Meta { return f.Meta },
		attributes: attributes[core.FileDescriptor]{
			"id":               text(func(f core.FileDescriptor) string { return f.ID }),
			"name":             text(func(f core.FileDescriptor) string { return f.Name }),
			"apiDefinition.id": text(func(f core.FileDescriptor) string { return f.Definition }),
		},
		encode: func(f core.FileDescriptor) fileForm {
			return fileForm{
				ID: f.ID, Definition: &reference{ID: f.Definition}, Name: f.Name, Description: textOrNull(f.Description),
				MimeType: textOrNull(f.MimeType), Href: f.Href,
			}
		},
		names: func(ctx context.Context, out *fileForm) error {
			return nameIt(ctx, a.Catalog.Definitions, out.Definition, func(d core.APIDefinition) string { return d.Name })
		},
		build: func(_ actor, in fileForm) (f core.FileDescriptor, err error) {
			if f.Definition, err = parentID("apiDefinition", core.DefinitionPrefix, in.Definition); err != nil {
				return f, err
			}
			return mergeFile(in, f)
		},
		merge: mergeFile,
	}
}

func mergeFile(in fileForm, f core.FileDescriptor) (core.FileDescriptor, error) {
	f.Name, f.Description, f.MimeType, f.Href = in.Name, or(in.Description, ""), or(in.MimeType, ""), in.Href
	return f, stays("apiDefinition", in.Definition, f.Definition)
}
