package native

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// extensibility is where users start to look at services.
func (q reader) extensibility() *vxml.Element {
	media := records.Formats()[0].Media
	return vxml.VCloud("ApiExtensibility").
		Set("href", q.base+"/api/extensibility").
		Set("type", vxml.MediaExtensible+"+xml").
		Add(vxml.Links("down:service", q.base+"/api/service", media, "")...).
		Add(vxml.Links("down:apidefinitions", q.base+"/api/apidefinitions", media, "")...)
}

// services gives the pages by which every user looks at services, their APIs
// and what describes these:
//
//	service                        apidefinitions
//	service/{uuid}                 apidefinition/{uuid}
//	service/{uuid}/apidefinitions  apidefinition/{uuid}/files
//	                               files/{uuid}
//
// A collection is a query too, and so may have the word query behind it.
func (q reader) services(path string) (page, bool) {
	path = strings.TrimSuffix(path, "/query")
	words := strings.Split(strings.TrimPrefix(path, "/api/"), "/")
	id := ""
	if len(words) > 1 {
		id, words[1] = words[1], "*"
	}
	var show func() (sheet, error)
	switch strings.Join(words, "/") {
	case "service":
		show = func() (sheet, error) { return q.list("service", path, nil) }
	case "service/*":
		show = func() (sheet, error) { return q.service(id) }
	case "service/*/apidefinitions":
		show = func() (sheet, error) { return q.definitionsOf(id, path) }
	case "apidefinitions":
		show = func() (sheet, error) { return q.list("apiDefinition", path, nil) }
	case "apidefinition/*":
		show = func() (sheet, error) { return q.definition(id) }
	case "apidefinition/*/files":
		show = func() (sheet, error) { return q.filesOf(id, path) }
	case "files/*", "file/*":
		show = func() (sheet, error) { return q.file(id) }
	default:
		return page{}, false
	}
	return page{make: show}, true
}

// enabled returns the service with that uuid. One that is disabled is as if it
// was not there.
func (q reader) enabled(id string) (core.System, error) {
	s, ok := q.view.Service(strings.ToLower(strings.TrimPrefix(id, records.ServiceURN)))
	if !ok || !s.Enabled {
		return s, core.Errorf(core.NotFound, "there is no service %q", id)
	}
	return s, nil
}

func (q reader) users() records.Hrefs { return records.UserHrefs(q.base) }

// entityOf starts the element of an entity.
func (q reader) entityOf(root, name, urn, media string) *vxml.Element {
	return vxml.VCloud(root).Set("name", name).Set("id", urn).Set("href", q.users().Of(urn)).Set("type", media+"+xml")
}

func (q reader) service(id string) (sheet, error) {
	s, err := q.enabled(id)
	if err != nil {
		return sheet{}, err
	}
	media, urn := records.Services().Media, records.ServiceID(s.ID)
	return sheet{media, q.entityOf("Service", s.Name, urn, media).
		Add(vxml.Links("down:apiDefinitions", q.users().Of(urn)+"/apidefinitions", records.Formats()[0].Media, "")...).
		Description(s.Description).
		Leaf("Namespace", s.Namespace).
		Leaf("Vendor", s.Vendor)}, nil
}

// known returns the definition with that uuid, of an enabled service.
func (q reader) known(id string) (records.Definition, error) {
	d, ok := q.view.Registered.Definitions.Get(core.DefinitionPrefix + strings.ToLower(strings.TrimPrefix(id, core.DefinitionPrefix)))
	e, there := q.view.System(d.System)
	if !ok || !there || !e.System.Enabled {
		return records.Definition{}, core.Errorf(core.NotFound, "there is no API definition %q", id)
	}
	return records.Definition{APIDefinition: d, Service: e.System, Base: q.base}, nil
}

func (q reader) definition(id string) (sheet, error) {
	d, err := q.known(id)
	if err != nil {
		return sheet{}, err
	}
	media, href := records.Definitions().Media, q.users().Of(d.ID)
	e := q.entityOf("ApiDefinition", d.Name, d.ID, media).
		Add(vxml.Links("up", q.users().Of(records.ServiceID(d.System)), records.Services().Media, d.Service.Name)...).
		Add(vxml.Links("down:files", href+"/files", records.Formats()[0].Media, "")...).
		Description(d.Description).
		Leaf("EntryPoint", vxml.ExpandBase(d.EntryPoint, q.base)).
		Leaf("Namespace", d.Namespace).
		Leaf("ApiVendor", d.APIVendor)
	versions := vxml.VCloud("SupportedApiVersions").Lists("version")
	for _, v := range d.Versions {
		version := vxml.VCloud("Version").InList("version", "")
		version.Text = v
		versions.Add(version)
	}
	files := vxml.VCloud("Files").Lists("fileDescriptor")
	for _, f := range q.filesUnder(d.ID) {
		files.Add(q.fileView(f).InList("fileDescriptor", ""))
	}
	return sheet{media, e.Add(versions, files)}, nil
}

// filesUnder returns what describes an API, by name.
func (q reader) filesUnder(definition string) []core.FileDescriptor {
	var out []core.FileDescriptor
	for _, f := range q.view.Registered.Files.All() {
		if f.Definition == definition {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b core.FileDescriptor) int { return strings.Compare(a.Name+"/"+a.ID, b.Name+"/"+b.ID) })
	return out
}

func (q reader) fileView(f core.FileDescriptor) *vxml.Element {
	return q.entityOf("FileDescriptor", "", f.ID, records.Files().Media).
		Add(vxml.Links("up", q.users().Of(f.Definition), records.Definitions().Media, "")...).
		Description(f.Description).
		Add(vxml.VCloud("File").Set("href", vxml.ExpandBase(f.Href, q.base)).Set("name", f.Name).Set("type", f.MimeType))
}

func (q reader) file(id string) (sheet, error) {
	f, ok := q.view.Registered.Files.Get(core.FilePrefix + strings.ToLower(strings.TrimPrefix(id, core.FilePrefix)))
	if ok {
		if _, err := q.known(f.Definition); err == nil {
			return sheet{records.Files().Media, q.fileView(f)}, nil
		}
	}
	return sheet{}, core.Errorf(core.NotFound, "there is no file descriptor %q", id)
}

// definitionsOf lists the APIs of one service.
func (q reader) definitionsOf(id, path string) (sheet, error) {
	s, err := q.enabled(id)
	if err != nil {
		return sheet{}, err
	}
	return q.list("apiDefinition", path, func(e any) bool { return e.(records.Definition).System == s.ID })
}

// filesOf lists what describes one API.
func (q reader) filesOf(id, path string) (sheet, error) {
	d, err := q.known(id)
	if err != nil {
		return sheet{}, err
	}
	return q.list("fileDescriptor", path, func(e any) bool { return e.(records.File).Definition == d.ID })
}
