package wasm

import (
	"testing"

	"github.com/annex-gateway/annex/core"
)

// TestAGuestSeesHowARequestIsFramed: rules of firewalls ask that a request
// with a body says how long it is, or that it is chunked.
func TestAGuestSeesHowARequestIsFramed(t *testing.T) {
	f := newFixture(t, Options{})
	imports := proxyImports()
	// What the allocator gave, 40,000, with the length that was written to 4.
	value := cat(constant(40_000), constant(4), []byte{0x28, 0x02, 0x00})
	copied := cat(
		env(imports, "proxy_get_header_map_value", 0, 32, 17, 0, 4), []byte{0x45, 0x04, 0x40},
		constant(0), constant(16), constant(7), value, env(imports, "proxy_replace_header_map_value"), drop(),
		[]byte{0x0b})
	c := f.open(t, proxyModule("proxy_abi_version_0_2_1", imports, map[int]string{16: "x-guest", 32: "transfer-encoding"},
		testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(copied, constant(0))}), core.WASMSettings{})
	for name, tc := range map[string]struct {
		proto, length string
		body          *core.Body
		want          string
	}{
		"chunked":                        {"HTTP/1.1", "", streamOf("one"), "chunked"},
		"rewritten by another extension": {"HTTP/1.1", "", core.BytesBody([]byte("one")), "chunked"},
		"of a length":                    {"HTTP/1.1", "3", core.BytesBody([]byte("one")), ""},
		"without a body":                 {"HTTP/1.1", "", nil, ""},
		"over HTTP/2":                    {"HTTP/2.0", "", streamOf("one"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := testMessage(tc.body)
			m.Request.Proto = tc.proto
			if tc.length != "" {
				m.Request.Header = core.NewHeader("Content-Length", tc.length)
			}
			passed, _, _ := carry(t, c, m, theirs)
			if got := passed.Request.Header.Get("X-Guest"); got != tc.want {
				t.Errorf("the guest sees transfer-encoding %q, want %q", got, tc.want)
			}
			if passed.Request.Header.Has("Transfer-Encoding") {
				t.Error("the field is in the request that goes on")
			}
		})
	}
}
