// Package cloudapi speaks the JSON admin API: everything below /cloudapi.
package cloudapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

// The paths of the API.
const (
	prefix          = "/cloudapi"
	sessionsPath    = prefix + "/1.0.0/sessions"
	tokensPath      = prefix + "/1.0.0/tokens"
	endpointsPath   = prefix + "/1.0.0/externalEndpoints"
	filtersPath     = prefix + "/1.0.0/apiFilters"
	servicesPath    = prefix + "/extensions/api"
	modulesPath     = prefix + "/extensions/modules"
	classesPath     = prefix + "/extensions/resourceClasses"
	actionsPath     = prefix + "/extensions/resourceClassActions"
	rulesPath       = prefix + "/extensions/aclRules"
	resourcesPath   = prefix + "/extensions/serviceResources"
	customPath      = prefix + "/extensions/rights"
	linksPath       = prefix + "/extensions/serviceLinks"
	definitionsPath = prefix + "/extensions/apiDefinitions"
	applyPath       = prefix + "/extensions/apply"
	filesPath       = prefix + "/extensions/fileDescriptors"
	explainPath     = prefix + "/extensions/explain"
	orgsPath        = prefix + "/1.0.0/orgs"
	usersPath       = prefix + "/1.0.0/users"
	rolesPath       = prefix + "/1.0.0/roles"
	rightsPath      = prefix + "/1.0.0/rights"
	issuersPath     = prefix + "/1.0.0/oidcIssuers"
	trustedPath     = prefix + "/1.0.0/ssl/trustedCertificates"
)

// membersPaths are where members of every organisation may come in: below
// them each entity and each verb has its own check.
func membersPaths() []string {
	return []string{sessionsPath, tokensPath, orgsPath, usersPath, rolesPath, rightsPath}
}

// cloud is the API with what it works with.
type cloud struct{ api.Deps }

// Register mounts everything below /cloudapi.
func Register(e *echo.Echo, d api.Deps) {
	a := &cloud{d.WithDefaults()}
	unknown := a.wrap(func(c echo.Context) error {
		return core.Errorf(core.NotFound, "there is nothing at %s", c.Request().URL.Path)
	})
	e.RouteNotFound(prefix, unknown)
	e.RouteNotFound(prefix+"/*", unknown)

	a.mountSessions(e)
	mount(a, e, a.endpoints())
	mount(a, e, a.services())
	a.mountLogs(e)
	mount(a, e, a.filters())
	mount(a, e, a.tokens())
	mount(a, e, a.modules())
	mount(a, e, a.orgs())
	mount(a, e, a.users())
	mount(a, e, a.roles())
	mount(a, e, a.rights())
	a.mountRoleRights(e)
	mount(a, e, a.issuers())
	mount(a, e, a.trusted())
	a.mountExplain(e)
	a.mountFramework(e)
	a.mountApply(e)
}

// verbs are the methods that a path understands.
type verbs map[string]echo.HandlerFunc

// route mounts a path, with and without a slash at its end: clients write
// both, and a redirect would lose the body of a POST.
//
// It mounts the handler for every method that there is, known or not, which
// is what echo calls RouteNotFound; verbs tell the methods apart.
func (a *cloud) route(e *echo.Echo, path string, v verbs) {
	h := a.wrap(v.serve)
	e.RouteNotFound(path, h)
	e.RouteNotFound(path+"/", h)
}

// wrap puts around a handler what every path has in common.
func (a *cloud) wrap(h echo.HandlerFunc) echo.HandlerFunc { return a.answerErrors(a.guard(h)) }

func (v verbs) serve(c echo.Context) error {
	r := c.Request()
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if h, ok := v[method]; ok {
		return h(c)
	}
	c.Response().Header().Set("Allow", v.allow())
	if method == http.MethodOptions {
		return noContent(c)
	}
	return core.Errorf(core.NotAllowed, "%s does not understand %s; use one of %s", r.URL.Path, r.Method, v.allow())
}

func (v verbs) allow() string {
	list := []string{http.MethodOptions}
	for method := range v {
		list = append(list, method)
		if method == http.MethodGet {
			list = append(list, http.MethodHead)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// guard decides who may come in by the path alone, whether it exists or not:
// to log in anybody, to what members may manage every user, to all the rest
// system administrators only.
func (a *cloud) guard(next echo.HandlerFunc) echo.HandlerFunc {
	authenticate, inContext := api.Authenticate(a.Deps), a.inContext(next)
	users, providers := authenticate(inContext), authenticate(api.ProviderOnly()(inContext))
	return func(c echo.Context) error {
		path := c.Request().URL.Path
		switch {
		case c.Request().URL.RawPath != "":
			// The edge leaves one spelling of a path only. Were there two, this
			// guard and the routing could look at different ones.
			return core.Errorf(core.Invalid, "the path is not in its canonical form")
		case isLogin(c.Request().Method, path):
			return next(c)
		case slices.ContainsFunc(membersPaths(), func(p string) bool { return below(path, p) }):
			return users(c)
		}
		return providers(c)
	}
}

func isLogin(method, path string) bool {
	path = strings.TrimSuffix(path, "/")
	return method == http.MethodPost && (path == sessionsPath || path == sessionsPath+"/provider")
}

func below(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}
