// Package oauth speaks the API by which users get API tokens and log in with
// them: everything below /oauth.
package oauth

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
	"github.com/annex-gateway/annex/core/internal/api/version"
)

const prefix = "/oauth"

// maxBody bounds the body of every request: forms hold two tokens at most.
const maxBody = 32 << 10

// server is the API with what it works with.
type server struct{ api.Deps }

// Register mounts everything below /oauth. Paths are /oauth/provider/… for
// members of the organisation System and /oauth/tenant/<organisation>/… for
// all others, with or without a slash at the end.
func Register(e *echo.Echo, d api.Deps) {
	s := &server{d.WithDefaults()}
	h := s.answerErrors(s.serve)
	// RouteNotFound is how echo mounts a handler for every method.
	e.RouteNotFound(prefix, h)
	e.RouteNotFound(prefix+"/*", h)
}

// route splits the path into the organisation and the word behind it.
func route(path string) (org, word string, ok bool) {
	rest, ok := strings.CutPrefix(path, prefix+"/")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	switch {
	case len(parts) == 2 && parts[0] == "provider":
		return core.SystemOrg, parts[1], true
	case len(parts) == 3 && parts[0] == "tenant" && parts[1] != "" && !strings.EqualFold(parts[1], core.SystemOrg):
		return parts[1], parts[2], true
	}
	return "", "", false
}

func (s *server) serve(c echo.Context) error {
	r := c.Request()
	if r.URL.RawPath != "" {
		return core.Errorf(core.Invalid, "the path is not in its canonical form")
	}
	org, word, ok := route(r.URL.Path)
	var handler func(c echo.Context, org string) error
	switch word {
	case "register":
		handler = s.register
	case "token":
		handler = s.token
	}
	if !ok || handler == nil {
		return core.Errorf(core.NotFound, "there is nothing at %s; there are %s/provider/ and %s/tenant/<organisation>/, each with register and token", r.URL.Path, prefix, prefix)
	}
	switch r.Method {
	case http.MethodPost:
		return handler(c, org)
	case http.MethodOptions:
		c.Response().Header().Set("Allow", "OPTIONS, POST")
		c.Response().WriteHeader(http.StatusNoContent)
		return nil
	}
	c.Response().Header().Set("Allow", "OPTIONS, POST")
	return core.Errorf(core.NotAllowed, "%s does not understand %s; use POST", r.URL.Path, r.Method)
}

// answerErrors writes what a handler returns, and logs what is our own fault.
func (s *server) answerErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		id := api.RequestID(c)
		switch core.ErrorCode(err) {
		case core.Internal, core.ReadOnly, core.Unavailable:
			s.Log.ErrorContext(c.Request().Context(), "a call for an API token failed",
				"request_id", id, "method", c.Request().Method, "path", c.Request().URL.Path, "err", err)
		}
		if !c.Response().Committed {
			cloudapi.WriteError(c.Response(), id, err)
		}
		return nil
	}
}

// answer writes v as JSON that nobody may keep.
func answer(c echo.Context, code int, v any) error {
	body, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return core.WrapError(core.Internal, err, "the answer cannot be written")
	}
	h := c.Response().Header()
	h.Set("Content-Type", "application/json;version="+version.Negotiate(c.Request().Header.Values("Accept")))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	c.Response().WriteHeader(code)
	_, _ = c.Response().Write(body) // a client that is gone needs no answer
	return nil
}
