// Package upstream is the API that is being extended, when it is another
// server's: a call goes there as the client sent it, streaming both ways, and
// comes back as the server answered.
//
// The server sees its own host in the Host field; who called the gateway, by
// what name and scheme, stands in X-Forwarded-For, -Host and -Proto. What a
// client says in these itself is thrown away: the gateway has put what it
// believes of it into the request. The path is the canonical one, as it is
// written on the wire, behind the path of the configured URL; the query is
// passed byte for byte.
//
// Location and Content-Location fields that lead to the server's own origin
// are rewritten to the gateway's address as the client reaches it. Bodies are
// not: a server that writes addresses into them should make them of the
// X-Forwarded fields, or relative.
//
// Answers lose Set-Cookie, Authorization and Alt-Svc fields, and the challenge
// in WWW-Authenticate unless callers log in there themselves.
package upstream

import (
	"context"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/forward"
	"github.com/annex-gateway/annex/core/internal/target"
)

// Options are what can be set beside the URL; the zero Options works.
type Options struct {
	// Credentials say on whose behalf the upstream is called; by default on
	// nobody's.
	Credentials Credentials
	// Server are trust, limits and the like. Name is set here.
	Server forward.Options
}

// Upstream is a configured server as a core.Conn.
type Upstream struct {
	scheme, host, port string // host as in a URL, in lower case
	prefix             string // path of the URL, percent-encoded, without a slash at its end
	credentials        Credentials
	server             *forward.Server
}

var (
	_ core.Conn     = (*Upstream)(nil)
	_ core.Streamer = (*Upstream)(nil)
	_ core.Prober   = (*Upstream)(nil)
)

// New makes an Upstream of the URL that its paths are appended to, such as
// "https://api.internal:8443/v1". It does not dial.
func New(base string, opts Options) (*Upstream, error) {
	u, err := parse(base)
	if err != nil {
		return nil, err
	}
	if u.credentials, err = opts.Credentials.checked(base); err != nil {
		return nil, err
	}
	opts.Server.Name = "the upstream API"
	u.server = forward.New(u.scheme, u.authority(), opts.Server)
	return u, nil
}

func parse(base string) (*Upstream, error) {
	p, err := url.Parse(base)
	switch {
	case base == "":
		return nil, core.Errorf(core.Invalid, "the upstream's URL is missing: give one such as https://api.example.com/v1")
	case err != nil:
		return nil, core.WrapError(core.Invalid, err, "the upstream's URL is not a URL such as https://api.example.com/v1")
	case p.Scheme != "http" && p.Scheme != "https":
		return nil, core.Errorf(core.Invalid, "the upstream's URL: the scheme %q is not allowed, use https or http", p.Scheme)
	case p.User != nil:
		return nil, core.Errorf(core.Invalid, "the upstream's URL: a user name or password in it is not allowed; credentials are set on their own")
	case strings.ContainsAny(base, "?#"):
		return nil, core.Errorf(core.Invalid, "the upstream's URL: a query or fragment is not allowed")
	case p.Opaque != "" || p.Hostname() == "":
		return nil, core.Errorf(core.Invalid, "the upstream's URL: the host is missing, as in https://host/path")
	case !isHost(p.Hostname()):
		return nil, core.Errorf(core.Invalid, "the upstream's URL: %q is neither a host name nor an address; other scripts go in their xn-- form", p.Hostname())
	}
	u := &Upstream{scheme: p.Scheme, host: strings.ToLower(p.Hostname()), port: portOf(p.Scheme, p.Port())}
	if n, err := strconv.ParseUint(u.port, 10, 16); err != nil || n == 0 {
		return nil, core.Errorf(core.Invalid, "the upstream's URL: port %q is not between 1 and 65535", u.port)
	}
	if path := p.EscapedPath(); path != "" {
		t, err := target.Parse(path, "")
		if err != nil {
			return nil, core.WrapError(core.Invalid, err, "the upstream's URL: its path cannot be used: %s", core.ErrorMessage(err))
		}
		u.prefix = strings.TrimSuffix(t.RawPath, "/")
	}
	return u, nil
}

func portOf(scheme, port string) string {
	switch {
	case port != "":
		return port
	case scheme == "https":
		return "443"
	}
	return "80"
}

func isHost(name string) bool {
	if strings.Contains(name, ":") {
		a, err := netip.ParseAddr(name)
		return err == nil && a.Zone() == ""
	}
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' && b != '.' {
			return false
		}
	}
	return true
}

// authority is the host as in a Host field: without the scheme's own port.
func (u *Upstream) authority() string {
	host := u.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.port != portOf(u.scheme, "") {
		host += ":" + u.port
	}
	return host
}

// Do sends the request on and answers with what comes back.
func (u *Upstream) Do(ctx context.Context, m core.Message) (core.Message, error) {
	header, err := forward.Header(m.Request, u.credentials.Mode == Pass)
	if err != nil {
		return m, err
	}
	forward.Forwarded(header, m.Request, "")
	if err := u.credentials.put(ctx, header, m.Caller); err != nil {
		return m, err
	}
	r, err := u.server.Do(ctx, forward.Request{
		Method: m.Request.Method,
		Path:   u.prefix + m.Request.RawPath, Query: m.Request.RawQuery,
		Header: header, Body: m.Request.Body,
		WebSocket: m.Request.Upgrade == "websocket",
	})
	if err != nil {
		return m, err
	}
	if u.credentials.Mode != Pass {
		r.Header = r.Header.Without("Www-Authenticate")
	}
	for _, name := range []string{"Location", "Content-Location"} {
		if was := r.Header.Get(name); was != "" {
			if is := u.location(was, m.Request.BaseURL()); is != was {
				r.Header = r.Header.With(name, is)
			}
		}
	}
	return m.Answer(r), nil
}

// Streams tells that a body may take its time.
func (u *Upstream) Streams() bool { return true }

// Ready returns nil, or why the server could not be reached when that was
// last tried.
func (u *Upstream) Ready() error { return u.server.Ready() }

// Close lets calls end for a while and cuts the rest.
func (u *Upstream) Close() error { return u.server.Close() }
