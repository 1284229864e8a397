package forward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// answer checks what came back and makes the response of it. It ends the
// exchange when there is no body to wait for.
func (x *exchange) answer(whole context.Context, req *http.Request, resp *http.Response) (core.Response, error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return x.upgraded(whole, req, resp)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return core.Response{}, core.Errorf(core.BadUpstream, "%s answered with status %d, which no answer can have", x.server.opts.Name, resp.StatusCode)
	}
	if err := x.cleanHeader(resp.Header); err != nil {
		return core.Response{}, err
	}
	r := core.Response{Status: resp.StatusCode, Header: core.HeaderOf(resp.Header)}
	if bodiless(req, resp) {
		x.end()
		_ = resp.Body.Close()
		return r, nil
	}
	d := &download{x: x, body: resp.Body}
	r.Body = core.StreamBody(d, resp.ContentLength).WithTrailer(func() http.Header { return cleanTrailer(resp.Trailer) })
	return r, nil
}

func bodiless(req *http.Request, resp *http.Response) bool {
	return resp.Body == http.NoBody || resp.ContentLength == 0 || req.Method == http.MethodHead ||
		resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
}

// upgraded makes the tunnel of a 101.
func (x *exchange) upgraded(whole context.Context, req *http.Request, resp *http.Response) (core.Response, error) {
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	asked := req.Header.Get("Upgrade") == websocket
	if !ok || !asked || !strings.EqualFold(resp.Header.Get("Upgrade"), websocket) {
		return core.Response{}, core.Errorf(core.BadUpstream, "%s changed to a protocol that nobody asked for", x.server.opts.Name)
	}
	if err := x.cleanHeader(resp.Header); err != nil {
		return core.Response{}, err
	}
	resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{websocket}
	// From a 101 on, net/http no longer looks at the context.
	context.AfterFunc(whole, func() { _ = rwc.Close() })
	x.receiving.start()
	return core.Response{Status: resp.StatusCode, Header: core.HeaderOf(resp.Header), Upgraded: &tunnel{x: x, rwc: rwc}}, nil
}

// cleanHeader removes from an answer what belongs to the connection or could
// pass for the gateway's own word. Content-Length stays: it is all that an
// answer to HEAD has.
func (x *exchange) cleanHeader(h http.Header) error {
	named := connectionNames(h["Connection"])
	for name, values := range h {
		if keptFromClient(name) || named[name] {
			delete(h, name)
			continue
		}
		if malformed(name, values) {
			return core.Errorf(core.BadUpstream, "%s answered with a malformed header field", x.server.opts.Name)
		}
	}
	return nil
}

func keptFromClient(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	switch name {
	case "Content-Length":
		return false
	case "Set-Cookie", "Set-Cookie2", "Alt-Svc": // the last one leads around the gateway
		return true
	}
	return IsCredential(name) || connectionField(name) || strings.HasPrefix(name, "X-Annex-")
}

func malformed(name string, values []string) bool {
	return !IsToken(name) || slices.ContainsFunc(values, func(v string) bool { return !IsValue(v) })
}

func cleanTrailer(t http.Header) http.Header {
	if len(t) == 0 {
		return nil
	}
	kept := make(http.Header, len(t))
	for name, values := range t {
		if name != "Content-Length" && !keptFromClient(name) && !malformed(name, values) {
			kept[name] = values
		}
	}
	return kept
}

// download is the body of an answer. One goroutine reads it; any may close it.
type download struct {
	x    *exchange
	body io.ReadCloser
}

// Read gives what has arrived as soon as it has.
func (d *download) Read(p []byte) (int, error) {
	d.x.receiving.start()
	n, err := d.body.Read(p)
	d.x.receiving.stop()
	if err == nil {
		return n, nil
	}
	// A server that sees us leave may still end its answer in good order.
	// What we cut is not complete, whatever it looks like.
	if !errors.Is(err, io.EOF) || d.x.why.Load() != nil {
		err = d.x.failure(err)
	}
	d.x.end()
	return n, err
}

// Close ends the exchange, whatever is still to come.
func (d *download) Close() error {
	if !d.x.ended.Load() {
		d.x.abort(core.Errorf(core.Unavailable, "the answer of %s was not wanted to its end", d.x.server.opts.Name))
		d.x.end()
	}
	return d.body.Close()
}

// tunnel is a WebSocket past its handshake.
type tunnel struct {
	x   *exchange
	rwc io.ReadWriteCloser
}

// Read reads what the server sends.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.rwc.Read(p)
	return n, t.moved(n, err)
}

// Write sends to the server.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.rwc.Write(p)
	return n, t.moved(n, err)
}

func (t *tunnel) moved(n int, err error) error {
	if n > 0 {
		t.x.receiving.touch()
	}
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return t.x.failure(err)
}

// Close ends the tunnel.
func (t *tunnel) Close() error {
	t.x.end()
	_ = t.rwc.Close() // closed already, perhaps, by the end of the context
	return nil
}
