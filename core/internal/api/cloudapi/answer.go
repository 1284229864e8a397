package cloudapi

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/version"
)

// contentType is that of an answer, in the version that the client asked for.
func contentType(c echo.Context) string {
	return "application/json;version=" + version.Negotiate(c.Request().Header.Values("Accept"))
}

// answer writes v as JSON.
func answer(c echo.Context, code int, v any) error {
	body, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return core.WrapError(core.Internal, err, "the answer cannot be written")
	}
	h := c.Response().Header()
	h.Set("Content-Type", contentType(c))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c.Response().WriteHeader(code)
	if c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(body) // a client that is gone needs no answer
	}
	return nil
}

func noContent(c echo.Context) error {
	c.Response().WriteHeader(http.StatusNoContent)
	return nil
}

// decode reads the body of a registration.
func decode[D any](a *cloud, c echo.Context) (D, error) {
	var in D
	r := c.Request()
	if err := api.RequireType(r.Header, "application/json"); err != nil {
		return in, err
	}
	body, err := api.ReadBody(c.Response(), r, a.Limits.Admin)
	if err != nil {
		return in, err
	}
	return in, api.DecodeJSON(body, &in)
}

// reference names an entity.
type reference struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// textOrNull is how an optional text is written: null when there is none.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// or returns what p points to, or otherwise.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
