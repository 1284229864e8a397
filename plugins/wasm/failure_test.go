package wasm

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// moody traps in handle_request for a call with the field x-trap, in
// handle_response for an answer with it, and marks all other answers.
func moody() []byte {
	data := map[int]string{0: "x-trap", 16: "x-mark", 32: "1"}
	trapOn := func(kind int) []byte {
		return cat(host("get_header_values", kind, 0, 6, 0, 0), []byte{0x50, 0x45, 0x04, 0x40}, trapNow(), []byte{0x0b})
	}
	return guestModule(next, data, cat(host("enable_features", 2), drop(), trapOn(0)), cat(trapOn(1), host("set_header_value", 1, 16, 6, 32, 1)))
}

func TestAModuleThatFailsAgainAndAgainIsPutInQuarantine(t *testing.T) {
	f := newFixture(t, Options{BreakPause: time.Hour})
	c := f.open(t, moody(), core.WASMSettings{})
	do := func(header ...string) error {
		_, err := c.Do(t.Context(), testMessage(nil, header...))
		return err
	}
	for range 4 {
		_ = do("X-Trap", "1")
	}
	if err := do(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := c.Ready(); err != nil {
			t.Fatalf("too early: %v", err)
		}
		_ = do("X-Trap", "1")
	}
	calls := c.Stats().Calls
	err := do()
	if core.ErrorCode(err) != core.Unavailable || !strings.Contains(core.ErrorMessage(err), "in quarantine: it failed 5 times") {
		t.Errorf("got %v", err)
	}
	if s := c.Stats(); s.Calls != calls || !s.Quarantined || !f.kind.Stats()["tests/guest/1.0.0"].Quarantined {
		t.Errorf("got %+v", s)
	}
	if c.Ready() == nil {
		t.Error("Ready does not tell")
	}
	c.breaker.mu.Lock()
	c.breaker.until = time.Now()
	c.breaker.mu.Unlock()
	if err = c.Ready(); err == nil || !strings.Contains(core.ErrorMessage(err), "tried again with the next call") {
		t.Errorf("got %v", err)
	}
	if err = do(); err != nil {
		t.Errorf("the trial: %v", err)
	}
	if err = c.Ready(); err != nil || c.Stats().Quarantined {
		t.Errorf("after the trial: %v", err)
	}
	_ = c.Close()
	if n := len(f.kind.Stats()); n != 0 {
		t.Errorf("%d systems are still counted", n)
	}
}

func TestBreaker(t *testing.T) {
	b := newBreaker(Options{BreakAfter: 2, BreakPause: time.Hour})
	opened := func() time.Duration {
		t.Helper()
		wait, ok := b.tripped()
		if !ok {
			t.Fatal("the breaker is closed")
		}
		b.until = time.Now()
		return wait.Round(time.Hour)
	}
	b.failed()
	if _, ok := b.admit(); !ok {
		t.Fatal("one failure opens it")
	}
	b.failed()
	if _, ok := b.admit(); ok {
		t.Fatal("two failures do not open it")
	}
	b.succeeded(false)
	if n := opened(); n != time.Hour {
		t.Errorf("a call from before closes it, or it opens for %s", n)
	}
	trial, ok := b.admit()
	if _, second := b.admit(); !trial || !ok || second {
		t.Error("not exactly one call tries")
	}
	b.giveUp()
	if trial, ok = b.admit(); !trial || !ok {
		t.Error("after a trial that told nothing the next call tries")
	}
	b.giveUp()
	b.failed()
	if n := opened(); n != 2*time.Hour {
		t.Errorf("after a trial that fails late it opens for %s, want twice as long", n)
	}
	for range 9 {
		opened()
		b.admit()
		b.failed()
	}
	if n := opened(); n != 16*time.Hour {
		t.Errorf("it opens for %s, want 16 times as long and no longer", n)
	}
	b.admit()
	b.succeeded(true)
	b.failed()
	b.failed()
	if n := opened(); n != time.Hour {
		t.Errorf("after a success it opens for %s, want as long as at first", n)
	}
}

