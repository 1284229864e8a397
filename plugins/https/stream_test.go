package https

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func protocols() map[string]func(*httptest.Server) {
	return map[string]func(*httptest.Server){"over HTTP 1": nil, "over HTTP 2": overHTTP2}
}

func TestRedirectsAndCookiesAreLeftToTheClient(t *testing.T) {
	ca := newAuthority(t, "ca")
	var calls atomic.Int64
	s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Header.Get("Cookie") != "" {
			t.Errorf("a cookie came back: %q", r.Header.Get("Cookie"))
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "https://169.254.169.254/", http.StatusFound)
	}), nil)
	c := ca.dial(t, s.URL, nil)
	for range 2 {
		m, err := c.Do(t.Context(), get("x"))
		read(t, m, err)
		if m.Response.Status != 302 || m.Response.Header.Get("Location") != "https://169.254.169.254/" || m.Response.Header.Has("Set-Cookie") {
			t.Errorf("status %d, %v", m.Response.Status, m.Response.Header.Clone())
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls", calls.Load())
	}
}

func TestContentCodingsPassAsTheyAre(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Repeat([]byte("bomb"), 1<<16))
	_ = w.Close()
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			var accepted atomic.Value
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				accepted.Store(strings.Join(r.Header["Accept-Encoding"], "|"))
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(packed.Bytes())
			}), change)
			c := ca.dial(t, s.URL, nil)
			for _, coding := range []string{"gzip", "br;q=1, gzip", "identity"} {
				m, err := c.Do(t.Context(), get("x", "Accept-Encoding", coding))
				if got := read(t, m, err); got != packed.String() || m.Response.Header.Get("Content-Encoding") != "gzip" {
					t.Errorf("%d bytes, coding %q", len(got), m.Response.Header.Get("Content-Encoding"))
				}
				if accepted.Load() != coding {
					t.Errorf("the endpoint saw %q, want %q", accepted.Load(), coding)
				}
			}
		})
	}
}

func TestEventsComeOneByOne(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			next := make(chan int)
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for n := range next {
					_, _ = fmt.Fprintf(w, "data: %d\n\n", n)
					_ = http.NewResponseController(w).Flush()
				}
			}), change)
			c := ca.dial(t, s.URL, nil)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { next <- 0 }()
			m, err := c.Do(ctx, get("x"))
			if err != nil {
				t.Fatal(err)
			}
			cancel() // the time limit of Do does not reach the stream
			if m.Response.Body.Size() != -1 {
				t.Errorf("size %d", m.Response.Body.Size())
			}
			b := m.Response.Body.Open()
			events := bufio.NewReader(b)
			for n := range 5 {
				if n > 0 {
					next <- n
				}
				line, err := events.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", n); err != nil || line != want {
					t.Fatalf("event %q, %v, want %q", line, err, want)
				}
				_, _ = events.ReadString('\n')
			}
			close(next)
			if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
				t.Errorf("rest %q, %v", rest, err)
			}
			_ = b.Close()
		})
	}
}

func TestClosingTheAnswerEndsTheExchange(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			gone := make(chan struct{})
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "first")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				close(gone)
			}), change)
			c := ca.dial(t, s.URL, nil)
			m, err := c.Do(t.Context(), get("x"))
			if err != nil {
				t.Fatal(err)
			}
			if inFlight(c) != 1 {
				t.Errorf("%d in flight, want 1", inFlight(c))
			}
			if err := m.Response.Body.Close(); err != nil {
				t.Error(err)
			}
			wait(t, "the endpoint", gone)
			if inFlight(c) != 0 {
				t.Errorf("%d in flight, want 0", inFlight(c))
			}
		})
	}
}

func wait(tb testing.TB, what string, c <-chan struct{}) {
	tb.Helper()
	select {
	case <-c:
	case <-time.After(guard):
		tb.Fatalf("%s: not after %s", what, guard)
	}
}

// endless gives zeros and counts them.
type endless struct {
	given atomic.Int64
	limit int64
}

