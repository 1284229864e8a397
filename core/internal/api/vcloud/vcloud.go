// Package vcloud is the XML admin API, with its JSON twin: registrations below
// /api/admin/extension, the list of API versions, and the older login.
package vcloud

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// extensionPath is where registrations are. Only system administrators get
// behind it, known path or not.
const (
	extensionPath = "/api/admin/extension"
	servicePath   = extensionPath + "/service"
)

// Register mounts the XML admin API on e: everything below
// /api/admin/extension, /api/versions, DELETE /api/session and /api/sessions.
// Whatever else below /api is sent to e is not found.
func Register(e *echo.Echo, d api.Deps) { newServer(d).mount(e) }

type server struct {
	api.Deps
	resources map[string]entity // by the word in the address of one item
}

func newServer(d api.Deps) *server {
	s := &server{Deps: d.WithDefaults()}
	files := fileDescriptors(d.Catalog)
	s.resources = map[string]entity{
		"apifilter":           &resource[core.Filter]{spec: apiFilters(), table: d.Catalog.Filters},
		"link":                &resource[core.Link]{spec: serviceLinks(), table: d.Catalog.Links},
		"apidefinition":       &resource[core.APIDefinition]{spec: apiDefinitions(files), table: d.Catalog.Definitions},
		"file":                files,
		"resourceclass":       &resource[core.ResourceClass]{spec: resourceClasses(), table: d.Catalog.Classes},
		"resourceclassaction": &resource[core.ResourceClassAction]{spec: resourceClassActions(), table: d.Catalog.Actions},
		"serviceresource":     &resource[core.ServiceResource]{spec: serviceResources(), table: d.Catalog.Resources},
		"aclrule":             &resource[core.ACLRule]{spec: aclRules(), table: d.Catalog.Rules},
	}
	return s
}

func (s *server) mount(e *echo.Echo) {
	// A route for "not found" takes every verb, so that none slips past the
	// guards.
	mount := func(path string, h echo.HandlerFunc, guards ...echo.MiddlewareFunc) {
		guards = append([]echo.MiddlewareFunc{s.writeErrors}, guards...)
		e.RouteNotFound(path, h, guards...)
		e.RouteNotFound(path+"/", h, guards...)
	}
	known, provider := api.Authenticate(s.Deps), api.ProviderOnly()
	mount("/api/versions", s.versions)
	mount("/api/sessions", s.login)
	mount(extensionPath, s.extension, known, provider)
	e.RouteNotFound(extensionPath+"/*", s.extension, s.writeErrors, known, provider)
	mount(rightPath, nothing, known, provider)
	e.RouteNotFound(rightPath+"/*", s.oneRight, s.writeErrors, known, provider)
	e.RouteNotFound(vxml.SchemaPath+"*", s.schema, s.writeErrors)
	e.DELETE("/api/session", s.logout, s.writeErrors, known)
	// What nobody answers gets the error form of /api, not echo's.
	mount("/api", nothing)
	e.RouteNotFound("/api/*", nothing, s.writeErrors)
}

// writeErrors gives errors the form that clients of /api read.
func (s *server) writeErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil || c.Response().Committed {
			return err
		}
		id := api.RequestID(c)
		var ours *core.Error
		if !errors.As(err, &ours) || core.ErrorCode(err) == core.Internal {
			s.Log.ErrorContext(c.Request().Context(), "an admin call failed", slog.String("request", id),
				slog.String("method", c.Request().Method), slog.String("path", c.Request().URL.Path), slog.Any("err", err))
		}
		vxml.WriteError(c.Response(), c.Request().Header.Values("Accept"), id, err)
		return nil
	}
}

// call is one request to the admin API.
type call struct {
	echo.Context
	*server
	hrefs  api.Hrefs
	choice vxml.Choice
	by     string // the caller's URN
}

func (s *server) call(c echo.Context) *call {
	return &call{
		Context: c, server: s, hrefs: api.NewHrefs(api.BaseURL(c)),
		choice: vxml.Choose(c.Request().Header.Values("Accept")), by: api.Caller(c).UserID,
	}
}

func (c *call) ctx() context.Context { return c.Request().Context() }

// answer sends an element.
func (c *call) answer(status int, media string, e *vxml.Element) error {
	vxml.Write(c.Response(), c.choice, status, media, e)
	return nil
}

// verbs are the handlers of one path.
type verbs map[string]func() error

// only runs the handler of the request's verb. GET serves HEAD too.
func (c *call) only(v verbs) error {
	method := c.Request().Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if h, ok := v[method]; ok {
		return h()
	}
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if v[m] == nil {
			continue
		}
		if allowed = append(allowed, m); m == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	return vxml.NotAllowed(c.Request().Method, c.Request().URL.Path, allowed...)
}

func nothing(c echo.Context) error { return nothingAt(c.Request().URL.Path) }

func nothingAt(path string) error {
	return core.Errorf(core.NotFound, "nothing is served at %s", path)
}

