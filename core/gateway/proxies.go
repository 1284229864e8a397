package gateway

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// forwarded is what a proxy says of the request that it was sent.
type forwarded struct {
	hops        []string // addresses, the client's own first
	proto, host []string // one for each hop, or fewer
}

// believe cleans the header, and takes over what trusted proxies say in it of
// the client.
func (g *Gateway) believe(req *core.Request, h http.Header) {
	trusted := g.trusted(req.RemoteAddr.Addr())
	if said := clean(h, trusted); trusted {
		g.adopt(req, said)
	}
}

func (g *Gateway) adopt(req *core.Request, said forwarded) {
	depth := 0 // trusted proxies between the client and the one that connected
	for depth < len(said.hops) {
		addr, ok := hopAddr(said.hops[len(said.hops)-1-depth])
		if !ok {
			break
		}
		req.RemoteAddr = addr
		if !g.trusted(addr.Addr()) {
			break
		}
		depth++
	}
	if proto := strings.ToLower(at(said.proto, depth)); proto == "http" || proto == "https" {
		req.Scheme = proto
	}
	if host := at(said.host, depth); validHost(host) {
		req.Host = host
	}
}

func (g *Gateway) trusted(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range g.opts.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// at gives the value that was written depth proxies ago, or the first there is.
func at(values []string, depth int) string {
	if len(values) == 0 {
		return ""
	}
	return values[max(0, len(values)-1-depth)]
}

// readForwarded reads the X-Forwarded fields, or else the standard one.
func readForwarded(h http.Header) forwarded {
	f := forwarded{listOf(h["X-Forwarded-For"]), listOf(h["X-Forwarded-Proto"]), listOf(h["X-Forwarded-Host"])}
	if len(f.hops)+len(f.proto)+len(f.host) > 0 {
		return f
	}
	for _, element := range listOf(h["Forwarded"]) {
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "for":
				f.hops = append(f.hops, value)
			case "proto":
				f.proto = append(f.proto, value)
			case "host":
				f.host = append(f.host, value)
			}
		}
	}
	return f
}

func listOf(values []string) []string {
	var all []string
	for _, v := range values {
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

// hopAddr reads an address with or without port, as proxies write it.
func hopAddr(s string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return netip.AddrPortFrom(a.Unmap(), 0), err == nil
}

// validHost reports whether s may stand in a URL as host and port.
func validHost(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(".-_:[]", r)
	})
}

// clean drops header fields that nobody behind the gateway may get from a
// client: those whose name holds an underscore, which some programs take for
// a hyphen; those that only the gateway may set; those that the client itself
// declares to be the connection's; and what proxies say, which is given back
// if it is wanted.
func clean(h http.Header, wanted bool) (said forwarded) {
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			switch name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name {
			case "Upgrade", "Te", "Close", "Keep-Alive", "Connection":
			default:
				delete(h, name)
			}
		}
	}
	if wanted {
		said = readForwarded(h)
	}
	for name := range h {
		if notForServers(name) {
			delete(h, name)
		}
	}
	if h["Upgrade"] != nil && upgrade(h) == "" {
		delete(h, "Upgrade")
	}
	return said
}

func notForServers(name string) bool {
	switch name {
	case "Proxy", "Proxy-Authorization", "Proxy-Connection", "Http2-Settings", "Keep-Alive", "Forwarded", "X-Real-Ip":
		return true
	}
	return strings.IndexByte(name, '_') >= 0 || strings.HasPrefix(name, "X-Annex-") || strings.HasPrefix(name, "X-Forwarded")
}
