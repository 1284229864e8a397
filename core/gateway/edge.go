package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/target"
	"github.com/annex-gateway/annex/core/internal/telemetry"
)

const (
	requestIDHeader = "X-Vmware-Vcloud-Request-Id"
	clientIDHeader  = "X-Vmware-Vcloud-Client-Request-Id"
)

// exchange is one request with its answer, at the edge.
type exchange struct {
	g      *Gateway
	w      recorder
	r      *http.Request
	body   *clientBody // nil: there is none
	report telemetry.Call
}

// ServeHTTP takes in one request: it gets an id and a canonical path, and goes
// to the gateway's own API or onto the road.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := g.begin(w, r)
	defer x.end()
	m, err := g.message(x.r, x.report.ID)
	if err != nil {
		x.writeError(rawPath(x.r), err)
		return
	}
	x.report.Path, x.report.Remote = m.Request.Path, m.Request.RemoteAddr.Addr()
	if x.body != nil {
		m.Request.Body = core.StreamBody(x.body, x.r.ContentLength).WithTrailer(func() http.Header { return x.r.Trailer })
	}
	switch handler := g.mounts[m.Request.Path]; {
	case g.cors(&x.w, x.r):
	case handler != nil:
		handler.ServeHTTP(&x.w, x.r)
	case g.reserved(m.Request.Path) || logout(m.Request):
		x.serveAdmin(m)
	default:
		x.serveRoad(m)
	}
}

// begin puts limits and a report around the exchange.
func (g *Gateway) begin(w http.ResponseWriter, r *http.Request) *exchange {
	rc := http.NewResponseController(w)
	x := &exchange{g: g, w: recorder{ResponseWriter: w, rc: rc, idle: g.opts.Limits.WriteIdle, overdue: r.ProtoMajor == 1}}
	x.report = telemetry.Call{ID: requestID(r), Method: r.Method, Proto: r.Proto, Path: rawPath(r)}
	w.Header()[requestIDHeader] = []string{x.report.ID}
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// It may have had a Content-Length too, which net/http takes away without
		// a word. Whoever stands in front may have believed that.
		w.Header().Set("Connection", "close")
	}
	ctx := g.telemetry.Begin(r.Context(), &x.report, r.Header)
	body := r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
	if x.r = r; body || ctx != r.Context() {
		x.r = r.WithContext(ctx)
	}
	if body {
		x.w.renew() // whoever reads it may make net/http ask for it
		x.body = &clientBody{body: r.Body, rc: rc, idle: g.opts.Limits.BodyIdle, size: r.ContentLength}
		x.r.Body = x.body
	}
	return x
}

// end keeps a panic from ending more than its own call, and reports the call.
func (x *exchange) end() {
	v := recover()
	cut, ok := v.(error)
	abort := ok && errors.Is(cut, http.ErrAbortHandler)
	if v != nil && !abort {
		x.g.opts.Log.Error("a call panicked", "request_id", x.report.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		if x.w.status == 0 {
			x.writeError(rawPath(x.r), core.Errorf(core.Internal, "internal error; the gateway's log has the details under the request id"))
		} else {
			abort = true
		}
	}
	x.body.finish(x.r.ProtoMajor == 1)
	x.w.finish()
	x.report.Status, x.report.Bytes = x.w.status, x.w.bytes
	x.g.telemetry.End(&x.report)
	if log := x.g.opts.Log; log.Enabled(x.r.Context(), slog.LevelDebug) {
		log.Debug("call", "request_id", x.report.ID, "method", x.report.Method, "path", x.report.Path, "status", x.w.status)
	}
	if abort {
		panic(http.ErrAbortHandler) // the client must not take its answer for whole
	}
}

// logout is a reserved call on a path that is not.
func logout(r core.Request) bool {
	return r.Path == "/api/session" && r.Method == http.MethodDelete
}

// rawPath is the path of a request that could not be read, good enough to
// choose the form of an error.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if i := strings.Index(path, "://"); i > 0 { // absolute form
		_, path, _ = strings.Cut(path[i+3:], "/")
		path = "/" + path
	}
	return path
}

