package plugintest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
)

// reading echoes after it has read the whole body, hangs on the tail "hang",
// and lets go when ctx ends.
func reading(ctx context.Context, sys core.System, m core.Message) (core.Message, error) {
	if m.Route.Tail == "hang" {
		<-ctx.Done()
		return m, ctx.Err()
	}
	if m.Answered() {
		return m, nil
	}
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := m.Request.Body.Bytes(1 << 20)
		done <- result{b, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return m, core.WrapError(core.Invalid, r.err, "the body cannot be read")
		}
		return m.Answer(core.Response{Status: 200, Body: core.BytesBody(r.b)}), nil
	case <-ctx.Done():
		return m, ctx.Err()
	}
}

func harness(f *plugintest.Fake) plugintest.Harness {
	broken := f.System("acme", "broken", "1.0.0")
	broken.Settings = json.RawMessage(`{`)
	foreign := f.System("acme", "foreign", "1.0.0")
	foreign.Kind = "other"
	return plugintest.Harness{
		Kind:    f,
		System:  f.System("acme", "echo", "1.0.0"),
		Invalid: map[string]core.System{"settings are not JSON": broken, "another kind": foreign},
		Answered: func(b *core.Body) core.Message {
			m := plugintest.Post("/api/x", "/api/", "x", nil)
			m.Route.Stage = core.OnResponse
			return m.Answer(core.Response{Status: 201, Header: core.NewHeader("X-A", "b"), Body: b})
		},
		Hang: func() core.Message { return plugintest.Post("/ext-api/hang", "/ext-api/", "hang", nil) },
	}
}

func TestFakeKeepsThePromisesOfAKind(t *testing.T) {
	f := plugintest.NewFake("fake")
	f.Handle(reading)
	plugintest.Run(t, harness(f))
}

func TestFakeThatEchoesStreamsKeepsThem(t *testing.T) {
	f := plugintest.NewFake("fake", core.OnDispatch, core.OnResponse)
	h := harness(f)
	h.IgnoresBody, h.Hang = true, nil
	plugintest.Run(t, h)
}

func TestFakeThatPassesOnKeepsThem(t *testing.T) {
	f := plugintest.NewFake("fake", core.OnDispatch)
	f.Handle(plugintest.PassOn)
	h := harness(f)
	h.IgnoresBody, h.PassesOn, h.Hang, h.Answered = true, true, nil, nil
	plugintest.Run(t, h)
}

func TestFakeCountsAndFailsAsTold(t *testing.T) {
	f := plugintest.NewFake("fake")
	sys := f.System("acme", "x", "1.0.0")
	if err := sys.Validate(); err != nil {
		t.Errorf("System is not valid: %v", err)
	}
	f.OnCheck(func(core.System) error { return core.Errorf(core.Invalid, "not today") })
	if err := f.Check(t.Context(), sys); core.ErrorCode(err) != core.Invalid {
		t.Errorf("Check: %v", err)
	}
	refused := errors.New("no")
	f.OnOpen(func(core.System) error { return refused })
	if _, err := f.Open(t.Context(), sys); !errors.Is(err, refused) {
		t.Errorf("Open: %v", err)
	}
	f.OnOpen(nil)
	c, err := f.Open(t.Context(), sys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), core.Message{}); err != nil {
		t.Error(err)
	}
	_, _ = c.Close(), c.Close()
	if got, want := f.Counts(), (plugintest.Counts{Checks: 1, Opens: 1, Closes: 1, Calls: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestHostAdmitsWhatItWasTold(t *testing.T) {
	h := plugintest.NewHost()
	sys := plugintest.NewFake("fake").System("acme", "x", "1.0.0")
	h.Allow("acme/x/1.0.0", "secret", "token-1", sys)
	got, id, err := h.Admit(t.Context(), "acme/x/1.0.0", "secret")
	if err != nil || id != "token-1" || got.ID != sys.ID {
		t.Errorf("Admit: %v, %q, %v", got.ID, id, err)
	}
	h.Forbid("acme/x/1.0.0", "secret")
	if _, _, err := h.Admit(t.Context(), "acme/x/1.0.0", "secret"); core.ErrorCode(err) != core.Unauthenticated {
		t.Errorf("Admit after Forbid: %v", err)
	}
}

func TestHostRemembersState(t *testing.T) {
	h := plugintest.NewHost()
	var _ interface {
		core.Host
		core.TokenMinter
		core.ModuleSource
	} = h
	s := h.State("a")
	if v, rev, err := s.Get(t.Context(), "k"); v != nil || rev != 0 || err != nil {
		t.Errorf("Get of nothing: %q, %d, %v", v, rev, err)
	}
	rev, err := s.Put(t.Context(), "k", []byte("v"), 0)
	if err != nil || rev == 0 {
		t.Fatalf("Put: %d, %v", rev, err)
	}
	if _, err := s.Put(t.Context(), "k", []byte("w"), 0); core.ErrorCode(err) != core.Stale {
		t.Errorf("Put at another revision: %v", err)
	}
	if v, r, _ := h.State("a").Get(t.Context(), "k"); string(v) != "v" || r != rev {
		t.Errorf("Get: %q, %d", v, r)
	}
	if v, _, _ := h.State("b").Get(t.Context(), "k"); v != nil {
		t.Errorf("another system sees %q", v)
	}
	if _, err := s.Put(t.Context(), "k", nil, rev); err != nil {
		t.Error(err)
	}
	if _, r, _ := s.Get(t.Context(), "k"); r != 0 {
		t.Errorf("revision %d after deletion", r)
	}
}

func TestHammerHostState(t *testing.T) {
	s := plugintest.NewHost().State("a")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 50; {
				v, rev, _ := s.Get(t.Context(), "n")
				if _, err := s.Put(t.Context(), "n", append(v, 'x'), rev); err == nil {
					done++
				}
			}
		})
	}
	wg.Wait()
	if v, _, _ := s.Get(t.Context(), "n"); len(v) != 400 {
		t.Errorf("%d increments, want 400", len(v))
	}
}

func TestHostKeepsModulesAndMintsTokens(t *testing.T) {
	h := plugintest.NewHost()
	digest := h.AddModule([]byte("wasm"))
	r, err := h.OpenModule(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); !bytes.Equal(b, []byte("wasm")) {
		t.Errorf("module is %q", b)
	}
	if _, err := h.OpenModule(t.Context(), "sha256:00"); core.ErrorCode(err) != core.NotFound {
		t.Errorf("unknown module: %v", err)
	}
	if _, err := h.MintToken(t.Context(), core.Caller{}); core.ErrorCode(err) != core.Unauthenticated {
		t.Errorf("token for nobody: %v", err)
	}
	caller := core.Caller{UserID: "u", UserName: "eva"}
	a, _ := h.MintToken(t.Context(), caller)
	b, _ := h.MintToken(t.Context(), caller)
	if a == "" || a == b {
		t.Errorf("tokens %q and %q", a, b)
	}
}
