package upstream

import (
	"net/url"
	"strings"
)

// location gives the address by which a client of base reaches what v leads
// to. What does not lead below this server's URL stays as it is.
func (u *Upstream) location(v, base string) string {
	p, err := url.Parse(v)
	if err != nil || p.Opaque != "" || p.User != nil {
		return v
	}
	rest := v // from the path on
	switch {
	case p.Host != "":
		if !u.isOrigin(p) {
			return v
		}
		rest = pathOf(v)
	case p.Scheme != "" || !strings.HasPrefix(v, "/") || u.prefix == "":
		return v
	}
	rest, ok := strings.CutPrefix(rest, u.prefix)
	switch {
	case !ok:
		return v
	case strings.HasPrefix(rest, "/"):
		return base + rest
	case rest == "" || rest[0] == '?' || rest[0] == '#':
		return base + "/" + rest
	}
	return v
}

// isOrigin reports whether p, which has a host, is at this server. Without a
// scheme it has the one by which it was got.
func (u *Upstream) isOrigin(p *url.URL) bool {
	return (p.Scheme == "" || p.Scheme == u.scheme) && strings.EqualFold(p.Hostname(), u.host) && portOf(u.scheme, p.Port()) == u.port
}

// pathOf is what follows the host in v, byte for byte.
func pathOf(v string) string {
	_, rest, _ := strings.Cut(v, "//")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[i:]
	}
	return ""
}
