package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/target"
)

const requestIDHeader = "X-Vmware-Vcloud-Request-Id"

// ServeHTTP takes in one request: it gets an id and a canonical path, and goes
// to the gateway's own API or onto the road.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := g.opts.Now()
	id := requestID(r)
	w.Header().Set(requestIDHeader, id)
	rec := &recorder{ResponseWriter: w}
	defer func() {
		if v := recover(); v != nil {
			g.recovered(rec, r, id, v)
		}
		g.log(r, rec, id, g.opts.Now().Sub(begun))
	}()
	m, err := g.message(r, id)
	if err != nil {
		g.writeError(rec, r, rawPath(r), id, err)
		return
	}
	if h := g.mounts[m.Request.Path]; h != nil {
		h.ServeHTTP(rec, r)
		return
	}
	if g.reserved(m.Request.Path) || logout(m.Request) {
		g.serveAdmin(rec, r, m)
		return
	}
	g.serveRoad(rec, r, m)
}

// logout is a reserved call on a path that is not.
func logout(r core.Request) bool {
	return r.Path == "/api/session" && r.Method == http.MethodDelete
}

// recovered keeps a panic from ending more than its own call.
func (g *Gateway) recovered(w *recorder, r *http.Request, id string, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	g.opts.Log.Error("a call panicked", "request_id", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if w.status == 0 {
		g.writeError(w, r, rawPath(r), id, core.Errorf(core.Internal, "internal error; the gateway's log has the details under the request id"))
	}
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
	client := r.Header.Get("X-Vmware-Vcloud-Client-Request-Id")
	if len(client) > 128 {
		client = client[:128]
	}
	ok := client != "" && !strings.ContainsFunc(client, func(c rune) bool {
		return c > 'z' || !(c >= 'a' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == ':')
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
		Proto: r.Proto, Scheme: "http", Host: r.Host,
		Header:  core.HeaderOf(cleaned(r.Header)),
		Upgrade: upgrade(r.Header),
	}
	if r.TLS != nil {
		req.Scheme = "https"
	}
	if u, err := url.Parse(g.opts.PublicURL); err == nil && u.Host != "" {
		req.Scheme, req.Host = u.Scheme, u.Host
	}
	req.RemoteAddr, _ = netip.ParseAddrPort(r.RemoteAddr)
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }); ok {
		req.LocalAddr, _ = netip.ParseAddrPort(a.String())
	}
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		req.Body = core.StreamBody(r.Body, r.ContentLength).WithTrailer(func() http.Header { return r.Trailer })
	}
	return core.Message{ID: id, Request: req}, nil
}

// cleaned drops header fields whose names hold an underscore: some programs
// take x_y for X-Y, and would be told by strangers what only we may say.
func cleaned(h http.Header) http.Header {
	for name := range h {
		if strings.Contains(name, "_") {
			delete(h, name)
		}
	}
	return h
}

// upgrade tells what protocol the client wants to go on in, if we can.
func upgrade(h http.Header) string {
	if !strings.EqualFold(h.Get("Upgrade"), "websocket") {
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

// serveAdmin answers what is the gateway's own.
func (g *Gateway) serveAdmin(w http.ResponseWriter, r *http.Request, m core.Message) {
	edge := api.Edge{ID: m.ID, BaseURL: m.Request.BaseURL(), Request: m.Request}
	r = r.WithContext(api.WithEdge(r.Context(), edge))
	u := *r.URL
	u.Path, u.RawPath, u.RawQuery = m.Request.Path, "", m.Request.RawQuery
	r.URL = &u
	g.admin.ServeHTTP(w, r)
}

// serveRoad leads the call along the road and writes the answer.
func (g *Gateway) serveRoad(w http.ResponseWriter, r *http.Request, m core.Message) {
	answer, done, err := g.road.Serve(r.Context(), m)
	defer done()
	if err != nil {
		g.writeError(w, r, m.Request.Path, m.ID, err)
		return
	}
	if err := write(r.Context(), w, m.Request, *answer.Response); err != nil && r.Context().Err() == nil {
		g.opts.Log.Warn("the answer was cut off", "request_id", m.ID, "err", err)
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
}

// log writes the access log line of a call.
func (g *Gateway) log(r *http.Request, w *recorder, id string, took time.Duration) {
	g.opts.Log.Info("call", "request_id", id, "method", r.Method, "path", rawPath(r), "status", w.status,
		"bytes", w.bytes, "remote", r.RemoteAddr, "took", took)
}
