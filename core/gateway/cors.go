package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// exposed are the fields of answers that pages of other origins may read.
const exposed = "X-VMWARE-VCLOUD-ACCESS-TOKEN, X-VMWARE-VCLOUD-TOKEN-TYPE, X-VMWARE-VCLOUD-REQUEST-ID, Link, Location, ETag, WWW-Authenticate"

func (c CORS) on() bool { return len(c.Origins) > 0 }

func (c CORS) check() error {
	for _, o := range c.Origins {
		if o == "*" {
			if c.Credentials {
				return core.Errorf(core.Invalid, "CORS: calls with credentials need origins by name, not \"*\"")
			}
			continue
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != o {
			return core.Errorf(core.Invalid, "CORS: the origin %q is not of the form \"https://host:port\"", o)
		}
	}
	return nil
}

func (c CORS) allows(origin string) bool {
	return slices.ContainsFunc(c.Origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) })
}

// cors puts into the answer what the browser must know, and answers a
// preflight whole. A preflight holds no credential, so it comes before the
// question who calls.
func (g *Gateway) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	c := g.opts.CORS
	if !c.on() {
		return false
	}
	h := w.Header()
	h.Set("Vary", "Origin")
	origin := r.Header["Origin"]
	if len(origin) != 1 || !c.allows(origin[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin[0])
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		h.Set("Access-Control-Expose-Headers", exposed)
		return false
	}
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	if isToken(method) {
		h.Set("Access-Control-Allow-Methods", method)
	}
	if names := tokens(r.Header["Access-Control-Request-Headers"]); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge.Seconds())))
	w.WriteHeader(http.StatusNoContent)
	return true
}

// tokens gives back the names of a list that are names.
func tokens(values []string) string {
	return strings.Join(slices.DeleteFunc(listOf(values), func(s string) bool { return !isToken(s) }), ", ")
}

func isToken(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