// requestID follows the product's rule: the first 128 characters of the
// client's own id, a hyphen and a random UUID; only a UUID when there is none
// or it cannot be used.
func requestID(r *http.Request) string {
	all := r.Header[clientIDHeader]
	if len(all) == 0 {
		return core.NewUUID()
	}
	client := all[0]
	if len(client) > 128 {
		client = client[:128]
	}
	ok := client != "" && !strings.ContainsFunc(client, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:", c)
	})
	if !ok {
		return core.NewUUID()
	}
	return client + "-" + core.NewUUID()
}

// message reads the request into the form that travels.
func (g *Gateway) message(r *http.Request, id string) (core.Message, error) {
	if err := target.CheckMethod(r.Method); err != nil {
		return core.Message{}, err
	}
	t, err := target.Parse(r.RequestURI, r.Host)
	if err != nil {
		return core.Message{}, err
	}
	req := core.Request{
		Method: r.Method, Path: t.Path, RawPath: t.RawPath, RawQuery: t.RawQuery,
		Proto: r.Proto, Scheme: "http", Host: r.Host, Upgrade: upgrade(r.Header),
	}
	if r.TLS != nil {
		req.Scheme = "https"
	}
	req.RemoteAddr, _ = netip.ParseAddrPort(r.RemoteAddr)
	req.RemoteAddr = netip.AddrPortFrom(req.RemoteAddr.Addr().Unmap(), req.RemoteAddr.Port())
	switch a := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		req.LocalAddr = a.AddrPort()
		req.LocalAddr = netip.AddrPortFrom(req.LocalAddr.Addr().Unmap(), req.LocalAddr.Port())
	case net.Addr:
		req.LocalAddr, _ = netip.ParseAddrPort(a.String())
	}
	g.believe(&req, r.Header)
	if g.public != nil {
		req.Scheme, req.Host = g.public.Scheme, g.public.Host
	}
	req.Header = core.HeaderOf(r.Header)
	return core.Message{ID: id, Request: req}, nil
}

// upgrade tells what protocol the client wants to go on in, if we can.
func upgrade(h http.Header) string {
	if to := h["Upgrade"]; len(to) == 0 || !strings.EqualFold(to[0], "websocket") {
		return ""
	}
	for _, v := range h.Values("Connection") {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return "websocket"
			}
		}
	}
	return ""
}

// moduleTime is how much longer a module may take than any other body of an
// administrative call.
const moduleTime = 10

// serveAdmin answers what is the gateway's own.
func (x *exchange) serveAdmin(m core.Message) {
	if x.body != nil {
		limit := x.g.opts.Limits.AdminTime
		if strings.HasPrefix(m.Request.Path, "/cloudapi/extensions/modules") {
			limit *= moduleTime
		}
		x.body.bound(time.Now().Add(limit))
	}
	edge := api.Edge{ID: m.ID, BaseURL: m.Request.BaseURL(), Request: m.Request}
	r := x.r.WithContext(api.WithEdge(x.r.Context(), edge))
	u := *r.URL
	u.Path, u.RawPath, u.RawQuery = m.Request.Path, "", m.Request.RawQuery
	r.URL = &u
	x.g.admin.ServeHTTP(&x.w, r)
}

// overlap lets an answer begin before its request has ended: by itself
// net/http would throw away what it still finds of the body. The connection
// ends with such an answer, for what follows may be the rest of it.
func (x *exchange) overlap() {
	if x.r.ProtoMajor == 1 && !x.body.read() {
		_ = x.w.rc.EnableFullDuplex()
		x.w.Header().Set("Connection", "close")
	}
}

// serveRoad leads the call along the road and writes the answer.
func (x *exchange) serveRoad(m core.Message) {
	g, ctx := x.g, x.r.Context()
	answer, done, err := g.road.Serve(ctx, m)
	defer done()
	x.report.User, x.report.Org = answer.Caller.UserName, answer.Caller.OrgName
	if err = x.body.blame(err); err != nil {
		x.writeError(m.Request.Path, err)
		return
	}
	x.overlap()
	resp := *answer.Response
	if resp.Upgraded != nil || resp.Body.Size() < 0 {
		var end func()
		ctx, end = g.long.begin(ctx, answer.Caller)
		defer end()
	}
	if err := write(ctx, &x.w, m.Request, resp); err != nil {
		if x.r.Context().Err() == nil {
			g.opts.Log.Warn("the answer was cut off", "request_id", m.ID, "err", err)
		}
		if resp.Upgraded == nil {
			panic(http.ErrAbortHandler) // the client must not take it for whole
		}
	}
}
