package https

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

const maxRootURL = 2048

// rootURL is a checked root URL. Its path is kept as it was registered.
type rootURL struct {
	host string // host, and the port unless it is 443, as in a Host header
	name string // host alone, without brackets
	port uint16
	path string // percent-encoded; empty or starting with '/'
}

func parseRootURL(s string) (rootURL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return rootURL{}, core.Errorf(core.Invalid, "rootUrl is missing: give the https URL of the endpoint")
	case len(s) > maxRootURL:
		return rootURL{}, core.Errorf(core.Invalid, "rootUrl: at most %d bytes are allowed", maxRootURL)
	case err != nil:
		return rootURL{}, core.WrapError(core.Invalid, err, "rootUrl is not a URL")
	case u.Scheme != "https":
		return rootURL{}, core.Errorf(core.Invalid, "rootUrl: the scheme %q is not allowed, use https", u.Scheme)
	case u.User != nil:
		return rootURL{}, core.Errorf(core.Invalid, "rootUrl: a user name or password in it is not allowed")
	case strings.ContainsAny(s, "?#"):
		return rootURL{}, core.Errorf(core.Invalid, "rootUrl: a query or fragment is not allowed")
	case u.Opaque != "" || u.Host == "":
		return rootURL{}, core.Errorf(core.Invalid, "rootUrl: the host is missing, as in https://host/path")
	}
	r := rootURL{name: strings.ToLower(u.Hostname()), path: rawPath(s)}
	for _, check := range []func(*url.URL) error{r.setPort, r.checkName, r.checkPath} {
		if err := check(u); err != nil {
			return rootURL{}, err
		}
	}
	r.host = r.name
	if strings.Contains(r.name, ":") {
		r.host = "[" + r.name + "]"
	}
	if r.port != 443 {
		r.host += ":" + strconv.Itoa(int(r.port))
	}
	return r, nil
}

// rawPath is what follows the host in s, byte for byte.
func rawPath(s string) string {
	_, rest, _ := strings.Cut(s, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return ""
}

func (r *rootURL) setPort(u *url.URL) error {
	p := u.Port()
	if p == "" && !strings.HasSuffix(u.Host, ":") {
		r.port = 443
		return nil
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return core.Errorf(core.Invalid, "rootUrl: port %q is not between 1 and 65535", p)
	}
	r.port = uint16(n)
	return nil
}

func (r *rootURL) checkName(*url.URL) error {
	if strings.Contains(r.name, ":") {
		if a, err := netip.ParseAddr(r.name); err != nil || a.Zone() != "" {
			return core.Errorf(core.Invalid, "rootUrl: %q is not an IPv6 address without zone", r.name)
		}
		return nil
	}
	if _, err := netip.ParseAddr(r.name); err == nil {
		return nil
	}
	labels := strings.Split(strings.TrimSuffix(r.name, "."), ".")
	for _, l := range labels {
		if !validLabel(l) {
			return core.Errorf(core.Invalid, "rootUrl: %q is not a host name; letters, digits, '-', '_' and '.' are allowed, and other scripts in their xn-- form", r.name)
		}
	}
	// 127.1, 2130706433 and 0x7f.1 are addresses to some and names to others.
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
			return core.Errorf(core.Invalid, "rootUrl: %q is neither a host name nor a plain IPv4 address", r.name)
		}
	}
	if len(r.name) > 253 {
		return core.Errorf(core.Invalid, "rootUrl: the host name is longer than 253 bytes")
	}
	return nil
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 {
		return false
	}
	for _, b := range []byte(l) {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return true
}

func (r *rootURL) checkPath(u *url.URL) error {
	for i := range len(r.path) {
		if b := r.path[i]; b <= ' ' || b >= 0x7f || strings.IndexByte("\"<>\\^`{|}", b) >= 0 {
			return core.Errorf(core.Invalid, "rootUrl: the byte %q in the path must be percent-encoded", string(rune(b)))
		}
	}
	if strings.Contains(r.path, "//") {
		return core.Errorf(core.Invalid, "rootUrl: the path holds an empty segment")
	}
	for seg := range strings.SplitSeq(u.Path, "/") {
		if seg == "." || seg == ".." {
			return core.Errorf(core.Invalid, "rootUrl: the segments '.' and '..' are not allowed in the path")
		}
	}
	return nil
}

// addr is the address that the host stands for without being looked up.
func (r *rootURL) addr() (netip.Addr, bool) {
	if a, err := netip.ParseAddr(r.name); err == nil {
		return a, true
	}
	if name := strings.TrimSuffix(r.name, "."); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	return netip.Addr{}, false
}

// target is the path on the wire for a tail: the root's path as it was
// registered, then the tail as it was sent, with one slash between the two.
func (r *rootURL) target(tail string) string {
	switch {
	case tail != "":
		return strings.TrimSuffix(r.path, "/") + "/" + strings.TrimPrefix(tail, "/")
	case r.path == "":
		return "/"
	}
	return r.path
}
