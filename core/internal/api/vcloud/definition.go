package vcloud

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// apiDefinitions tell where the APIs of services are. Their files are shown
// in them.
func apiDefinitions(files *resource[core.FileDescriptor]) spec[core.APIDefinition] {
	return spec[core.APIDefinition]{
		word: "apidefinition", parent: "service", lists: []string{"apidefinitions", "definitions"}, container: "ApiDefinitions",
		root: "ApiDefinition", media: mediaAdmin + "apiDefinition", prefix: core.DefinitionPrefix,
		fields:   []string{"EntryPoint", "Namespace", "ApiVendor", "SupportedApiVersions"},
		id:       func(d core.APIDefinition) string { return d.ID },
		meta:     func(d *core.APIDefinition) *core.Meta { return &d.Meta },
		parentOf: func(d core.APIDefinition) string { return d.System },
		named:    func(d core.APIDefinition) (name, description string) { return d.Name, d.Description },
		decode:   decodeDefinition,
		encode: func(c *call, e *vxml.Element, d core.APIDefinition) error {
			return encodeDefinition(c, e, d, files)
		},
		rows: rowing[core.APIDefinition]{records.AdminDefinitions().Type, func(c *call, service string) (func(core.APIDefinition) records.Row, error) {
			s, err := c.Catalog.Systems.Get(c.ctx(), service)
			return func(d core.APIDefinition) records.Row {
				return records.AdminDefinitions().Row(records.Definition{APIDefinition: d, Service: s, Base: api.BaseURL(c)})
			}, err
		}},
	}
}

func decodeDefinition(body *vxml.Element, service string) (core.APIDefinition, error) {
	d := core.APIDefinition{
		System: service, Name: body.Attr("name"), Description: body.Value("Description"),
		EntryPoint: body.Value("EntryPoint"), Namespace: body.Value("Namespace"), APIVendor: body.Value("ApiVendor"),
	}
	if list := body.Child("SupportedApiVersions"); list != nil {
		versions, err := list.All("Version")
		if err != nil {
			return d, err
		}
		for _, v := range versions {
			d.Versions = append(d.Versions, strings.TrimSpace(v.Text))
		}
	}
	return d, nil
}

func encodeDefinition(c *call, e *vxml.Element, d core.APIDefinition, files *resource[core.FileDescriptor]) error {
	e.Leaf("EntryPoint", vxml.ExpandBase(d.EntryPoint, api.BaseURL(c))).
		Leaf("Namespace", d.Namespace).
		Leaf("ApiVendor", d.APIVendor)
	if len(d.Versions) > 0 {
		list := vxml.Extension("SupportedApiVersions")
		for _, v := range d.Versions {
			list.Add(vxml.Extension("Version").SetText(v).InList("version", ""))
		}
		e.Add(list)
	}
	list := vxml.Extension("Files")
	for f, err := range c.Catalog.Files.Under(c.ctx(), d.ID) {
		if err != nil {
			return err
		}
		file := files.element(c, f).InList("fileDescriptor", "")
		if err := files.encode(c, file, f); err != nil {
			return err
		}
		list.Add(file)
	}
	if len(list.Children) > 0 {
		e.Add(list)
	}
	return nil
}

// fileDescriptors are the files that describe APIs.
func fileDescriptors(cat *catalog.Catalog) *resource[core.FileDescriptor] {
	return &resource[core.FileDescriptor]{table: cat.Files, spec: spec[core.FileDescriptor]{
		word: "file", parent: "apidefinition", lists: []string{"files"}, container: "Files",
		root: "FileDescriptor", media: mediaAdmin + "fileDescriptor", prefix: core.FilePrefix,
		fields:   []string{"Description", "File"},
		id:       func(f core.FileDescriptor) string { return f.ID },
		meta:     func(f *core.FileDescriptor) *core.Meta { return &f.Meta },
		parentOf: func(f core.FileDescriptor) string { return f.Definition },
		decode:   decodeFile,
		encode: func(c *call, e *vxml.Element, f core.FileDescriptor) error {
			e.Leaf("Description", f.Description).
				Add(vxml.Extension("File").Set("href", vxml.ExpandBase(f.Href, api.BaseURL(c))).Set("name", f.Name).Set("type", f.MimeType))
			return nil
		},
		rows: rowing[core.FileDescriptor]{records.AdminFiles().Type, fileRow},
	}}
}

func decodeFile(body *vxml.Element, definition string) (core.FileDescriptor, error) {
	d := core.FileDescriptor{Definition: definition, Description: body.Value("Description")}
	file := body.Child("File")
	if file == nil {
		return d, core.Errorf(core.Invalid, "File: a file descriptor needs one, with href, name and type")
	}
	d.Name, d.MimeType, d.Href = file.Attr("name"), file.Attr("type"), strings.TrimSpace(file.Attr("href"))
	if d.Name == "" {
		d.Name = d.Href[strings.LastIndexByte(d.Href, '/')+1:]
	}
	return d, nil
}

func fileRow(c *call, definition string) (func(core.FileDescriptor) records.Row, error) {
	d, err := c.Catalog.Definitions.Get(c.ctx(), definition)
	if err != nil {
		return nil, err
	}
	s, err := c.Catalog.Systems.Get(c.ctx(), d.System)
	return func(f core.FileDescriptor) records.Row {
		return records.AdminFiles().Row(records.File{
			FileDescriptor: f, API: records.Definition{APIDefinition: d, Service: s, Base: api.BaseURL(c)},
		})
	}, err
}
