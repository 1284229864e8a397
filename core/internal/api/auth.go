package api

import (
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
)

// Authenticate finds out who calls and puts the caller into the request's
// context. It fails with Unauthenticated; the API outside it writes the error.
func Authenticate(d Deps) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			caller, err := d.Identity.Identify(r.Context(), EdgeOf(r.Context()).Request)
			if err != nil {
				return err
			}
			if !caller.Known() {
				return core.Errorf(core.Unauthenticated, "this call needs a login: send the header Authorization: Bearer <token>")
			}
			c.SetRequest(r.WithContext(WithCaller(r.Context(), caller)))
			return next(c)
		}
	}
}

// ProviderOnly lets system administrators through and refuses everybody else
// with Forbidden. It stands in front of the routing, so that nobody else can
// tell a path that exists from one that does not.
func ProviderOnly() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !Caller(c).Provider() {
				return core.Errorf(core.Forbidden, "only system administrators may do this: log in as a member of the organisation %s", core.SystemOrg)
			}
			return next(c)
		}
	}
}