func TestFailurePolicyOpen(t *testing.T) {
	f := newFixture(t, Options{BreakPause: time.Hour})
	open := core.WASMSettings{FailurePolicy: core.FailOpen, DeadlineMS: 100}
	t.Run("a trap on request, and nothing on response", func(t *testing.T) {
		c := f.open(t, moody(), open)
		passed, back := around(t, c, testMessage(core.BytesBody([]byte("mine")), "X-Trap", "1"), func(m core.Message) core.Message {
			return answered(m, 200, core.BytesBody([]byte("theirs")))
		})
		if bodyOf(t, passed.Request.Body) != "mine" || bodyOf(t, back.Response.Body) != "theirs" || back.Response.Header.Has("X-Mark") {
			t.Errorf("got %+v", back.Response)
		}
		if s := c.Stats(); s.Passed != 1 || s.Failures != 1 {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("a trap on response", func(t *testing.T) {
		c := f.open(t, moody(), open)
		_, back := around(t, c, testMessage(nil), func(m core.Message) core.Message {
			return answered(m, 200, core.StreamBody(newStream("theirs"), -1), "X-Trap", "1")
		})
		if bodyOf(t, back.Response.Body) != "theirs" {
			t.Errorf("got %+v", back.Response)
		}
	})
	t.Run("a trap at the response stage", func(t *testing.T) {
		c := f.open(t, moody(), open)
		m := answered(testMessage(nil, "X-Trap", "1"), 200, core.StreamBody(newStream("theirs"), -1))
		m.Route.Stage = core.OnResponse
		out, err := c.Do(t.Context(), m)
		if err != nil || bodyOf(t, out.Response.Body) != "theirs" {
			t.Errorf("got %v, %v", out.Response, err)
		}
	})
	t.Run("a deadline", func(t *testing.T) {
		c := f.open(t, guestModule(next, nil, forever(), nil), open)
		if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
			t.Error(err)
		}
	})
	t.Run("quarantine", func(t *testing.T) {
		c := f.open(t, moody(), open)
		for range 5 {
			_, _ = c.Do(t.Context(), testMessage(nil, "X-Trap", "1"))
		}
		around(t, c, testMessage(nil), func(m core.Message) core.Message { return answered(m, 200, nil) })
		if s := c.Stats(); s.Passed != 6 || s.Calls != 5 || c.Ready() == nil {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("whoever decides is never left out", func(t *testing.T) {
		c := f.open(t, moody(), open)
		m := testMessage(nil, "X-Trap", "1")
		m.Route.Stage = core.OnAuthorize
		if _, err := c.Do(t.Context(), m); core.ErrorCode(err) != core.Unavailable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a call that ended is not gone on with", func(t *testing.T) {
		c := f.open(t, moody(), open)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Do(ctx, testMessage(nil)); err == nil {
			t.Error("no error")
		}
	})
}

func TestAModuleThatCannotBeOpenedIsLeftOut(t *testing.T) {
	f := newFixture(t, Options{Retry: time.Millisecond})
	sys := f.system(moody(), core.WASMSettings{FailurePolicy: core.FailOpen})
	var kept []byte
	f.host.mu.Lock()
	for digest, b := range f.host.modules {
		kept = b
		delete(f.host.modules, digest)
	}
	f.host.mu.Unlock()
	c, err := f.kind.Open(t.Context(), sys)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err = c.(core.Prober).Ready(); err == nil || !strings.Contains(core.ErrorMessage(err), "has not been uploaded") {
		t.Errorf("Ready: %v", err)
	}
	if _, err = c.Do(t.Context(), testMessage(nil, "X-Trap", "1")); err != nil {
		t.Error(err)
	}
	v, err := c.(core.Around).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.Done()
	m := testMessage(nil)
	m.Route.Stage = core.OnAuthorize
	if _, err = c.Do(t.Context(), m); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("at authorize: %v", err)
	}
	f.host.keep(kept)
	within(t, func() {
		for c.(core.Prober).Ready() != nil {
			time.Sleep(time.Millisecond)
		}
	})
	if len(f.kind.Stats()) != 1 {
		t.Error("the module is there and was not opened")
	}
}

// TestCallsThatFailLateAreNoSuccesses lets guests fail when the visit is over,
// or at its very end: it is the whole call that is judged, and once.
func TestCallsThatFailLateAreNoSuccesses(t *testing.T) {
	hook := func(name, sig string, body []byte) testFunc { return testFunc{export: name, sig: sig, body: body} }
	local := cat(env(proxyImports(), "proxy_send_local_response", 200, 0, 0, 0, 0, 0, 0, 0), drop(), constant(0))
	for name, hooks := range map[string][]testFunc{
		"in the body of the answer":         {hook("proxy_on_response_body", "iii:i", trapNow())},
		"when the call is over":             {hook("proxy_on_done", "i:i", trapNow())},
		"in the log":                        {hook("proxy_on_log", "i", trapNow())},
		"when it is deleted":                {hook("proxy_on_delete", "i", trapNow())},
		"in the log, after its own answer":  {hook("proxy_on_request_headers", "iii:i", local), hook("proxy_on_log", "i", trapNow())},
		"in the log, when the body is over": {hook("proxy_on_response_body", "iii:i", constant(0)), hook("proxy_on_log", "i", trapNow())},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{BreakPause: time.Hour})
			c := f.open(t, proxyModule("proxy_abi_version_0_2_1", proxyImports(), nil, hooks...), core.WASMSettings{})
			call := func() {
				v, err := c.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				m, err := v.Request(t.Context(), testMessage(nil))
				if err == nil && !m.Answered() {
					m, err = v.Response(t.Context(), answered(m, 200, streamOf("one", "two")))
				}
				v.Done()
				if err == nil {
					r := m.Response.Body.Open()
					_, _ = io.ReadAll(r)
					_ = r.Close()
				}
			}
			for i := range 5 {
				if err := c.Ready(); err != nil {
					t.Fatalf("after %d calls: %v", i, err)
				}
				call()
			}
			if c.Ready() == nil {
				t.Errorf("five calls failed and the module is not in quarantine: %+v", c.Stats())
			}
		})
	}
}

// TestABodyOnItsWayIsNoSuccessYet looks at a module that waits for its trial,
// whose body flows for long.
func TestABodyOnItsWayIsNoSuccessYet(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1, BreakPause: time.Hour})
	c := f.open(t, proxyModule("proxy_abi_version_0_2_1", proxyImports(), nil,
		testFunc{export: "proxy_on_response_body", sig: "iii:i", body: constant(0)}), core.WASMSettings{})
	c.failed()
	c.breaker.mu.Lock()
	c.breaker.until = time.Now()
	c.breaker.mu.Unlock()
	read := func(m core.Message) string {
		r := m.Response.Body.Open()
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	begin := func() core.Message {
		v, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Done()
		m, err := v.Request(t.Context(), testMessage(nil))
		if err != nil {
			t.Fatal(err)
		}
		m, err = v.Response(t.Context(), answered(m, 200, streamOf("one", "two")))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := begin()
	if c.Ready() == nil {
		t.Error("the module is taken for well before the body has come")
	}
	second := begin() // nobody waits for the end of the first one's body
	if got := read(second); got != "onetwo" {
		t.Errorf("got %q", got)
	}
	if err := c.Ready(); err != nil {
		t.Errorf("after a whole call: %v", err)
	}
	read(first)
}
