package gateway

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestOnlyTrustedProxiesAreBelieved(t *testing.T) {
	g := &Gateway{opts: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}}
	const far, proxy = "203.0.113.9:1", "10.0.0.1:1"
	for name, tc := range map[string]struct {
		remote string
		header http.Header
		want   string // address, scheme and host
	}{
		"nothing is said":                         {proxy, http.Header{}, "10.0.0.1 http gw"},
		"a client speaks of itself":               {far, http.Header{"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"}, "Forwarded": {"for=1.2.3.4"}}, "203.0.113.9 http gw"},
		"a proxy speaks of a client":              {proxy, http.Header{"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"api.example"}}, "1.2.3.4 https api.example"},
		"a proxy with an IPv4 address in an IPv6": {"[::ffff:10.0.0.1]:1", http.Header{"X-Forwarded-For": {"1.2.3.4"}}, "1.2.3.4 http gw"},
		"a proxy with an IPv6 address":            {"[2001:db8::1]:1", http.Header{"X-Forwarded-For": {"[2001:db9::2]:99"}}, "2001:db9::2 http gw"},
		"what a client put in front":              {proxy, http.Header{"X-Forwarded-For": {"6.6.6.6, 1.2.3.4"}}, "1.2.3.4 http gw"},
		"in a field of its own":                   {proxy, http.Header{"X-Forwarded-For": {"6.6.6.6", "1.2.3.4"}}, "1.2.3.4 http gw"},
		"two proxies":                             {proxy, http.Header{"X-Forwarded-For": {"6.6.6.6, 1.2.3.4, 10.0.0.2"}}, "1.2.3.4 http gw"},
		"two that each tell":                      {proxy, http.Header{"X-Forwarded-For": {"1.2.3.4, 10.0.0.2"}, "X-Forwarded-Proto": {"https, http"}, "X-Forwarded-Host": {"api.example, inner"}}, "1.2.3.4 https api.example"},
		"proxies only":                            {proxy, http.Header{"X-Forwarded-For": {"10.0.0.3, 10.0.0.2"}}, "10.0.0.3 http gw"},
		"no address":                              {proxy, http.Header{"X-Forwarded-For": {"unknown"}, "X-Forwarded-Proto": {"https"}}, "10.0.0.1 https gw"},
		"no address behind a proxy":               {proxy, http.Header{"X-Forwarded-For": {"<script>, 10.0.0.2"}}, "10.0.0.2 http gw"},
		"an address with a zone":                  {proxy, http.Header{"X-Forwarded-For": {"fe80::1%eth0"}}, "fe80::1%eth0 http gw"},
		"a scheme that there is not":              {proxy, http.Header{"X-Forwarded-Proto": {"gopher"}}, "10.0.0.1 http gw"},
		"a scheme in capitals":                    {proxy, http.Header{"X-Forwarded-Proto": {"HTTPS"}}, "10.0.0.1 https gw"},
		"a host that is none":                     {proxy, http.Header{"X-Forwarded-Host": {"a/b?<"}}, "10.0.0.1 http gw"},
		"a host with a port":                      {proxy, http.Header{"X-Forwarded-Host": {"[::1]:8443"}}, "10.0.0.1 http [::1]:8443"},
		"the standard field":                      {proxy, http.Header{"Forwarded": {`for="[2001:db9::2]:4711";Proto=https;HOST="api.example:8443"`}}, "2001:db9::2 https api.example:8443"},
		"the standard field of two":               {proxy, http.Header{"Forwarded": {"for=6.6.6.6, for=1.2.3.4;proto=https, for=10.0.0.2"}}, "1.2.3.4 https gw"},
		"both: the older counts":                  {proxy, http.Header{"Forwarded": {"for=6.6.6.6"}, "X-Forwarded-For": {"1.2.3.4"}}, "1.2.3.4 http gw"},
		"an address of somebody's":                {proxy, http.Header{"X-Real-Ip": {"6.6.6.6"}}, "10.0.0.1 http gw"},
	} {
		t.Run(name, func(t *testing.T) {
			req := core.Request{Scheme: "http", Host: "gw", RemoteAddr: netip.MustParseAddrPort(tc.remote)}
			tc.header["X-Kept"] = []string{"1"}
			tc.header["X-Forwarded-User"] = []string{"root"}
			g.believe(&req, tc.header)
			if got := req.RemoteAddr.Addr().Unmap().String() + " " + req.Scheme + " " + req.Host; got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if len(tc.header) != 1 {
				t.Errorf("left are %v", tc.header)
			}
		})
	}
}
