package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
)

func TestKindKeepsThePromisesOfTheDoor(t *testing.T) {
	f := newFixture(t, Options{})
	module := echoGuest()
	sys := f.system(module, core.WASMSettings{})
	with := func(settings string) core.System {
		s := sys
		s.Settings = json.RawMessage(settings)
		return s
	}
	plugintest.Run(t, plugintest.Harness{
		Kind: f.kind, System: sys, Around: true,
		Hang: func() core.Message { return testMessage(nil, "X-Hang", "1") },
		Invalid: map[string]core.System{
			"no module":               with(`{}`),
			"a digest that is none":   with(`{"Module":"sha256:xyz"}`),
			"a module that is absent": with(`{"Module":"sha256:` + strings.Repeat("0", 64) + `"}`),
			"a setting that is none":  with(`{"Modul":"x"}`),
			"too much memory":         f.system(module, core.WASMSettings{MemoryBytes: 8 << 30}),
			"too much time":           f.system(module, core.WASMSettings{DeadlineMS: 3_600_000}),
			"too many guests":         f.system(module, core.WASMSettings{Concurrency: 1 << 20}),
			"no time":                 f.system(module, core.WASMSettings{DeadlineMS: -1}),
			"too many lines":          f.system(module, core.WASMSettings{LogLines: 1 << 20}),
			"too large bodies":        f.system(module, core.WASMSettings{BodyBytes: 1 << 40}),
			"too large a state":       f.system(module, core.WASMSettings{StateBytes: 1 << 40}),
			"too long a start":        f.system(module, core.WASMSettings{StartMS: 3_600_000}),
			"an unknown policy":       f.system(module, core.WASMSettings{FailurePolicy: "ajar"}),
		},
	})
}