// Read gives as much as is asked for, up to the limit.
func (e *endless) Read(p []byte) (int, error) {
	if e.given.Load() >= e.limit {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.limit-e.given.Load())
	clear(p[:n])
	e.given.Add(n)
	return int(n), nil
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	const size = 24 << 20
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(echo), change)
			c := ca.dial(t, s.URL, nil)
			source := &endless{limit: size}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			m, err := c.Do(t.Context(), post("x", core.StreamBody(io.NopCloser(source), size)))
			if err != nil {
				t.Fatal(err)
			}
			b := m.Response.Body.Open()
			buf := make([]byte, 32<<10)
			var got, ahead int64
			for {
				n, err := b.Read(buf)
				got += int64(n)
				ahead = max(ahead, source.given.Load()-got)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			_ = b.Close()
			runtime.ReadMemStats(&after)
			if got != size {
				t.Errorf("%d bytes came back, want %d", got, size)
			}
			if ahead > size/2 {
				t.Errorf("%d bytes were on their way at once: something collects them", ahead)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > size/2 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

func TestAnEarlyReplyDoesNotWaitForTheRequestBody(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.Header().Set("Content-Length", "5")
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				_, _ = io.WriteString(w, "large")
			}), change)
			c := ca.dial(t, s.URL, nil)
			pr, pw := io.Pipe()
			m, err := c.Do(t.Context(), post("x", core.StreamBody(pr, -1)))
			if got := read(t, m, err); got != "large" || m.Response.Status != 413 {
				t.Errorf("status %d, %q", m.Response.Status, got)
			}
			if _, err := pw.Write([]byte("late")); err == nil {
				_, err = pw.Write([]byte("later"))
				if err == nil {
					t.Error("the request body is still being read")
				}
			}
			m, err = c.Do(t.Context(), get("x"))
			read(t, m, err)
		})
	}
}

func TestExpectContinueIsAskedOfTheEndpoint(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	c := ca.dial(t, o.url, nil)
	o.serve(func(req *http.Request, w io.Writer) bool {
		if req.Header.Get("Expect") != "100-continue" {
			t.Errorf("Expect is %q", req.Header.Get("Expect"))
		}
		if req.URL.Path == "/refuse" {
			_, _ = io.WriteString(w, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
			return false
		}
		_, _ = io.WriteString(w, "HTTP/1.1 100 Continue\r\n\r\n")
		b, _ := io.ReadAll(req.Body)
		_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		return true
	})
	source := &endless{limit: 100}
	m := post("refuse", core.StreamBody(io.NopCloser(source), 100))
	m.Request.Header = m.Request.Header.With("Expect", "100-continue")
	m, err := c.Do(t.Context(), m)
	if got := read(t, m, err); got != "no" || m.Response.Status != 401 || source.given.Load() != 0 {
		t.Errorf("status %d, %q, and %d bytes were read", m.Response.Status, got, source.given.Load())
	}
	m = post("accept", core.StreamBody(io.NopCloser(source), 100))
	m.Request.Header = m.Request.Header.With("Expect", "100-continue")
	m, err = c.Do(t.Context(), m)
	if got := read(t, m, err); len(got) != 100 {
		t.Errorf("%d bytes came back", len(got))
	}
}

// trailing is a body whose trailer is complete at its end.
type trailing struct {
	io.Reader
	trailer http.Header
}

// Read fills the trailer in at the end.
func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.trailer["X-Sum"] = []string{"7"}
		b.trailer["Authorization"] = []string{"secret"}
	}
	return n, err
}

// Close does nothing.
func (b *trailing) Close() error { return nil }

func TestTrailersPassBothWays(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Answer, X-Te")
				_, _ = io.Copy(w, r.Body)
				w.Header().Set("X-Answer", r.Trailer.Get("X-Sum")+"/"+r.Trailer.Get("Authorization"))
				w.Header().Set("X-Te", r.Header.Get("Te"))
				w.Header().Set(http.TrailerPrefix+"Set-Cookie", "bad")
			}), change)
			c := ca.dial(t, s.URL, nil)
			in := &trailing{strings.NewReader("abc"), http.Header{"X-Sum": nil, "Authorization": nil, "Content-Length": nil}}
			m := post("x", core.StreamBody(in, -1).WithTrailer(func() http.Header { return in.trailer }))
			m.Request.Header = m.Request.Header.With("Te", "deflate;q=0.5, trailers")
			m, err := c.Do(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if _, announced := m.Response.Body.Trailer()["X-Answer"]; !announced {
				t.Errorf("announced: %v", m.Response.Body.Trailer())
			}
			if got := read(t, m, nil); got != "abc" {
				t.Errorf("body %q", got)
			}
			tr := m.Response.Body.Trailer()
			if tr.Get("X-Answer") != "7/" || tr.Get("X-Te") != "trailers" || tr["Set-Cookie"] != nil {
				t.Errorf("trailer %v", tr)
			}
		})
	}
}

