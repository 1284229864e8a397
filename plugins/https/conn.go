package https

import (
	"context"
	"net/http"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/forward"
)

const identityHeader = "X-Annex-Identity"

// conn is one open endpoint.
type conn struct {
	id     string
	root   rootURL
	signer core.IdentitySigner // nil: no X-Annex-Identity
	server *forward.Server
}

func (k *Kind) newConn(sys core.System, root rootURL) *conn {
	o := &k.opts
	return &conn{id: sys.ID, root: root, server: forward.New("https", root.host, forward.Options{
		Name:        "external endpoint " + sys.Triplet(),
		Closed:      "it was disabled, changed or deleted",
		Authorities: "the trusted certificates of the System organization",
		Trust:       o.Trust.Pool,
		Guard:       o.Guard,
		Resolver:    o.Resolver,
		DialTimeout: o.DialTimeout, AnswerTimeout: o.AnswerTimeout,
		IdleTimeout: o.IdleTimeout, CloseTimeout: o.CloseTimeout,
		MaxInFlight: o.MaxInFlight,
		Log:         k.log,
	})}
}

// Streams reports that Do bounds its waits itself.
func (c *conn) Streams() bool { return true }

// Do sends the request on and answers with what comes back.
func (c *conn) Do(ctx context.Context, m core.Message) (core.Message, error) {
	header, err := c.header(ctx, m)
	if err != nil {
		return m, err
	}
	r, err := c.server.Do(ctx, forward.Request{
		Method: m.Request.Method,
		Path:   c.root.target(m.Route.Tail), Query: m.Request.RawQuery,
		Header: header, Body: m.Request.Body,
		WebSocket: m.Request.Upgrade == "websocket",
	})
	if err != nil {
		return m, err
	}
	return m.Answer(r), nil
}

// header is what the endpoint gets to see, with the gateway's word on who
// calls.
func (c *conn) header(ctx context.Context, m core.Message) (http.Header, error) {
	h, err := forward.Header(m.Request, false)
	if err != nil {
		return nil, err
	}
	forward.Forwarded(h, m.Request, m.Route.Prefix)
	if c.signer == nil || !m.Caller.Known() {
		return h, nil
	}
	token, err := c.signer.SignIdentity(ctx, m.Caller, c.id, m.Route.Tenant)
	if err != nil {
		return nil, core.WrapError(core.ErrorCode(err), err, "%s: who is calling could not be signed, so nothing was sent", c.server.Name())
	}
	h[identityHeader] = []string{token}
	return h, nil
}

// Close lets calls end for a while and cuts the rest, streams and tunnels
// among them.
func (c *conn) Close() error { return c.server.Close() }
