package service_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/mqtt"
	"github.com/annex-gateway/annex/sdk/service"
)

const guard = 20 * time.Second

// host admits acme/clock/1.0.0 with the token "secret".
type host struct{ closed atomic.Bool }

func clock() core.System {
	return core.System{
		ID:   core.SystemID(core.KindMQTT, "acme", "clock", "1.0.0"),
		Kind: core.KindMQTT, Vendor: "acme", Name: "clock", Version: "1.0.0", Enabled: true,
	}
}

func (h *host) Admit(_ context.Context, user, secret string) (core.System, string, error) {
	if user != "acme/clock/1.0.0" || secret != "secret" || h.closed.Load() {
		return core.System{}, "", core.Errorf(core.Unauthenticated, "unknown")
	}
	return clock(), "c", nil
}
func (h *host) State(string) core.State { return nil }
func (h *host) Log() *slog.Logger       { return slog.New(slog.DiscardHandler) }
func (h *host) MintToken(_ context.Context, c core.Caller) (string, error) {
	return "token of " + c.UserName, nil
}

type gateway struct {
	host *host
	kind *mqtt.Kind
	conn core.Conn
	srv  *httptest.Server
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{host: &host{}}
	g.kind = mqtt.New(g.host, mqtt.Options{FlapLimit: -1, Timeout: time.Minute})
	path, h := g.kind.Mount()
	mux := http.NewServeMux()
	mux.Handle(path, h)
	g.srv = httptest.NewTLSServer(mux)
	var err error
	if g.conn, err = g.kind.Open(t.Context(), clock()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.conn.Close()
		_ = g.kind.Close()
		g.srv.Close()
	})
	return g
}

func (g *gateway) config() service.Config {
	return service.Config{
		URL:    "wss" + strings.TrimPrefix(g.srv.URL, "https") + mqtt.Path,
		Vendor: "acme", Name: "clock", Version: "1.0.0", Token: "secret",
		TLS:        &tls.Config{RootCAs: g.srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
		MinBackoff: 10 * time.Millisecond,
	}
}

// run starts the service and gives a function that stops it and returns what
// Run returned.
func (g *gateway) run(t *testing.T, c service.Config, h http.HandlerFunc) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx, c, h) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(guard):
			return errors.New("Run does not return")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "connected", func() bool { return g.conn.(core.Prober).Ready() == nil })
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(guard); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func message(method, path, query string, body []byte) core.Message {
	return core.Message{
		Caller: core.Caller{UserID: "urn:vcloud:user:u", UserName: "alice", OrgID: "urn:vcloud:org:o"},
		Request: core.Request{
			Method: method, Path: path, RawPath: path, RawQuery: query, Proto: "HTTP/1.1", Scheme: "https", Host: "gw:8443",
			RemoteAddr: netip.MustParseAddrPort("192.0.2.1:1234"),
			Header:     core.NewHeader("Accept", "text/plain"), Body: core.BytesBody(body),
		},
	}
}