func TestAWebSocketBecomesATunnel(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" || strings.Contains(r.Header.Get("Cookie"), "vcloud_jwt") {
					t.Errorf("credentials in the handshake: %v", r.Header)
				}
				if r.Header.Get("Sec-Websocket-Key") == "" || r.Header.Get("Upgrade") != "websocket" || r.ProtoMajor != 1 {
					t.Errorf("handshake: %s %v", r.Proto, r.Header)
				}
				raw, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = raw.Close() }()
				_, _ = io.WriteString(raw, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: a\r\n\r\nhello")
				_, _ = io.Copy(raw, rw)
			}), change)
			c := ca.dial(t, s.URL, nil)
			ctx, cancel := context.WithCancel(t.Context())
			m, err := c.Do(ctx, handshake("vcloud_jwt=secret"))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			r := m.Response
			if r.Status != 101 || r.Upgraded == nil || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Sec-Websocket-Accept") == "" {
				t.Fatalf("status %d, %v", r.Status, r.Header.Clone())
			}
			first := make([]byte, 5)
			if _, err := io.ReadFull(r.Upgraded, first); err != nil || string(first) != "hello" {
				t.Errorf("what came with the handshake: %q, %v", first, err)
			}
			for n := range 10 {
				want := bytes.Repeat([]byte{byte(n)}, 1+n*10_000)
				go func() { _, _ = r.Upgraded.Write(want) }()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(r.Upgraded, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("echo of %d bytes: %v", len(want), err)
				}
			}
			if inFlight(c) != 1 {
				t.Errorf("%d in flight, want the tunnel", inFlight(c))
			}
			if err := r.Upgraded.Close(); err != nil {
				t.Error(err)
			}
			if inFlight(c) != 0 {
				t.Errorf("%d in flight after Close", inFlight(c))
			}
			if _, err := r.Upgraded.Read(make([]byte, 1)); err == nil {
				t.Error("a closed tunnel can be read")
			}
		})
	}
}

func handshake(cookie string) core.Message {
	m := get("ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13",
		"Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Cookie", cookie, "Authorization", "Bearer secret")
	m.Request.Upgrade = "websocket"
	return m
}

func TestWebSocketsThatTheEndpointRefusesAreOrdinaryAnswers(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	c := ca.dial(t, o.url, nil)
	o.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", true)
	m, err := c.Do(t.Context(), handshake(""))
	if got := read(t, m, err); got != "no" || m.Response.Status != 403 || m.Response.Upgraded != nil {
		t.Errorf("status %d, %q", m.Response.Status, got)
	}
	o.say("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true)
	_, err = c.Do(t.Context(), handshake(""))
	fails(t, err, core.BadUpstream, "protocol that nobody asked for")
}

func TestASilentTunnelEnds(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	stop := make(chan struct{})
	defer close(stop)
	o.serve(func(_ *http.Request, w io.Writer) bool {
		_, _ = io.WriteString(w, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		<-stop
		return false
	})
	c := ca.dial(t, o.url, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
	m, err := c.Do(t.Context(), handshake(""))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m.Response.Upgraded)
	if string(b) != "hello" {
		t.Errorf("read %q", b)
	}
	fails(t, err, core.Timeout, "silent")
	_ = m.Response.Upgraded.Close()
	if inFlight(c) != 0 {
		t.Errorf("%d in flight", inFlight(c))
	}
}

func TestTooManyInFlightAreUnavailable(t *testing.T) {
	ca := newAuthority(t, "ca")
	s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}), nil)
	c := ca.dial(t, s.URL, func(o *Options) { o.MaxInFlight = 3 })
	var open []core.Message
	for range 3 {
		m, err := c.Do(t.Context(), get("x"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, m)
	}
	body := core.StreamBody(io.NopCloser(strings.NewReader("untouched")), 9)
	_, err := c.Do(t.Context(), post("x", body))
	fails(t, err, core.Unavailable, "3 calls are in flight")
	if b, err := body.Bytes(100); err != nil || string(b) != "untouched" {
		t.Errorf("the body of the refused call: %q, %v", b, err)
	}
	_ = open[0].Response.Body.Close()
	m, err := c.Do(t.Context(), get("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(open, m) {
		_ = m.Response.Body.Close()
	}
}

func TestCloseCutsWhatDoesNotEnd(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}), change)
			c := ca.dial(t, s.URL, func(o *Options) { o.CloseTimeout = 20 * time.Millisecond })
			m, err := c.Do(t.Context(), get("stream"))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := io.ReadAll(m.Response.Body.Open())
				fails(t, err, core.Unavailable, "disabled, changed or deleted")
			})
			wg.Go(func() {
				_, err := c.Do(t.Context(), get("hang"))
				fails(t, err, core.Unavailable, "disabled, changed or deleted")
			})
			eventually(t, "two calls in flight", func() bool { return inFlight(c) == 2 })
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if n := inFlight(c); n != 0 {
				t.Errorf("%d in flight after Close", n)
			}
		})
	}
}

func TestNoGoroutineOutlivesClose(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(echo), change)
			before := runtime.NumGoroutine()
			c := ca.dial(t, s.URL, nil)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					defer cancel()
					_, _ = c.Do(ctx, get("hang"))
					m, err := c.Do(t.Context(), post("x", core.StreamBody(io.NopCloser(strings.NewReader("abc")), -1)))
					if err == nil {
						_ = m.Response.Body.Close()
					}
				})
			}
			wg.Wait()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			eventually(t, "goroutines back to the start", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}