func TestCheckRefusesModules(t *testing.T) {
	f := newFixture(t, Options{MaxStart: 500 * time.Millisecond, MaxMemoryBytes: 16 << 20})
	entries := func(more ...testFunc) []testFunc {
		return append([]testFunc{
			{export: "handle_request", sig: ":l", body: constant64(next)},
			{export: "handle_response", sig: "ii"},
		}, more...)
	}
	good := testModule{pages: 1, funcs: entries()}
	if err := f.kind.Check(t.Context(), f.system(good.bytes(), core.WASMSettings{})); err != nil {
		t.Fatalf("the module that the others are made of: %v", err)
	}
	for _, tc := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"an unknown module is named", testModule{imports: []string{"env abort ii"}, pages: 1, funcs: entries()}.bytes(), "env.abort"},
		{"an unknown function is named", testModule{imports: []string{"http_handler get_moon ii:i"}, pages: 1, funcs: entries()}.bytes(), "http_handler.get_moon"},
		{"a function of another type is named", testModule{imports: []string{"http_handler get_method i:i"}, pages: 1, funcs: entries()}.bytes(), "http_handler.get_method"},
		{"no memory", testModule{pages: 1, hidden: true, funcs: entries()}.bytes(), "memory"},
		{"no handle_request", testModule{pages: 1, funcs: entries()[1:]}.bytes(), "handle_request"},
		{"no handle_response", testModule{pages: 1, funcs: entries()[:1]}.bytes(), "handle_response"},
		{"handle_request of another type", testModule{pages: 1, funcs: []testFunc{{export: "handle_request", sig: ":i", body: constant(1)}, entries()[1]}}.bytes(), "handle_request"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"something else", []byte("#!/bin/sh\necho hello"), "not a WebAssembly module"},
		{"nothing", nil, "not a WebAssembly module"},
		{"a cut-off module", good.bytes()[:60], "are left"},
		{"a module that does not validate", testModule{pages: 1, funcs: entries(testFunc{export: "x", sig: ":i"})}.bytes(), "not valid"},
		{"a trap in the start section", testModule{pages: 1, start: "x", funcs: entries(testFunc{export: "x", body: trapNow()})}.bytes(), "does not start"},
		{"a trap in _initialize", testModule{pages: 1, funcs: entries(testFunc{export: "_initialize", body: trapNow()})}.bytes(), "does not start"},
		{"why it ends, as it says itself", testModule{imports: append(allImports(), "wasi_snapshot_preview1 proc_exit i"), pages: 1, data: map[int]string{0: "no headers given"}, funcs: entries(testFunc{
			export: "_initialize", body: cat(host("log", 2, 0, 16), constant(1), callFunc(len(allImports()))),
		})}.bytes(), "exit_code(1); it says: no headers given"},
		{"a trap in _start", testModule{pages: 1, funcs: entries(testFunc{export: "_start", body: trapNow()})}.bytes(), "does not start"},
		{"an endless start", testModule{pages: 1, funcs: entries(testFunc{export: "_start", body: forever()})}.bytes(), "did not start within"},
		{"a host function that needs a call", testModule{imports: allImports(), pages: 1, funcs: entries(testFunc{export: "_start", body: host("set_status_code", 200)})}.bytes(), "does not start"},
		{"an exit in the start", testModule{imports: []string{"wasi_snapshot_preview1 proc_exit i"}, pages: 1, funcs: entries(testFunc{export: "_start", body: cat(constant(0), callFunc(0))})}.bytes(), "does not stay"},
		{"more memory than the operator allows", testModule{pages: 300, funcs: entries()}.bytes(), "300 pages"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := f.kind.Check(t.Context(), f.system(tc.module, core.WASMSettings{}))
			if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), tc.want) {
				t.Errorf("got %v, want something about %q", err, tc.want)
			}
		})
	}
	t.Run("more memory than the registration allows", func(t *testing.T) {
		err := f.kind.Check(t.Context(), f.system(testModule{pages: 20, funcs: entries()}.bytes(), core.WASMSettings{MemoryBytes: 1 << 20}))
		if core.ErrorCode(err) != core.Invalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("bytes that are not those of the digest", func(t *testing.T) {
		sys := f.system(good.bytes(), core.WASMSettings{})
		var set core.WASMSettings
		if err := json.Unmarshal(sys.Settings, &set); err != nil {
			t.Fatal(err)
		}
		f.host.modules[set.Module] = echoGuest()
		if err := f.kind.Check(t.Context(), sys); core.ErrorCode(err) != core.Invalid || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
	})
	if n := f.held(); n != 0 {
		t.Errorf("%d modules are still held", n)
	}
}

func TestAModuleMayDeclareMoreMemoryThanItGets(t *testing.T) {
	f := newFixture(t, Options{})
	// memory.grow until it fails, then answer.
	grow := cat([]byte{0x03, 0x40}, constant(16), []byte{0x40, 0x00}, constant(-1), []byte{0x47, 0x0d, 0x00, 0x0b})
	pages := cat([]byte{0x3f, 0x00}, set(0), constant(2000), get(0), []byte{0x36, 0x02, 0x00}, host("write_body", 1, 2000, 4))
	m := testModule{imports: allImports(), pages: 1, maximum: 1 << 16, funcs: []testFunc{
		{export: "handle_request", sig: ":l", locals: 1, body: cat(grow, pages, constant64(ending))},
		{export: "handle_response", sig: "ii"},
	}}
	c := f.open(t, m.bytes(), core.WASMSettings{MemoryBytes: 4 << 20})
	out, err := c.Do(t.Context(), testMessage(nil))
	if err != nil {
		t.Fatal(err)
	}
	if b := bodyOf(t, out.Response.Body); len(b) != 4 || int(b[0])|int(b[1])<<8 != 49 {
		t.Errorf("the guest grew to % x pages, want 49: 1 and three times 16 fit into 64", b)
	}
}

func TestTheTimeLimit(t *testing.T) {
	f := newFixture(t, Options{})
	sleep := testModule{
		imports: append(allImports(), "wasi_snapshot_preview1 poll_oneoff iiii:i"), pages: 1,
		// One subscription: the monotonic clock, in 0x7fff… nanoseconds.
		data: map[int]string{1016: "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f"},
		funcs: []testFunc{
			{export: "handle_request", sig: ":l", body: cat(constant(1000), constant(1100), constant(1), constant(1200), callFunc(19), drop(), forever(), constant64(next))},
			{export: "handle_response", sig: "ii"},
		},
	}
	chatty := cat([]byte{0x03, 0x40}, host("log_enabled", 0), drop(), []byte{0x0c, 0x00, 0x0b})
	for _, tc := range []struct {
		name     string
		module   []byte
		response bool
	}{
		{"a loop in the request", guestModule(next, nil, forever(), nil), false},
		{"a loop in the answer", guestModule(next, nil, nil, forever()), true},
		{"a loop over host calls", guestModule(next, nil, chatty, nil), false},
		{"a sleep", sleep.bytes(), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, tc.module, core.WASMSettings{DeadlineMS: 50, Concurrency: 1})
			for range 2 {
				v, err := c.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				m, err := v.Request(t.Context(), testMessage(nil))
				if tc.response {
					if err != nil {
						t.Fatal(err)
					}
					_, err = v.Response(t.Context(), answered(m, 200, nil))
				}
				v.Done()
				if core.ErrorCode(err) != core.Unavailable || core.ErrorMessage(err) != "WASM extension 'guest' ran over its time limit (50 ms)" {
					t.Fatalf("got %v", err)
				}
			}
			if s := c.Stats(); s.Timeouts != 2 || s.Guests != 0 {
				t.Errorf("got %+v, want 2 timeouts and no guest left", s)
			}
		})
	}
}

