package wasm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// hangingProxyGuest does not come back from calls with the field x-hang, and
// traps for those with x-trap. Its start takes so long, by the clock.
func hangingProxyGuest(start time.Duration) []byte {
	imports := append(proxyImports(), "wasi_snapshot_preview1 clock_time_get ili:i")
	has := func(at, size int, then []byte) []byte {
		return cat(env(imports, "proxy_get_header_map_value", 0, at, size, 0, 4), []byte{0x45, 0x04, 0x40}, then, []byte{0x0b})
	}
	return proxyModule("proxy_abi_version_0_2_1", imports, map[int]string{16: "x-hang", 32: "x-trap"},
		testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(has(16, 6, forever()), has(32, 6, trapNow()), constant(0))},
		testFunc{export: "proxy_on_configure", sig: "ii:i", locals: 1, body: cat(untilClock(len(imports)-1, 3, start), constant(1))})
}

// hang begins a call that has the guest until the test ends, or its time does.
func hang(t *testing.T, c *Conn) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := c.Do(context.Background(), testMessage(nil, "X-Hang", "1"))
		done <- err
	}()
	for len(c.fleet.vms[0].turn) == 0 {
		runtime.Gosched()
	}
	return done
}

func TestNoCallWaitsBehindABusyGuestWhenAnotherIsFree(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	f := newFixture(t, Options{})
	c := f.open(t, hangingProxyGuest(0), core.WASMSettings{Concurrency: 2, DeadlineMS: 5_000})
	hung := hang(t, c)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	select {
	case <-hung:
		t.Error("calls waited for the guest that hangs")
	default:
	}
}

func TestACallWaitsForAGuestNoLongerThanTheOperatorSays(t *testing.T) {
	f := newFixture(t, Options{Wait: 30 * time.Millisecond})
	c := f.open(t, hangingProxyGuest(0), core.WASMSettings{Concurrency: 1, DeadlineMS: 2_000})
	hung := hang(t, c)
	for range 3 {
		_, err := c.Do(t.Context(), testMessage(nil))
		if core.ErrorCode(err) != core.Unavailable || !strings.Contains(core.ErrorMessage(err), "busy") {
			t.Errorf("got %v", err)
		}
	}
	if err := <-hung; !errors.Is(err, errOverTime) {
		t.Errorf("the call that hangs: %v", err)
	}
	if n := c.Stats().Failures; n != 1 {
		t.Errorf("%d failures, want the one that hangs", n)
	}
}

func TestAStartGoesOnWhenItsCallerLeaves(t *testing.T) {
	f := newFixture(t, Options{})
	c := f.open(t, hangingProxyGuest(200*time.Millisecond), core.WASMSettings{Concurrency: 1})
	if _, err := c.Do(t.Context(), testMessage(nil, "X-Trap", "1")); err == nil {
		t.Fatal("a guest that traps went on")
	}
	var err error
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = c.Do(ctx, testMessage(nil))
		cancel()
		if err == nil {
			return
		}
	}
	t.Errorf("impatient callers never get a guest: %v", err)
}
