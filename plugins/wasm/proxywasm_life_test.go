package wasm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func TestAPausedCallWaitsAndOthersGoOn(t *testing.T) {
	release := make(chan struct{})
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/slow" {
			<-release
		}
		w.Header().Set("X-There", r.Host+" "+r.Header.Get("X-From"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, r.Method+" "+string(b))
	}))
	defer there.Close()
	fine := func(netip.AddrPort) error { return nil }
	set := core.WASMSettings{Concurrency: 1, Clusters: map[string]string{"there": there.URL, "nowhere": "http://127.0.0.1:1"}}
	_, c := proxyGuest(t, Options{Guard: fine}, set)
	ask := func(test, cluster, path string) core.Message {
		return testMessage(nil, "X-Test", test, "X-Cluster", cluster, "X-Path", path)
	}
	t.Run("a callout's answer lets it go on", func(t *testing.T) {
		passed, _, _ := carry(t, c, ask("call", "there", "/fast"), theirs)
		if got := passed.Request.Header.Get("X-Called"); got != `root 1, 202, there.test guest, "POST question"` {
			t.Errorf("got %q", got)
		}
	})
	t.Run("without a host it asks the place itself for it", func(t *testing.T) {
		m := ask("call", "there", "/fast")
		m.Request.Header = m.Request.Header.With("X-Authority", "none")
		passed, _, _ := carry(t, c, m, theirs)
		if got := passed.Request.Header.Get("X-Called"); got != fmt.Sprintf(`root 1, 202, %s guest, "POST question"`, strings.TrimPrefix(there.URL, "http://")) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("names as service discovery writes them", func(t *testing.T) {
		passed, _, _ := carry(t, c, ask("call", "outbound|80||there", "/fast"), theirs)
		if !passed.Request.Header.Has("X-Called") {
			t.Error("not called")
		}
	})
	t.Run("a place that is not registered is refused", func(t *testing.T) {
		_, _, body := carry(t, c, ask("call", "elsewhere", "/"), nil)
		if body != "refused 2" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("a failed callout is delivered, without header", func(t *testing.T) {
		_, out, body := carry(t, c, ask("call", "nowhere", "/"), nil)
		if out.Response.Status != 502 || body != `no answer: root 1, 0, , ""` {
			t.Errorf("got %d %q", out.Response.Status, body)
		}
	})
	t.Run("others pass meanwhile", func(t *testing.T) {
		done := make(chan string)
		go func() {
			v, err := c.Begin(context.Background())
			if err != nil {
				done <- err.Error()
				return
			}
			defer v.Done()
			m, err := v.Request(context.Background(), ask("call", "there", "/slow"))
			if err != nil {
				done <- err.Error()
				return
			}
			done <- m.Request.Header.Get("X-Called")
		}()
		for range 20 {
			if _, _, body := carry(t, c, testMessage(nil), theirs); body != "theirs" {
				t.Fatalf("got %q", body)
			}
		}
		close(release)
		if got := <-done; !strings.Contains(got, "202") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a guest that asked and does not go on is not passed by with a body", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		v, _ := c.Begin(ctx)
		defer v.Done()
		m := ask("call-silent", "there", "/fast")
		m.Request.Body = core.BytesBody([]byte("body"))
		if _, err := v.Request(ctx, m); core.ErrorCode(err) != core.Timeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a guest that waits for nothing is shown the body", func(t *testing.T) {
		passed, _, _ := carry(t, c, testMessage(streamOf("a", "b"), "X-Test", "pause"), theirs)
		if got := bodyOf(t, passed.Request.Body); got != "[1:0 2:0 2:1 ab]" {
			t.Errorf("got %q", got)
		}
	})
	if c.Stats().Guests != 1 {
		t.Errorf("%d guests, want the one", c.Stats().Guests)
	}
}

func TestTicksQueuesAndSharedData(t *testing.T) {
	f, c := proxyGuest(t, Options{SharedBytes: 1000}, core.WASMSettings{Config: []byte(`"tick queue"`), Concurrency: 1})
	value := func(name string) (v float64) {
		for m := range f.kind.Metrics() {
			if m.Name == name && m.System == "tests/guest/1.0.0" {
				v += m.Value
			}
		}
		return v
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it never comes to pass that %s", what)
			}
		}
	}
	until("there are three ticks", func() bool { return value("ticks") >= 3 })
	t.Run("a tick lets a call go on", func(t *testing.T) {
		passed, _, _ := carry(t, c, testMessage(nil, "X-Test", "resume-by-tick"), theirs)
		if passed.Request.Header.Get("X-Resumed") != "tick" {
			t.Errorf("got %v", passed.Request.Header.Clone())
		}
	})
	t.Run("a context that is not done ends when it says so", func(t *testing.T) {
		carry(t, c, testMessage(nil, "X-Test", "done-later"), theirs)
		until("the context ends", func() bool { return strings.Contains(f.host.log(), "log of done-later") })
		until("the guest carries nothing", func() bool { return c.fleet.vms[0].calls.Load() == 0 })
	})
	t.Run("shared data is compared and set", func(t *testing.T) {
		_, _, body := carry(t, c, testMessage(nil, "X-Test", "shared"), nil)
		if body != "1 0 one 0 8 two true 0 10\n" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("queues tell of new items", func(t *testing.T) {
		_, _, body := carry(t, c, testMessage(nil, "X-Test", "queue"), nil)
		if body != "0 1 1 7 1 0 1\n" {
			t.Errorf("got %q", body)
		}
		until("the item is taken", func() bool { return value("queue.a") == 1 })
	})
	t.Run("metrics are counted", func(t *testing.T) {
		_, _, body := carry(t, c, testMessage(nil, "X-Test", "metrics"), nil)
		if body != "0 2 0 0 0 0 1 10 2\n2 7 1\n" {
			t.Errorf("got %q", body)
		}
		if value("c") != 2 || value("g") != 7 || value("h") != 11 {
			t.Errorf("got %v %v %v", value("c"), value("g"), value("h"))
		}
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for m := range f.kind.Metrics() {
		t.Errorf("%s is counted after the system is gone", m.Name)
	}
}

func TestTheEndOfAProxyWASMGuest(t *testing.T) {
	for _, tc := range []struct {
		test, want string
		timeouts   uint64
	}{
		{"trap", "WASM extension 'guest' failed", 0},
		{"loop", "WASM extension 'guest' ran over its time limit (100 ms)", 1},
	} {
		t.Run(tc.test, func(t *testing.T) {
			_, c := proxyGuest(t, Options{}, core.WASMSettings{DeadlineMS: 100, Concurrency: 1})
			other, _ := c.Begin(t.Context())
			defer other.Done()
			if _, err := other.Request(t.Context(), testMessage(nil)); err != nil {
				t.Fatal(err)
			}
			v, _ := c.Begin(t.Context())
			defer v.Done()
			_, err := v.Request(t.Context(), testMessage(nil, "X-Test", tc.test))
			if core.ErrorCode(err) != core.Unavailable || core.ErrorMessage(err) != tc.want {
				t.Errorf("got %v", err)
			}
			if _, err = other.Response(t.Context(), answered(testMessage(nil), 200, nil)); core.ErrorMessage(err) != "WASM extension 'guest' failed" {
				t.Errorf("a call that the same guest carried: %v", err)
			}
			if s := c.Stats(); s.Failures != 1 || s.Timeouts != tc.timeouts || s.Guests != 0 {
				t.Errorf("got %+v", s)
			}
			if _, _, body := carry(t, c, testMessage(nil), theirs); body != "theirs" {
				t.Errorf("the next call: %q", body)
			}
		})
	}
}

func TestThePluginItselfIsAskedWhetherItIsDone(t *testing.T) {
	for config, want := range map[string][]string{
		`"plain"`:              {"the plugin is asked whether it is done", "deleted"},
		`"tick leave by tick"`: {"the plugin is asked whether it is done", "the plugin is done now", "deleted"},
		`"leave by tick"`:      {"the plugin is asked whether it is done", "deleted"}, // nothing is under way
	} {
		f, c := proxyGuest(t, Options{}, core.WASMSettings{Config: []byte(config)})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		log := f.host.log()
		for _, line := range want {
			_, rest, ok := strings.Cut(log, line)
			if !ok {
				t.Errorf("%s: %q is missing, or not in its place: %s", config, line, f.host.log())
			}
			log = rest
		}
		if strings.Contains(log, "log of") || c.Stats().Guests != 0 {
			t.Errorf("%s: %+v, %s", config, c.Stats(), log)
		}
	}
}

func TestAPluginThatRefusesToStart(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	sys := f.system(goModule(t, "testdata/proxy"), core.WASMSettings{Config: []byte(`"refuse"`)})
	err := f.kind.Check(t.Context(), sys)
	if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "proxy_on_configure gives 0") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(f.host.log(), "no, thank you") || f.held() != 0 {
		t.Errorf("%d modules are held, the log has %s", f.held(), f.host.log())
	}
}

func TestProxyWASMAtOtherStages(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{})
	at := func(stage core.Stage, m core.Message) (core.Message, error) {
		m.Route.Stage = stage
		return c.Do(t.Context(), m)
	}
	if _, err := at(core.OnAuthorize, testMessage(nil, "X-Test", "answer-and-continue")); core.ErrorCode(err) != core.Forbidden {
		t.Errorf("an answer at authorize: %v", err)
	}
	body := streamOf("one", "two")
	m, err := at(core.OnAuthorize, testMessage(body, "X-Test", "append"))
	if err != nil || m.Answered() || bodyOf(t, m.Request.Body) != "onetwo" {
		t.Errorf("no answer at authorize: %v", err)
	}
	m, err = at(core.OnResponse, theirs(testMessage(streamOf("taken"), "X-Answer", "status")))
	if err != nil || m.Response.Status != 418 || bodyOf(t, m.Response.Body) != "theirs" {
		t.Errorf("at the response: %v %v", m.Response, err)
	}
	m, err = at(core.OnResponse, answered(testMessage(nil, "X-Answer", "append"), 200, streamOf("one", "two")))
	if err != nil {
		t.Fatal(err)
	}
	stream := m.Response.Body.Open()
	if b, err := io.ReadAll(stream); string(b) != "one+two++" || err != nil {
		t.Errorf("a stream at the response: %q, %v", b, err)
	}
	if err := stream.Close(); err != nil || c.fleet.vms[0].calls.Load() != 0 {
		t.Errorf("%d calls are carried behind its end, %v", c.fleet.vms[0].calls.Load(), err)
	}
	m, err = at(core.OnResponse, theirs(testMessage(nil, "X-Test", "answer-and-continue")))
	if err != nil || m.Response.Status != 201 {
		t.Errorf("an answer at the response: %v %v", m.Response, err)
	}
	m, err = at(core.OnLog, theirs(testMessage(nil, "X-Answer", "status")))
	if err != nil || m.Response.Status != 200 {
		t.Errorf("at the log: %v %v", m.Response, err)
	}
}