func TestABodyThatIsSlowIsNotTheGuestsTime(t *testing.T) {
	f := newFixture(t, Options{})
	c := f.open(t, echoGuest(), core.WASMSettings{DeadlineMS: 1_000})
	out, err := c.Do(t.Context(), testMessage(core.StreamBody(&slowBody{left: 3}, -1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := bodyOf(t, out.Response.Body); got != "..." {
		t.Errorf("got %q", got)
	}
}

type slowBody struct{ left int }

func (s *slowBody) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	time.Sleep(500 * time.Millisecond)
	b[0] = '.'
	return 1, nil
}

func (*slowBody) Close() error { return nil }

func TestABodyOverTheLimit(t *testing.T) {
	f := newFixture(t, Options{BodyBytes: 10})
	c := f.open(t, echoGuest(), core.WASMSettings{})
	_, err := c.Do(t.Context(), testMessage(core.BytesBody(make([]byte, 11))))
	if core.ErrorCode(err) != core.TooLarge || !strings.Contains(core.ErrorMessage(err), "10 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestStages(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-a", 16: "b"}
	feature := cat(host("enable_features", 7), drop())
	stampRequest := host("set_header_value", 0, 0, 3, 16, 1)
	stampAnswer := host("set_header_value", 1, 0, 3, 16, 1)
	passing := guestModule(next, data, cat(feature, stampRequest), stampAnswer)
	answering := guestModule(ending, data, cat(host("set_status_code", 403), host("write_body", 1, 16, 1)), nil)
	reading := guestModule(next, data, feature, cat(host("read_body", 1, 1000, 10), low(), set(0), host("write_body", 1, 1000, get(0)), host("write_body", 1, 16, 1)))
	for _, tc := range []struct {
		name   string
		module []byte
		stage  core.Stage
		theirs bool // the message arrives answered
		want   string
	}{
		{"arrival passes a change on", passing, core.OnArrival, false, "x-a=b"},
		{"arrival answers", answering, core.OnArrival, false, "403 b"},
		{"authorize changes nothing", passing, core.OnAuthorize, false, "x-a="},
		{"authorize refuses", answering, core.OnAuthorize, false, "forbidden: WASM extension 'guest' refuses the call"},
		{"dispatch passes a change on", passing, core.OnDispatch, false, "x-a=b"},
		{"dispatch answers", answering, core.OnDispatch, false, "403 b"},
		{"response changes the answer only", passing, core.OnResponse, true, "200 theirs x-a=b, request x-a="},
		{"response replaces the answer", answering, core.OnResponse, true, "403 b x-a=, request x-a="},
		{"response reads the body", reading, core.OnResponse, true, "200 theirsb x-a=, request x-a="},
		{"log changes nothing", passing, core.OnLog, true, "200 theirs x-a=, request x-a="},
		{"log answers nothing", answering, core.OnLog, true, "200 theirs x-a=, request x-a="},
		{"log sees no body", reading, core.OnLog, true, "200 theirs x-a=, request x-a="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !slices.Contains(f.kind.Stages(), tc.stage) {
				t.Fatalf("%s is not among the stages", tc.stage)
			}
			c := f.open(t, tc.module, core.WASMSettings{})
			m := testMessage(nil)
			m.Route.Stage = tc.stage
			if tc.theirs {
				m = answered(m, 200, core.BytesBody([]byte("theirs")))
			}
			out, err := c.Do(t.Context(), m)
			var got string
			switch {
			case err != nil:
				got = fmt.Sprintf("%s: %s", core.ErrorCode(err), core.ErrorMessage(err))
			case tc.theirs:
				got = fmt.Sprintf("%d %s x-a=%s, request x-a=%s", out.Response.Status, bodyOf(t, out.Response.Body), out.Response.Header.Get("X-A"), out.Request.Header.Get("X-A"))
			case out.Answered():
				got = fmt.Sprintf("%d %s", out.Response.Status, bodyOf(t, out.Response.Body))
			default:
				got = "x-a=" + out.Request.Header.Get("X-A")
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAGuestIsToldWhenThereIsNoAnswer(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "no answer"}
	// handle_response(context, failed): logs when failed and the context is 7.
	response := cat(get(1), get(0), constant(7), []byte{0x46, 0x71, 0x04, 0x40}, host("log", 0, 0, 9), []byte{0x0b})
	c := f.open(t, guestModule(7<<32|next, data, nil, response), core.WASMSettings{})
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Fatal(err)
	}
	if got := f.host.log(); !strings.Contains(got, `text="no answer"`) || !strings.Contains(got, "request=call-1") || !strings.Contains(got, "system=tests/guest/1.0.0") {
		t.Errorf("the log has %s", got)
	}
	around(t, c, testMessage(nil), func(m core.Message) core.Message { return answered(m, 200, nil) })
	if n := strings.Count(f.host.log(), "no answer"); n != 1 {
		t.Errorf("%d lines about no answer, want 1", n)
	}
}

func TestAGuestCannotFloodTheLog(t *testing.T) {
	f := newFixture(t, Options{})
	many := cat(constant(1000), set(0), []byte{0x03, 0x40}, host("log", 0, 0, 5), get(0), constant(1), []byte{0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b})
	c := f.open(t, guestModule(ending, map[int]string{0: "hello"}, many, nil), core.WASMSettings{LogLines: 3})
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Fatal(err)
	}
	n := strings.Count(f.host.log(), "text=hello")
	if n < 3 || n > 9 {
		t.Errorf("%d lines, want 3 for each second that it took", n)
	}
	if got := c.Stats().Dropped; got != uint64(1000-n) {
		t.Errorf("%d lines are counted as dropped, want the other %d", got, 1000-n)
	}
	kept := 0
	for range f.kind.Logs(t.Context(), core.SystemID(core.KindWASM, "tests", "guest", "1.0.0"), false) {
		kept++
	}
	if kept != keptLines {
		t.Errorf("%d lines are kept of it, want the last %d", kept, keptLines)
	}
}

func TestGuestsAreReusedAndCapped(t *testing.T) {
	f := newFixture(t, Options{Wait: 50 * time.Millisecond})
	c := f.open(t, echoGuest(), core.WASMSettings{Concurrency: 2})
	first, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Begin(t.Context()); core.ErrorCode(err) != core.Unavailable || !strings.Contains(core.ErrorMessage(err), "is busy") {
		t.Errorf("a third guest: %v", err)
	}
	second.Done()
	if err = c.Ready(); err != nil {
		t.Error(err)
	}
	if _, err = c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Error(err)
	}
	first.Done()
	first.Done()
	if n := c.Stats().Guests; n != 2 {
		t.Errorf("%d guests, want 2", n)
	}
}

func TestReadyTellsOfFailures(t *testing.T) {
	f := newFixture(t, Options{})
	c := f.open(t, guestModule(next, nil, trapNow(), nil), core.WASMSettings{})
	for range 5 {
		if err := c.Ready(); err != nil {
			t.Fatalf("too early: %v", err)
		}
		_, _ = c.Do(t.Context(), testMessage(nil))
	}
	if c.Ready() == nil {
		t.Error("5 failures, and all is well")
	}
}

func TestCloseInterruptsAfterTheGrace(t *testing.T) {
	f := newFixture(t, Options{Grace: 50 * time.Millisecond})
	c := f.open(t, echoGuest(), core.WASMSettings{})
	failed := make(chan error, 1)
	go func() {
		_, err := c.Do(context.Background(), testMessage(nil, "X-Hang", "1"))
		failed <- err
	}()
	for c.Stats().Calls == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; core.ErrorCode(err) != core.Unavailable || !errors.Is(err, errClosing) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Do(t.Context(), testMessage(nil)); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestModulesAreCompiledOnceAndGivenUp(t *testing.T) {
	f := newFixture(t, Options{})
	module := echoGuest()
	a, b := f.open(t, module, core.WASMSettings{}), f.open(t, module, core.WASMSettings{MemoryBytes: 1 << 20})
	if a.pool.mod != b.pool.mod {
		t.Error("the module was compiled twice")
	}
	_ = a.Close()
	if _, err := b.Do(t.Context(), testMessage(nil)); err != nil {
		t.Errorf("the other system: %v", err)
	}
	_ = b.Close()
	if n := f.held(); n != 0 {
		t.Errorf("%d modules are still held", n)
	}
}

func TestACompileThatTakesTooLongIsRefused(t *testing.T) {
	f := newFixture(t, Options{CompileTimeout: time.Nanosecond})
	err := f.kind.Check(t.Context(), f.system(echoGuest(), core.WASMSettings{}))
	if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "not compiled within") {
		t.Errorf("got %v", err)
	}
}

func TestHammerGuests(t *testing.T) {
	f := newFixture(t, Options{})
	module := echoGuest()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				c, err := f.kind.Open(context.Background(), f.system(module, core.WASMSettings{Concurrency: 3}))
				if err != nil {
					t.Error(err)
					return
				}
				var calls sync.WaitGroup
				for j := range 6 {
					calls.Go(func() {
						want := fmt.Sprintf("%d-%d", i, j)
						m, err := c.Do(context.Background(), testMessage(core.BytesBody([]byte(want))))
						if err != nil {
							t.Error(err)
							return
						}
						if got, _ := m.Response.Body.Bytes(100); string(got) != want {
							t.Errorf("got %q, want %q", got, want)
						}
					})
				}
				calls.Wait()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := f.held(); n != 0 {
		t.Errorf("%d modules are still held", n)
	}
}
