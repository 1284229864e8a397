package wasm

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestTheSDKSpeaksTheWholeBorder(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	c := f.open(t, goModule(t, "testdata/everything"), core.WASMSettings{Config: []byte(`{"a":1}`), Rewrite: true, Concurrency: 2})
	long := strings.Repeat("x", 5000)
	body := bytes.Repeat([]byte("body"), 10_000)

	t.Run("reading", func(t *testing.T) {
		out, err := c.Do(t.Context(), testMessage(core.BytesBody(body), "X-Test", "read", "X-Two", "1", "X-Two", "2", "X-Long", long))
		if err != nil {
			t.Fatal(err)
		}
		want := `GET|/a%20b?x=1;y|/a%20b|x=1;y|HTTP/2.0|192.0.2.7:4321|{"a":1}|host,x-long,x-test,x-two|1,2||` + string(body)
		if got := bodyOf(t, out.Response.Body); got != want {
			t.Errorf("got %.200q", got)
		}
		if out.Response.Header.Get("X-Long") != long || out.Response.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("got %v", out.Response.Header.Names())
		}
	})
	t.Run("changing", func(t *testing.T) {
		passed, back := around(t, c, testMessage(core.BytesBody(body), "X-Test", "change", "X-Two", "1", "X-Long", long), func(m core.Message) core.Message {
			return answered(m, 200, core.StreamBody(newStream("theirs"), -1), "X-Theirs", "here")
		})
		r := passed.Request
		if r.Method != "PUT" || r.Target() != "/other?q=1" || r.Path != "/other" || r.Header.Get("X-Set") != "1" ||
			strings.Join(r.Header.Values("X-Two"), ",") != "1,three" || r.Header.Has("X-Long") || bodyOf(t, r.Body) != string(body)+"!" {
			t.Errorf("got %s %s %v", r.Method, r.Target(), r.Header.Names())
		}
		a := back.Response
		if a.Status != 201 || strings.Join(a.Header.Values("X-Was"), ",") != "herex-theirs,more" || a.Header.Has("X-Theirs") || bodyOf(t, a.Body) != "theirs?" {
			t.Errorf("got %d %v", a.Status, a.Header.Clone())
		}
	})
	t.Run("the last answer counts", func(t *testing.T) {
		out, err := c.Do(t.Context(), testMessage(nil, "X-Test", "twice"))
		if err != nil || out.Response.Status != 200 || bodyOf(t, out.Response.Body) != "second" {
			t.Errorf("got %v, %v", out.Response, err)
		}
	})
	t.Run("a panic stays inside", func(t *testing.T) {
		_, err := c.Do(t.Context(), testMessage(nil, "X-Test", "panic"))
		if core.ErrorCode(err) != core.Unavailable || strings.Contains(core.ErrorMessage(err), "secret") {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(f.host.log(), "the guest's secret") {
			t.Error("the log does not have what the guest wrote when it died")
		}
		if _, err = c.Do(t.Context(), testMessage(nil)); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
	t.Run("the log has the levels that are on", func(t *testing.T) {
		log := f.host.log()
		for _, line := range []string{"level=INFO", "level=WARN", "level=ERROR"} {
			if !strings.Contains(log, line) {
				t.Errorf("no %s", line)
			}
		}
		if strings.Contains(log, "text=debug") {
			t.Error("debug is logged")
		}
	})
}

// The gateway shows a guest one call at a time. A host that shows a second
// request before the first one's answer is not forbidden.
func TestAGuestOfTheSDKKeepsCallsApart(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	c := f.open(t, goModule(t, "testdata/everything"), core.WASMSettings{})
	g, err := c.pool.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.pool.release(t.Context(), g)
	h := g.session.(*handler)
	var calls [4]*exchange
	var ids [4]uint32
	for round := range 2 { // what is used again must be as good as new
		for i := range calls {
			calls[i] = newExchange(g, testMessage(nil, "X-Test", "keep", "X-Two", fmt.Sprint(round, i)))
			err := g.run(t.Context(), &budget{left: c.pool.set.deadline}, func(ctx context.Context) error {
				next, err := h.request(ctx, calls[i])
				if err == nil && !next {
					t.Error("the call does not go on")
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = h.context
		}
		for _, i := range []int{2, 0, 3, 1} {
			calls[i].respond(&core.Response{Status: 200})
			h.context, h.features = ids[i], allFeatures
			err := g.run(t.Context(), &budget{left: c.pool.set.deadline}, func(ctx context.Context) error { return h.response(ctx, calls[i], false) })
			if err != nil {
				t.Fatal(err)
			}
			if got := calls[i].response().Response.Header.Get("X-Kept"); got != fmt.Sprint(round, i) {
				t.Errorf("call %d of round %d got the header of call %q", i, round, got)
			}
		}
	}
}

func TestTheExamples(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	t.Run("hello answers with method and path", func(t *testing.T) {
		c := f.open(t, goModule(t, "../../wasm-examples/hello"), core.WASMSettings{MemoryBytes: 32 << 20})
		out, err := c.Do(t.Context(), testMessage(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, out.Response.Body); out.Response.Status != 200 || got != "hello from a WASM module, GET /a%20b\n" {
			t.Errorf("got %d %q", out.Response.Status, got)
		}
	})
	t.Run("stamp stamps around a call, and the body streams", func(t *testing.T) {
		c := f.open(t, goModule(t, "../../wasm-examples/stamp"), core.WASMSettings{MemoryBytes: 32 << 20, Config: []byte(`"seen"`)})
		body := core.StreamBody(newStream("theirs"), -1)
		_, back := around(t, c, testMessage(nil), func(m core.Message) core.Message { return answered(m, 200, body) })
		if back.Response.Header.Get("X-Stamp") != "seen" || back.Response.Body != body || body.Buffered() {
			t.Errorf("got %v, buffered %v", back.Response.Header.Clone(), body.Buffered())
		}
	})
	t.Run("stamp stamps at the response stage", func(t *testing.T) {
		c := f.open(t, goModule(t, "../../wasm-examples/stamp"), core.WASMSettings{MemoryBytes: 32 << 20})
		m := answered(testMessage(nil), 200, core.BytesBody([]byte("theirs")))
		m.Route.Stage = core.OnResponse
		out, err := c.Do(t.Context(), m)
		if err != nil || out.Response.Header.Get("X-Stamp") != "annex" {
			t.Errorf("got %v, %v", out.Response, err)
		}
	})
}

func TestHammerGoGuest(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	c := f.open(t, goModule(t, "testdata/everything"), core.WASMSettings{Concurrency: 2})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 10 {
				want := fmt.Sprintf("%d-%d", i, j)
				out, err := c.Do(t.Context(), testMessage(core.BytesBody([]byte(want)), "X-Test", "read"))
				if err != nil {
					t.Error(err)
					return
				}
				if got, _ := out.Response.Body.Bytes(1000); !strings.HasSuffix(string(got), "|"+want) {
					t.Errorf("got %q, want it to end in %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}

type stream struct{ *strings.Reader }

func newStream(s string) stream { return stream{strings.NewReader(s)} }
func (stream) Close() error     { return nil }
