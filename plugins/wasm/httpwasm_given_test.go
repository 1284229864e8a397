package wasm

import (
	"net/http"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestRewriteIsACapability(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "/a%20b?x=1;y", 32: "/other", 48: "GET", 64: "PUT"}
	for _, tc := range []struct {
		name    string
		request []byte
		refused uint64
	}{
		{"another URI is refused and counted", host("set_uri", 32, 6), 1},
		{"another method is refused and counted", host("set_method", 64, 3), 1},
		{"the same URI is no change", host("set_uri", 0, 12), 0},
		{"the same method is no change", host("set_method", 48, 3), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, guestModule(next, data, tc.request, nil), core.WASMSettings{})
			_, err := c.Do(t.Context(), testMessage(nil))
			if (err != nil) != (tc.refused > 0) || c.Stats().Refused != tc.refused {
				t.Errorf("got %v and %d refused", err, c.Stats().Refused)
			}
			if err != nil && core.ErrorMessage(err) != "WASM extension 'guest' failed" {
				t.Errorf("the caller is told %q", core.ErrorMessage(err))
			}
		})
	}
}

// A caller can make a guest give what it may not: that must not take the
// module from the others.
func TestWhatAGuestMayNotGiveDoesNotMakeItABrokenModule(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-name", 16: "bad\r\nvalue", 32: "bad name", 48: "/a/../b", 64: "PO ST", 80: "/other"}
	for name, request := range map[string][]byte{
		"a name with a space":        host("set_header_value", 0, 32, 8, 0, 1),
		"a value with a line break":  host("set_header_value", 0, 0, 6, 16, 10),
		"a method that is none":      host("set_method", 64, 5),
		"a URI that climbs":          host("set_uri", 48, 7),
		"a URI without the right to": host("set_uri", 80, 6),
		"a value that is too long":   host("set_header_value", 0, 0, 6, 0, 65<<10),
	} {
		c := f.open(t, guestModule(next, data, request, nil), core.WASMSettings{Rewrite: name != "a URI without the right to"})
		for range 10 {
			if _, err := c.Do(t.Context(), testMessage(nil)); core.ErrorCode(err) != core.Unavailable || core.ErrorMessage(err) != "WASM extension 'guest' failed" {
				t.Fatalf("%s: got %v", name, err)
			}
		}
		if err := c.Ready(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrailersOfARequest(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-sum", 16: "x-more", 32: "1"}
	c := f.open(t, guestModule(next, data, cat(
		host("enable_features", 4), drop(),
		host("get_header_values", 2, 0, 5, 1000, 64), low(), set(1),
		host("set_header_value", 2, 16, 6, 1000, cat(get(1), constant(1), []byte{0x6b})),
	), nil), core.WASMSettings{})
	body := core.BytesBody([]byte("hi")).WithTrailer(func() http.Header { return http.Header{"X-Sum": {"abc"}} })
	m, err := c.Do(t.Context(), testMessage(body))
	if err != nil {
		t.Fatal(err)
	}
	got := trailer(t, m.Request.Body)
	if got.Get("X-Sum") != "abc" || got.Get("X-More") != "abc" || bodyOf(t, m.Request.Body) != "hi" {
		t.Errorf("got %v", got)
	}
}
