package wasm

import (
	"io"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// TestABodyOfAGiBFlowsPastGuests reads a large answer that guests look at, or
// do not, and looks at how much memory is held meanwhile.
func TestABodyOfAGiBFlowsPastGuests(t *testing.T) {
	const all = 1 << 30
	imports := proxyImports()
	for _, tc := range []struct {
		name     string
		module   []byte
		declared int64
		want     int64
	}{
		{"http-wasm, which sees fields alone", guestModule(next, nil, nil, nil), all, all},
		{"http-wasm, a length that is a lie", guestModule(next, nil, nil, nil), 5, all},
		{"proxy-wasm, which sees fields alone", proxyModule("proxy_abi_version_0_2_1", imports, nil,
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: constant(0)}), all, all},
		{"proxy-wasm, which sees all pieces", proxyModule("proxy_abi_version_0_2_1", imports, nil,
			testFunc{export: "proxy_on_response_body", sig: "iii:i", body: constant(0)}), -1, all},
		{"proxy-wasm, which takes all pieces away", proxyModule("proxy_abi_version_0_2_1", imports, nil,
			testFunc{export: "proxy_on_response_body", sig: "iii:i", body: cat(env(imports, "proxy_set_buffer_bytes", 1, 0, 1<<20, 0, 0), drop(), constant(0))}), -1, 0},
		{"proxy-wasm, which holds all pieces back", proxyModule("proxy_abi_version_0_2_1", imports, nil,
			testFunc{export: "proxy_on_response_body", sig: "iii:i", body: constant(1)}), -1, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			c := f.open(t, tc.module, core.WASMSettings{})
			held := most(func() {
				within(t, func() {
					v, err := c.Begin(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					defer v.Done()
					m, err := v.Request(t.Context(), testMessage(nil))
					if err != nil {
						t.Error(err)
						return
					}
					m, err = v.Response(t.Context(), answered(m, 200, core.StreamBody(&endless{most: all}, tc.declared)))
					if err != nil {
						t.Error(err)
						return
					}
					r := m.Response.Body.Open()
					n, err := io.Copy(io.Discard, r)
					_ = r.Close()
					switch {
					case tc.want < 0 && core.ErrorCode(err) != core.BadUpstream:
						t.Errorf("got %d bytes and %v", n, err)
					case tc.want >= 0 && (err != nil || n != tc.want):
						t.Errorf("got %d bytes and %v, want %d", n, err, tc.want)
					}
				})
			})
			if held > all/4 { // much of it is garbage not collected yet: pieces come by at GBs in a second
				t.Errorf("%d MiB are held", held>>20)
			}
			if s := c.Stats(); s.Failures != 0 {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// TestOneWrongByteAnywhere changes every byte of two small modules. Each is
// refused, or is another module that may do as it likes.
func TestOneWrongByteAnywhere(t *testing.T) {
	imports := []string{"env proxy_get_buffer_bytes iiiii:i"}
	for name, whole := range map[string][]byte{
		"http-wasm": echoGuest(),
		"proxy-wasm": proxyModule("proxy_abi_version_0_2_1", imports, map[int]string{0: "x"},
			testFunc{export: "proxy_on_configure", sig: "ii:i", body: cat(constant(7), constant(0), constant(9), constant(64), constant(68), callFunc(0), drop(), constant(1))},
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: constant(0)}),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{MaxStart: 100 * time.Millisecond, Grace: time.Second})
			deadline := time.Now().Add(hangGuard)
			for at := range whole {
				for _, change := range []byte{1, 0x80, 0xff} {
					b := append([]byte(nil), whole...)
					b[at] ^= change
					conn, err := f.kind.Open(t.Context(), f.system(b, core.WASMSettings{DeadlineMS: 50, Config: []byte(`{"a":1}`)}))
					if err != nil {
						if core.ErrorCode(err) != core.Invalid {
							t.Fatalf("byte %d: %v", at, err)
						}
						continue
					}
					c := conn.(*Conn)
					if err := boundCall(c, 200*time.Millisecond); panicked(err) {
						t.Errorf("byte %d: %v", at, err)
					}
					_ = c.Close()
				}
				if time.Now().After(deadline) {
					t.Fatalf("it hangs, at byte %d of %d", at, len(whole))
				}
			}
		})
	}
}
