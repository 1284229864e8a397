package api

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
)

// Edge is what the gateway's edge found out about a request before routing
// it: handlers read it instead of the raw HTTP request.
type Edge struct {
	ID      string       // of the request, as answers and the log show it
	BaseURL string       // the gateway's address as this client reaches it, without trailing slash
	Request core.Request // canonical path, client address behind trusted proxies
}

type (
	edgeKey   struct{}
	callerKey struct{}
)

// WithEdge puts e into the context of a request.
func WithEdge(ctx context.Context, e Edge) context.Context {
	return context.WithValue(ctx, edgeKey{}, e)
}

// EdgeOf returns what WithEdge put there, or the zero Edge.
func EdgeOf(ctx context.Context) Edge {
	e, _ := ctx.Value(edgeKey{}).(Edge)
	return e
}

// WithCaller puts the caller into the context of a request, as Authenticate
// does.
func WithCaller(ctx context.Context, c core.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns what WithCaller put there, or nobody.
func CallerOf(ctx context.Context) core.Caller {
	c, _ := ctx.Value(callerKey{}).(core.Caller)
	return c
}

// RequestID returns the id of the request.
func RequestID(c echo.Context) string { return EdgeOf(c.Request().Context()).ID }

// BaseURL returns the gateway's address as the client reaches it.
func BaseURL(c echo.Context) string { return EdgeOf(c.Request().Context()).BaseURL }

// Caller returns who makes the request; nobody in front of Authenticate.
func Caller(c echo.Context) core.Caller { return CallerOf(c.Request().Context()) }