func TestAHandlerAnswersCalls(t *testing.T) {
	g := newGateway(t)
	g.run(t, g.config(), func(w http.ResponseWriter, r *http.Request) {
		caller, ok := service.CallerFrom(r.Context())
		if _, answered := service.AnswerFrom(r.Context()); answered || !ok || caller.RequestID == "" {
			t.Error("the context is wrong")
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Length", "999")
		w.Header().Add("X-Seen", fmt.Sprint(r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr, r.Proto, r.RequestURI, r.Header.Get("Accept")))
		w.Header().Add("X-Caller", caller.User+" "+caller.Org+" "+caller.Token+" "+caller.LinkBaseURL)
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(bytes.ToUpper(body))
	})
	m, err := g.conn.Do(t.Context(), message("PUT", "/api/a%20b", "c=d", []byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := m.Response.Body.Bytes(100)
	if m.Response.Status != 201 || string(body) != "HELLO" {
		t.Errorf("%d %q", m.Response.Status, body)
	}
	for name, want := range map[string]string{
		"X-Seen":         "PUT/api/a bc=dgw:8443192.0.2.1:1234HTTP/1.1/api/a%20b?c=dtext/plain",
		"X-Caller":       "urn:vcloud:user:u urn:vcloud:org:o token of alice https://gw:8443/api/",
		"Content-Type":   "text/plain; charset=utf-8",
		"Content-Length": "",
	} {
		if got := m.Response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAHandlerMayWriteNothingPanicOrSendTooMuch(t *testing.T) {
	g := newGateway(t)
	g.run(t, g.config(), func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("oh")
		case "/big":
			_, _ = w.Write(make([]byte, 13<<20))
		}
	})
	for path, want := range map[string]int{"/nothing": 200, "/panic": 500, "/big": 500} {
		m, err := g.conn.Do(t.Context(), message("GET", path, "", nil))
		if err != nil {
			t.Fatal(err)
		}
		if m.Response.Status != want {
			t.Errorf("%s gives %d", path, m.Response.Status)
		}
		body, _ := m.Response.Body.Bytes(1 << 20)
		if want == 500 && (!strings.Contains(string(body), `"minorErrorCode":"INTERNAL_SERVER_ERROR"`) || strings.Contains(string(body), "oh")) {
			t.Errorf("%s says %s", path, body)
		}
	}
}

func TestAHandlerAtTheResponseStageReplacesTheAnswer(t *testing.T) {
	g := newGateway(t)
	g.run(t, g.config(), func(w http.ResponseWriter, r *http.Request) {
		a, ok := service.AnswerFrom(r.Context())
		if !ok || a.Header.Get("X") != "y" {
			t.Errorf("the answer is %+v", a)
		}
		if err := service.Forward(w, r); err == nil {
			t.Error("an answer was passed on as a request")
		}
		w.WriteHeader(a.Status + 1)
		_, _ = w.Write(append(a.Body, '!'))
	})
	m, err := g.conn.Do(t.Context(), message("GET", "/a", "", nil).Answer(core.Response{
		Status: 200, Header: core.NewHeader("X", "y"), Body: core.BytesBody([]byte("hi")),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := m.Response.Body.Bytes(100); m.Response.Status != 201 || string(body) != "hi!" {
		t.Errorf("%d %q", m.Response.Status, body)
	}
}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestForwardPassesTheChangedRequestOn(t *testing.T) {
	g := newGateway(t)
	g.run(t, g.config(), func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path, r.URL.RawQuery, r.Method = "/new path", "x=y", "PATCH"
		r.Header.Set("X-New", "1")
		r.Body = io.NopCloser(strings.NewReader("other"))
		if err := service.Forward(wrapped{w}, r); err != nil {
			t.Error(err)
		}
	})
	m, err := g.conn.Do(t.Context(), message("POST", "/a", "", []byte("body")))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := m.Request.Body.Bytes(100)
	if m.Answered() || m.Request.Method != "PATCH" || m.Request.Path != "/new%20path" || m.Request.RawQuery != "x=y" ||
		m.Request.Header.Get("X-New") != "1" || m.Request.Header.Get("Accept") != "text/plain" || string(body) != "other" {
		t.Errorf("%+v", m.Request)
	}
	if err := service.Forward(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)); err == nil {
		t.Error("Forward took a foreign ResponseWriter")
	}
	if _, ok := service.CallerFrom(t.Context()); ok {
		t.Error("a caller out of nowhere")
	}
}

func TestABusyServiceAnswers429(t *testing.T) {
	g := newGateway(t)
	release := make(chan struct{})
	var working atomic.Int64
	c := g.config()
	c.Concurrency, c.Queue = 1, 1
	g.run(t, c, func(http.ResponseWriter, *http.Request) {
		if working.Add(1) > 1 {
			select {
			case <-release:
			default:
				t.Error("two calls at once")
			}
		}
		<-release
	})
	var calls sync.WaitGroup
	var ok, busy atomic.Int64
	for range 5 {
		calls.Go(func() {
			m, err := g.conn.Do(context.Background(), message("GET", "/a", "", nil))
			switch {
			case err != nil:
				t.Error(err)
			case m.Response.Status == 200:
				ok.Add(1)
			case m.Response.Status == 429:
				busy.Add(1)
			}
		})
	}
	eventually(t, "three callers are told to come later", func() bool { return busy.Load() == 3 || t.Failed() })
	close(release)
	calls.Wait()
	if ok.Load() != 2 {
		t.Errorf("%d calls were answered", ok.Load())
	}
}

func TestALostConnectionIsMadeAgain(t *testing.T) {
	g := newGateway(t)
	g.run(t, g.config(), func(http.ResponseWriter, *http.Request) {})
	for range 3 {
		g.kind.Revoke(clock().ID, nil)
		eventually(t, "connected again", func() bool {
			_, err := g.conn.Do(t.Context(), message("GET", "/a", "", nil))
			return err == nil
		})
	}
	// A refusal later on is no reason to give up.
	g.host.closed.Store(true)
	refused := g.kind.Stats().Refused
	g.kind.Revoke(clock().ID, nil)
	eventually(t, "refused", func() bool { return g.kind.Stats().Refused > refused+1 })
	g.host.closed.Store(false)
	eventually(t, "connected again", func() bool { return g.conn.(core.Prober).Ready() == nil })
}

func TestStoppingLetsCallsInFlightEnd(t *testing.T) {
	g := newGateway(t)
	started, release := make(chan struct{}), make(chan struct{})
	stop := g.run(t, g.config(), func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
		if r.Context().Err() != nil {
			t.Error("the call was cancelled")
		}
		_, _ = w.Write([]byte("done"))
	})
	result := make(chan error, 1)
	go func() {
		m, err := g.conn.Do(context.Background(), message("GET", "/a", "", nil))
		if err == nil && m.Response.Status != 200 {
			err = fmt.Errorf("status %d", m.Response.Status)
		}
		result <- err
	}()
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "no new calls", func() bool { return g.conn.(core.Prober).Ready() != nil })
	close(release)
	if err := <-result; err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestTheDrainTimeEndsCallsThatTakeTooLong(t *testing.T) {
	g := newGateway(t)
	started, ended := make(chan struct{}), make(chan struct{})
	c := g.config()
	c.DrainTimeout = 20 * time.Millisecond
	stop := g.run(t, c, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		close(ended)
	})
	go func() { _, _ = g.conn.Do(context.Background(), message("GET", "/a", "", nil)) }()
	<-started
	if err := stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(guard):
		t.Error("the handler was not told")
	}
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	g := newGateway(t)
	good := g.config()
	for name, edit := range map[string]func(*service.Config){
		"no URL":     func(c *service.Config) { c.URL = "" },
		"https":      func(c *service.Config) { c.URL = "https://h/messaging/mqtt" },
		"no host":    func(c *service.Config) { c.URL = "wss:///messaging/mqtt" },
		"broken URL": func(c *service.Config) { c.URL = "wss://%" },
		"no vendor":  func(c *service.Config) { c.Vendor = "" },
		"no token":   func(c *service.Config) { c.Token = "" },
	} {
		c := good
		edit(&c)
		if err := service.Run(t.Context(), c, http.NotFoundHandler()); err == nil {
			t.Errorf("%s: Run began", name)
		}
	}
	c := good
	c.Token = "wrong"
	if err := service.Run(t.Context(), c, http.NotFoundHandler()); !errors.Is(err, service.ErrRefused) {
		t.Errorf("a wrong token: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c = good
	c.URL = "wss://127.0.0.1:1/messaging/mqtt"
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := service.Run(ctx, c, http.NotFoundHandler()); err != nil {
		t.Errorf("stopped before the first connection: %v", err)
	}
}
