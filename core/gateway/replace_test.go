package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm"
)

// saying is a WASM module that answers every call with a text.
func saying(text string) string {
	sized := func(b string) string { return string(rune(len(b))) + b } // below 128 bytes, one byte is the length
	section := func(id byte, b string) string { return string(rune(id)) + sized(b) }
	answer := "\x00\x41\x01\x41\x00\x41" + string(rune(len(text))) + "\x10\x00\x42\x00\x0b" // write_body(1, 0, len); 0
	return "\x00asm\x01\x00\x00\x00" +
		section(1, "\x03\x60\x03\x7f\x7f\x7f\x00\x60\x00\x01\x7e\x60\x02\x7f\x7f\x00") +
		section(2, "\x01"+sized("http_handler")+sized("write_body")+"\x00\x00") +
		section(3, "\x02\x01\x02") +
		section(5, "\x01\x00\x01") +
		section(7, "\x03"+sized("memory")+"\x02\x00"+sized("handle_request")+"\x00\x01"+sized("handle_response")+"\x00\x02") +
		section(10, "\x02"+sized(answer)+sized("\x00\x0b")) +
		section(11, "\x01\x00\x41\x00\x0b"+sized(text))
}

// TestReplacingAModuleUnderLoad replaces a module again and again while calls
// come in: no call fails, the next call after a replacement sees it, and
// nothing is left of the old ones. A hundred times with ANNEX_LONG.
func TestReplacingAModuleUnderLoad(t *testing.T) {
	times := 20
	if os.Getenv("ANNEX_LONG") != "" {
		times = 100
	}
	var modules *wasm.Kind
	h := newHouse(t, func(s *settings) {
		s.Kinds = func(host core.Host) ([]core.Kind, error) {
			var err error
			modules, err = wasm.New(context.Background(), host, wasm.Options{})
			return []core.Kind{modules}, err
		}
	})
	upload := func(n int) string {
		r := h.as(h.token, "POST", "/cloudapi/extensions/modules", saying(fmt.Sprintf("version %03d", n)), "Content-Type", "application/wasm")
		var out struct{ ID string }
		if err := json.Unmarshal([]byte(r.body), &out); err != nil || out.ID == "" {
			t.Fatalf("uploading: %d %s", r.status, r.body)
		}
		return out.ID
	}
	id := h.made("/cloudapi/extensions/api", fmt.Sprintf(
		`{"vendor":"acme","name":"guest","version":"1.0.0","kind":"wasm","enabled":true,"authorizationEnabled":false,"wasm":{"module":%q,"deadlineMs":10000}}`, upload(0)))
	h.filters(id, filter(core.ScopeAPI, "/api/said"))

	var stop atomic.Bool
	var calls atomic.Int64
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				if err := h.said(); err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	var half uint64
	for n := 1; n <= times; n++ {
		r := h.as(h.token, "PUT", "/cloudapi/extensions/api/"+id, fmt.Sprintf(`{"wasm":{"module":%q,"deadlineMs":10000}}`, upload(n)), "Content-Type", "application/json")
		if r.status != 200 {
			t.Fatalf("replacement %d: %d %s", n, r.status, r.body)
		}
		if got := h.as(h.token, "GET", "/api/said", ""); got.body != fmt.Sprintf("version %03d", n) {
			t.Fatalf("after replacement %d the next call gets %d %q", n, got.status, got.body)
		}
		if n == times/2 {
			half = heapInUse()
		}
	}
	grown := int64(heapInUse()) - int64(half)
	stop.Store(true)
	load.Wait()
	t.Logf("%d calls during %d replacements; %d bytes more after the second half", calls.Load(), times, grown)
	if grown > 8<<20 {
		t.Errorf("the second half of the replacements leaves %d bytes behind", grown)
	}
	if n := len(modules.Stats()); n != 1 {
		t.Errorf("%d systems are open, want 1", n)
	}
}

func (h *house) said() error {
	req := h.request(http.MethodGet, "/api/said", nil, "Authorization", "Bearer "+h.token)
	resp, err := h.client().Transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(b), "version ")) {
		err = fmt.Errorf("a call fails: %d %s", resp.StatusCode, b)
	}
	return err
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