// extension routes what lies below extensionPath, by the words of the path:
//
//	service/{uuid}                one service
//	service/{uuid}/{list}         what belongs to a service
//	service/{word}/{uuid}         one of that
//	service/{word}/{uuid}/{list}  what belongs to it
//
// and a few words that stand for what can be done with services.
func (s *server) extension(ec echo.Context) error {
	c := s.call(ec)
	words := c.words(extensionPath)
	switch {
	case words[0] == "":
		return c.only(verbs{http.MethodGet: c.vmwExtension})
	case words[0] != "service":
		return nothingAt(c.Request().URL.Path)
	case len(words) == 1:
		return c.only(verbs{http.MethodGet: c.extensionServices, http.MethodPost: c.createService})
	}
	if act := c.act(words[1:]); act != nil {
		return c.only(act)
	}
	return c.route(words[1:])
}

// words are the words of the path behind the prefix.
func (c *call) words(prefix string) []string {
	return strings.Split(strings.Trim(strings.TrimPrefix(c.Request().URL.Path, prefix), "/"), "/")
}

// act is what the words below /service stand for, other than an item or a
// collection; nil for nothing.
func (c *call) act(words []string) verbs {
	switch strings.ToLower(strings.Join(words, "/")) {
	case "query":
		return verbs{http.MethodGet: c.services}
	case "authorizationcheck":
		return verbs{http.MethodPost: c.checkAll}
	case "action/clearunusedrights":
		return verbs{http.MethodPost: c.clearUnusedRights}
	}
	if len(words) != 2 || c.resources[wordIn(words[0])] != nil {
		return nil
	}
	switch strings.ToLower(words[1]) {
	case "rights":
		return c.rights(words[0])
	case "authorizationcheck":
		return verbs{http.MethodPost: func() error { return c.checkOne(words[0]) }}
	}
	return nil
}

// wordIn is the word for a type of items in an address.
func wordIn(address string) string {
	if word := strings.ToLower(address); word != "definition" {
		return word
	}
	return "apidefinition"
}

// route routes to an item or a collection.
func (c *call) route(words []string) error {
	parent := "service"
	if word := wordIn(words[0]); c.resources[word] != nil {
		parent, words = word, words[1:]
	}
	switch {
	case len(words) == 1 && parent == "service":
		return c.only(c.serviceItem(words[0]))
	case len(words) == 1:
		return c.only(c.resources[parent].item(c, words[0]))
	case len(words) == 2:
		return c.collection(parent, words[0], words[1])
	}
	return nothingAt(c.Request().URL.Path)
}

func (s *server) oneRight(ec echo.Context) error {
	c := s.call(ec)
	words := c.words(rightPath)
	if len(words) != 1 {
		return nothingAt(c.Request().URL.Path)
	}
	return c.right(words[0])
}

// schema serves the files that describe what this API writes, to everybody.
func (s *server) schema(ec echo.Context) error {
	c := s.call(ec)
	file, ok := vxml.Schema(c.Request().URL.Path)
	if !ok {
		return nothingAt(c.Request().URL.Path)
	}
	return c.only(verbs{http.MethodGet: func() error {
		c.Response().Header().Set("Cache-Control", "public, max-age=3600")
		return c.Blob(http.StatusOK, "application/xml", file)
	}})
}

// collection routes to what belongs to one item.
func (c *call) collection(parent, uuid, list string) error {
	for _, child := range c.children(parent) {
		if _, lists := child.under(); slices.Contains(lists, strings.ToLower(list)) {
			p, err := c.place(parent, uuid)
			if err != nil {
				return err
			}
			return c.only(child.collection(c, p))
		}
	}
	return nothingAt(c.Request().URL.Path)
}

// children are the resources whose items belong to those of word.
func (s *server) children(word string) []entity {
	var out []entity
	for _, name := range slices.Sorted(maps.Keys(s.resources)) {
		if parent, _ := s.resources[name].under(); parent == word {
			out = append(out, s.resources[name])
		}
	}
	return out
}

// body reads the body of a request, whose root must have one of the names. One
// that is too large or holds too much cannot be used, as clients of this API
// know it.
func (c *call) body(roots ...string) (*vxml.Element, error) {
	r := c.Request()
	b, err := api.ReadBody(c.Response(), r, c.Limits.Admin)
	var e *vxml.Element
	if err == nil {
		e, err = vxml.Parse(r.Header.Get("Content-Type"), b)
	}
	switch {
	case core.ErrorCode(err) == core.TooLarge && err != nil:
		return nil, &core.Error{Code: core.Invalid, Message: core.ErrorMessage(err), Minor: "REQUEST_TOO_LARGE", Err: err}
	case err == nil && !slices.ContainsFunc(roots, e.Is):
		return nil, core.Errorf(core.Invalid, "the root element of the body must be %s", strings.Join(roots, " or "))
	}
	return e, err
}
