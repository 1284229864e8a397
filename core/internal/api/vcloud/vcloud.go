// Package vcloud is the XML admin API, with its JSON twin: registrations below
// /api/admin/extension, the list of API versions, and the older login.
package vcloud

import (
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
	s.resources = map[string]entity{
		"apifilter": &resource[core.Filter]{spec: apiFilters(), table: d.Catalog.Filters},
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
func (s *server) extension(ec echo.Context) error {
	c := s.call(ec)
	path := c.Request().URL.Path
	words := strings.Split(strings.Trim(strings.TrimPrefix(path, extensionPath), "/"), "/")
	switch {
	case words[0] == "":
		return c.only(verbs{http.MethodGet: c.vmwExtension})
	case words[0] != "service":
		return nothingAt(path)
	case len(words) == 1:
		return c.only(verbs{http.MethodGet: c.extensionServices})
	}
	parent, words := "service", words[1:]
	if _, ok := s.resources[words[0]]; ok {
		parent, words = words[0], words[1:]
	}
	switch {
	case len(words) == 1 && parent == "service":
		return c.only(verbs{http.MethodGet: func() error { return c.service(words[0]) }})
	case len(words) == 1:
		return c.only(s.resources[parent].item(c, words[0]))
	case len(words) == 2:
		return c.collection(parent, words[0], words[1])
	}
	return nothingAt(path)
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

// body reads the body of a request, whose root must have that name.
func (c *call) body(root string) (*vxml.Element, error) {
	r := c.Request()
	b, err := api.ReadBody(c.Response(), r, c.Limits.Admin)
	if err != nil {
		return nil, err
	}
	e, err := vxml.Parse(r.Header.Get("Content-Type"), b)
	if err == nil && !e.Is(root) {
		err = core.Errorf(core.Invalid, "the root element of the body must be %s", root)
	}
	return e, err
}
