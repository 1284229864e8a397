package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
)

// livez says that the process answers.
func (g *Gateway) livez(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// readyz says whether calls should be sent here.
func (g *Gateway) readyz(c echo.Context) error {
	if err := g.ready(); err != nil {
		return c.String(http.StatusServiceUnavailable, core.ErrorMessage(err)+"\n")
	}
	return c.String(http.StatusOK, "ok\n")
}

// ready tells why the gateway should get no calls, or nil.
func (g *Gateway) ready() error {
	if g.stopping.Load() {
		return core.Errorf(core.Unavailable, "stopping")
	}
	if err := g.live.Err(); err != nil {
		return core.WrapError(core.Unavailable, err, "the store cannot be followed")
	}
	for _, k := range g.kinds {
		if p, ok := k.(core.Prober); ok {
			if err := p.Ready(); err != nil {
				return core.WrapError(core.Unavailable, err, "%s is not ready", k.Name())
			}
		}
	}
	return nil
}
