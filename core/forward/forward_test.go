package forward

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func TestRedirectsCookiesAndCodingsAreLeftToTheClient(t *testing.T) {
	everyWay(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			t.Errorf("a cookie came back: %q", r.Header.Get("Cookie"))
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("X-Asked", strings.Join(r.Header["Accept-Encoding"], "|"))
		w.Header().Set("Location", "https://169.254.169.254/")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, "no gzip at all")
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		for _, coding := range []string{"gzip", "br;q=1, gzip", ""} {
			req := get("/x")
			if coding != "" {
				req.Header.Set("Accept-Encoding", coding)
			}
			r, err := s.Do(t.Context(), req)
			if got := read(t, r, err); got != "no gzip at all" {
				t.Errorf("body %q", got)
			}
			if r.Status != 302 || r.Header.Get("Location") != "https://169.254.169.254/" || r.Header.Has("Set-Cookie") ||
				r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("X-Asked") != coding {
				t.Errorf("status %d, %v", r.Status, r.Header.Clone())
			}
		}
	})
}

func TestEventsComeOneByOneWhateverBecomesOfTheContext(t *testing.T) {
	next := make(chan int)
	everyWay(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range next {
			if n < 0 {
				return
			}
			_, _ = fmt.Fprintf(w, "data: %d\n\n", n)
			_ = http.NewResponseController(w).Flush()
		}
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { next <- 0 }()
		r, err := open(nil).Do(ctx, get("/x"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if r.Body.Size() != -1 {
			t.Errorf("size %d", r.Body.Size())
		}
		b := r.Body.Open()
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
		next <- -1
		if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
			t.Errorf("rest %q, %v", rest, err)
		}
		_ = b.Close()
	})
}

func TestClosingTheAnswerEndsTheExchange(t *testing.T) {
	gone := make(chan struct{}, 1)
	everyWay(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		for _, reading := range []bool{false, true} {
			r, err := s.Do(t.Context(), get("/x"))
			if err != nil {
				t.Fatal(err)
			}
			if s.InFlight() != 1 {
				t.Errorf("%d in flight, want 1", s.InFlight())
			}
			if b := io.ReadCloser(nil); reading {
				b = r.Body.Open()
				_, _ = io.ReadFull(b, make([]byte, 5))
				done := make(chan struct{})
				go func() { _, _ = b.Read(make([]byte, 1)); close(done) }()
				_ = b.Close()
				wait(t, "the reader", done)
			}
			_ = r.Body.Close()
			wait(t, "the server", gone)
			if s.InFlight() != 0 {
				t.Errorf("%d in flight, want 0", s.InFlight())
			}
		}
	})
}

// endless gives zeros and counts them.
type endless struct {
	given atomic.Int64
	limit int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := min(int64(len(p)), e.limit-e.given.Load())
	if n <= 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	e.given.Add(n)
	return int(n), nil
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	const size = 24 << 20
	everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		source := &endless{limit: size}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r, err := s.Do(t.Context(), post("/x", core.StreamBody(io.NopCloser(source), size)))
		if err != nil {
			t.Fatal(err)
		}
		b := r.Body.Open()
		buf := make([]byte, 32<<10)
		var got, ahead int64
		for err == nil {
			var n int
			n, err = b.Read(buf)
			got += int64(n)
			ahead = max(ahead, source.given.Load()-got)
		}
		_ = b.Close()
		runtime.ReadMemStats(&after)
		if got != size || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes came back, want %d: %v", got, size, err)
		}
		if ahead > size/2 {
			t.Errorf("%d bytes were on their way at once: something collects them", ahead)
		}
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > size/2 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
	})
}

func TestAnEarlyReplyDoesNotWaitForTheRequestBody(t *testing.T) {
	everyWay(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Length", "5")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "large")
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		pr, pw := io.Pipe()
		r, err := s.Do(t.Context(), post("/x", stream(pr)))
		if got := read(t, r, err); got != "large" || r.Status != 413 {
			t.Errorf("status %d, %q", r.Status, got)
		}
		_ = pw.CloseWithError(errors.New("the client went"))
		r, err = s.Do(t.Context(), get("/x"))
		read(t, r, err)
		eventually(t, "nothing in flight", func() bool { return s.InFlight() == 0 })
	})
}

func TestExpectContinueIsAskedOfTheServer(t *testing.T) {
	o := newRawOrigin(t, nil)
	o.serve(func(req *http.Request, w net.Conn) bool {
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
	r, err := o.Do(t.Context(), post("/refuse", core.StreamBody(io.NopCloser(source), 100), "Expect", "100-continue"))
	if got := read(t, r, err); got != "no" || r.Status != 401 || source.given.Load() != 0 {
		t.Errorf("status %d, %q, and %d bytes were read", r.Status, got, source.given.Load())
	}
	r, err = o.Do(t.Context(), post("/accept", core.StreamBody(io.NopCloser(source), 100), "Expect", "100-continue"))
	if got := read(t, r, err); len(got) != 100 {
		t.Errorf("%d bytes came back", len(got))
	}
}

// trailing is a body whose trailer is complete at its end.
type trailing struct {
	io.Reader
	trailer http.Header
}

func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.trailer["X-Sum"] = []string{"7"}
		b.trailer["Authorization"] = []string{"secret"}
	}
	return n, err
}

func (b *trailing) Close() error { return nil }

func TestTrailersPassBothWays(t *testing.T) {
	everyWay(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Answer, X-Te")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Answer", r.Trailer.Get("X-Sum")+"/"+r.Trailer.Get("Authorization"))
		w.Header().Set("X-Te", r.Header.Get("Te"))
		w.Header().Set(http.TrailerPrefix+"Set-Cookie", "bad")
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		in := &trailing{strings.NewReader("abc"), http.Header{"X-Sum": nil, "Authorization": nil, "Content-Length": nil, "X_y": nil}}
		req := post("/x", core.StreamBody(in, -1).WithTrailer(func() http.Header { return in.trailer }))
		req.Header.Set("Te", "trailers")
		r, err := open(nil).Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if _, announced := r.Body.Trailer()["X-Answer"]; !announced {
			t.Errorf("announced: %v", r.Body.Trailer())
		}
		if got := read(t, r, nil); got != "abc" {
			t.Errorf("body %q", got)
		}
		tr := r.Body.Trailer()
		if tr.Get("X-Answer") != "7/" || tr.Get("X-Te") != "trailers" || tr["Set-Cookie"] != nil {
			t.Errorf("trailer %v", tr)
		}
	})
}

func TestABodyAtHandKeepsItsTrailer(t *testing.T) {
	everyWay(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v %s", b, r.Trailer, r.Header.Get("Content-Length"))
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		trailer := http.Header{"X-Sum": {"7"}, "Authorization": {"secret"}, "Content-Length": {"1"}, "X_y": {"1"}}
		r, err := open(nil).Do(t.Context(), post("/x", core.BytesBody([]byte("abc")).WithTrailer(func() http.Header { return trailer })))
		if got := read(t, r, err); got != "abc map[X-Sum:[7]] " {
			t.Errorf("the server saw %q", got)
		}
	})
}

func handshake() Request {
	r := get("/ws", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	r.WebSocket = true
	return r
}

func TestAWebSocketBecomesATunnel(t *testing.T) {
	everyWay(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Websocket-Key") == "" || r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("handshake: %s %v", r.Proto, r.Header)
		}
		raw, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer raw.Close()
		_, _ = io.WriteString(raw, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: a\r\n\r\nhello")
		_, _ = io.Copy(raw, rw)
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := s.Do(ctx, handshake())
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != 101 || r.Upgraded == nil || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Sec-Websocket-Accept") == "" {
			t.Fatalf("status %d, %v", r.Status, r.Header.Clone())
		}
		first := make([]byte, 5)
		if _, err := io.ReadFull(r.Upgraded, first); err != nil || string(first) != "hello" {
			t.Errorf("what came with the handshake: %q, %v", first, err)
		}
		for n := range 5 {
			want := bytes.Repeat([]byte{byte(n)}, 1+n*10_000)
			go func() { _, _ = r.Upgraded.Write(want) }()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(r.Upgraded, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("echo of %d bytes: %v", len(want), err)
			}
		}
		if s.InFlight() != 1 {
			t.Errorf("%d in flight, want the tunnel", s.InFlight())
		}
		if err := r.Upgraded.Close(); err != nil || s.InFlight() != 0 {
			t.Errorf("%d in flight after Close, %v", s.InFlight(), err)
		}
		if _, err := r.Upgraded.Read(make([]byte, 1)); err == nil {
			t.Error("a closed tunnel can be read")
		}
	})
}

func TestWebSocketsThatTheServerRefusesAreOrdinaryAnswers(t *testing.T) {
	o := newRawOrigin(t, nil)
	o.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", true)
	r, err := o.Do(t.Context(), handshake())
	if got := read(t, r, err); got != "no" || r.Status != 403 || r.Upgraded != nil {
		t.Errorf("status %d, %q", r.Status, got)
	}
	o.say("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true)
	_, err = o.Do(t.Context(), handshake())
	fails(t, err, core.BadUpstream, "protocol that nobody asked for")
}

func TestTooManyInFlightAreUnavailable(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	c := dial(t, s, func(o *Options) { o.MaxInFlight = 3 })
	var held []core.Response
	for range 3 {
		r, err := c.Do(t.Context(), get("/x"))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, r)
	}
	body := stream(strings.NewReader("untouched"))
	_, err := c.Do(t.Context(), post("/x", body))
	fails(t, err, core.Unavailable, "3 calls are in flight")
	if b, err := body.Bytes(100); err != nil || string(b) != "untouched" {
		t.Errorf("the body of the refused call: %q, %v", b, err)
	}
	_ = held[0].Body.Close()
	r, err := c.Do(t.Context(), get("/x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(held, r) {
		_ = r.Body.Close()
	}
}

func TestCloseCutsWhatDoesNotEnd(t *testing.T) {
	everyWay(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(func(o *Options) { o.CloseTimeout = 20 * time.Millisecond })
		r, err := s.Do(t.Context(), get("/stream"))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := io.ReadAll(r.Body.Open())
			fails(t, err, core.Unavailable, "during the call")
		})
		wg.Go(func() {
			_, err := s.Do(t.Context(), get("/hang"))
			fails(t, err, core.Unavailable, "during the call")
		})
		eventually(t, "two calls in flight", func() bool { return s.InFlight() == 2 })
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if n := s.InFlight(); n != 0 {
			t.Errorf("%d in flight after Close", n)
		}
		_, err = s.Do(t.Context(), get("/x"))
		fails(t, err, core.Unavailable, "no longer called")
	})
}

func TestNoGoroutineOutlivesClose(t *testing.T) {
	everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		before := runtime.NumGoroutine()
		s := open(nil)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				_, _ = s.Do(ctx, get("/hang"))
				_ = s.Ready()
				if r, err := s.Do(ctx, post("/x", stream(strings.NewReader("abc")))); err == nil {
					_ = r.Body.Close()
				}
			})
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "goroutines back to the start", func() bool { return runtime.NumGoroutine() <= before })
	})
}

func TestTheContextBoundsTheCallUpToTheHeader(t *testing.T) {
	everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := s.Do(ctx, get("/hang"))
		fails(t, err, core.Timeout, "in the time that the call has")
		_, err = s.Do(ctx, get("/x"))
		fails(t, err, core.Timeout, "in the time that the call has")
		ctx, cancel = context.WithCancel(t.Context())
		pr, pw := io.Pipe()
		defer pw.Close()
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err = s.Do(ctx, post("/hang", stream(pr)))
		fails(t, err, core.Unavailable, "given up")
		if n := s.InFlight(); n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}

func TestStandstillsEnd(t *testing.T) {
	const limit = 60 * time.Millisecond
	short := func(o *Options) { o.IdleTimeout = limit }
	t.Run("of an answer's body", func(t *testing.T) {
		everyWay(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, func(t *testing.T, open func(func(*Options)) *Server) {
			t.Helper()
			r, err := open(short).Do(t.Context(), get("/x"))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body.Open())
			if string(b) != "a" {
				t.Errorf("read %q", b)
			}
			fails(t, err, core.Timeout, "silent")
		})
	})
	t.Run("of a client's body", func(t *testing.T) {
		everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
			t.Helper()
			pr, pw := io.Pipe()
			defer pw.Close()
			_, err := open(short).Do(t.Context(), post("/hang", stream(pr)))
			fails(t, err, core.Timeout, "the client has sent nothing")
		})
	})
	t.Run("of a server that takes no body", func(t *testing.T) {
		over := make(chan struct{})
		everyWay(t, func(http.ResponseWriter, *http.Request) { <-over }, func(t *testing.T, open func(func(*Options)) *Server) {
			t.Helper()
			defer func() { over <- struct{}{} }()
			_, err := open(short).Do(t.Context(), post("/x", stream(&endless{limit: 1 << 40})))
			fails(t, err, core.Timeout, "has taken nothing")
		})
	})
	t.Run("of a tunnel", func(t *testing.T) {
		o := newRawOrigin(t, short)
		stop := make(chan struct{})
		defer close(stop)
		o.serve(func(_ *http.Request, w net.Conn) bool {
			_, _ = io.WriteString(w, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
			<-stop
			return false
		})
		r, err := o.Do(t.Context(), handshake())
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Upgraded)
		if string(b) != "hello" {
			t.Errorf("read %q", b)
		}
		fails(t, err, core.Timeout, "silent")
		_ = r.Upgraded.Close()
		if o.InFlight() != 0 {
			t.Errorf("%d in flight", o.InFlight())
		}
	})
	t.Run("but not of an answer while the client sends", func(t *testing.T) {
		next := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_ = http.NewResponseController(w).Flush()
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n)
		}))
		defer s.Close()
		c := dial(t, s, func(o *Options) { o.IdleTimeout = 500 * time.Millisecond })
		pr, pw := io.Pipe()
		go func() {
			for range next {
				_, _ = pw.Write([]byte("x"))
			}
			_ = pw.Close()
		}()
		r, err := c.Do(t.Context(), post("/x", stream(pr)))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 20 { // one second in all, twice the limit
				time.Sleep(50 * time.Millisecond)
				next <- struct{}{}
			}
			close(next)
		}()
		if got := read(t, r, nil); got != "20" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("and no answer at all", func(t *testing.T) {
		everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
			t.Helper()
			_, err := open(func(o *Options) { o.AnswerTimeout = limit }).Do(t.Context(), get("/hang"))
			fails(t, err, core.Timeout, "did not answer in time")
		})
	})
}

func TestFailuresOfTheClientAreItsOwn(t *testing.T) {
	everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(nil)
		for text, c := range map[string]struct {
			err  error
			code core.Code
		}{
			"broke off":           {io.ErrUnexpectedEOF, core.Invalid},
			"larger than 7 bytes": {&http.MaxBytesError{Limit: 7}, core.TooLarge},
			"used up":             {core.ErrBodyTaken, core.Internal},
			"our own":             {core.Errorf(core.TooMany, "our own"), core.TooMany},
		} {
			pr, pw := io.Pipe()
			go func() { _, _ = pw.Write([]byte("ab")); _ = pw.CloseWithError(c.err) }()
			_, err := s.Do(t.Context(), post("/hang", stream(pr)))
			fails(t, err, c.code, text)
		}
		if err := s.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

func TestTrustGuardAndDial(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer s.Close()
	plain := httptest.NewServer(http.HandlerFunc(echo))
	defer plain.Close()
	host := strings.TrimPrefix(s.URL, "https://")
	_, port, _ := net.SplitHostPort(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	good := x509.NewCertPool()
	good.AddCert(s.Certificate())
	var pool atomic.Pointer[x509.CertPool]
	trust := func(o *Options) { o.Trust = pool.Load }
	for text, c := range map[string]struct {
		scheme, host string
		pool         *x509.CertPool
		change       func(*Options)
	}{
		"is not trusted; add":       {"https", host, x509.NewCertPool(), trust},
		"is not trusted":            {"https", host, nil, trust},
		"cannot be verified":        {"https", host, nil, nil}, // the machine's authorities do not know it
		"is for another name":       {"https", "localhost:" + port, good, trust},
		"does not speak TLS":        {"https", strings.TrimPrefix(plain.URL, "http://"), good, trust},
		"nobody listens":            {"http", nobody, nil, nil},
		"not known to the name":     {"http", "nobody.invalid", nil, func(o *Options) { o.Resolver = deaf() }},
		"address that this gateway": {"http", nobody, nil, func(o *Options) { o.Guard = func(netip.AddrPort) error { return errors.New("no") } }},
	} {
		pool.Store(c.pool)
		srv := open(t, c.scheme, c.host, c.change)
		if err := srv.Ready(); err != nil {
			t.Errorf("%s: not ready before anything is known: %v", text, err)
		}
		_, err := srv.Do(t.Context(), get("/x"))
		switch text {
		case "cannot be verified": // says one of two things, depending on the machine
			fails(t, err, core.BadUpstream, "its certificate")
		case "not known to the name":
			fails(t, err, core.BadUpstream, "name service")
		default:
			fails(t, err, core.BadUpstream, text)
		}
		if err := srv.Ready(); err == nil {
			t.Errorf("%s: ready", text)
		}
	}
	t.Run("a new pool counts from the next call", func(t *testing.T) {
		pool.Store(good)
		srv := open(t, "https", host, trust)
		r, err := srv.Do(t.Context(), get("/x"))
		read(t, r, err)
		pool.Store(x509.NewCertPool())
		_, err = srv.Do(t.Context(), get("/x"))
		fails(t, err, core.BadUpstream, "not trusted")
		pool.Store(good)
		r, err = srv.Do(t.Context(), get("/x"))
		read(t, r, err)
		if len(srv.gen.conns) != 1 {
			t.Errorf("%d connections", len(srv.gen.conns))
		}
	})
}

// deaf is a resolver that reaches no name server.
func deaf() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("deaf") }}
}

func TestReadinessFindsOutByItself(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	_ = l.Close()
	s := open(t, "http", host, nil)
	eventually(t, "a dead server is noticed without a call", func() bool { return s.Ready() != nil })
	fails(t, s.Ready(), core.BadUpstream, "nobody listens")
	l, err = net.Listen("tcp", host)
	if err != nil {
		t.Skip("the port is somebody else's by now")
	}
	defer l.Close()
	eventually(t, "one that is back too", func() bool { return s.Ready() == nil })

	up, pool := rawTLS(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	s = open(t, "https", up, func(o *Options) { o.Trust = func() *x509.CertPool { return pool } })
	_ = s.Ready()
	eventually(t, "a probe to succeed", func() bool { return s.health.last.Load() > 0 })
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	s = open(t, "https", up, func(o *Options) { o.Trust = func() *x509.CertPool { return nil } })
	eventually(t, "a certificate that is not trusted is noticed", func() bool { return s.Ready() != nil })

	stuck := make(chan struct{})
	defer close(stuck)
	silent, _ := net.Listen("tcp", "127.0.0.1:0")
	defer silent.Close()
	s = open(t, "https", silent.Addr().String(), nil)
	_ = s.Ready()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_ = s.Ready() // starts nothing any more
}

func TestNoRequestIsSentThatWouldBeMisread(t *testing.T) {
	o := newRawOrigin(t, nil)
	o.say(ok, true)
	for name, r := range map[string]Request{
		"a method with a space":     {Method: "GET /", Path: "/x"},
		"no method":                 {Path: "/x"},
		"CONNECT":                   {Method: "CONNECT", Path: "/x"},
		"no path":                   {Method: "GET"},
		"a path without a slash":    {Method: "GET", Path: "x"},
		"a path that is a host":     {Method: "GET", Path: "//x"},
		"a space in the path":       {Method: "GET", Path: "/ HTTP/1.1"},
		"a line feed in the path":   {Method: "GET", Path: "/\n"},
		"a query in the path":       {Method: "GET", Path: "/?a"},
		"a fragment in the path":    {Method: "GET", Path: "/#a"},
		"a byte beyond ASCII":       {Method: "GET", Path: "/é"},
		"a space in the query":      {Method: "GET", Path: "/", Query: "a b"},
		"a fragment in the query":   {Method: "GET", Path: "/", Query: "a#b"},
		"a line feed in the query":  {Method: "GET", Path: "/", Query: "a\r\nX: y"},
		"a NUL in the query":        {Method: "GET", Path: "/", Query: "\x00"},
		"a delete sign in the path": {Method: "GET", Path: "/\x7f"},
	} {
		r.Header = http.Header{}
		_, err := o.Do(t.Context(), r)
		if code := core.ErrorCode(err); err == nil || code != core.Invalid && code != core.NotAllowed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := o.accepted.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestHammerCallsAndClose(t *testing.T) {
	everyWay(t, echo, func(t *testing.T, open func(func(*Options)) *Server) {
		t.Helper()
		s := open(func(o *Options) { o.CloseTimeout = time.Second })
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for range 40 {
					ctx, cancel := context.WithCancel(t.Context())
					r, err := s.Do(ctx, post("/x", stream(strings.NewReader("abc"))))
					if n%2 == 0 {
						cancel()
					}
					_ = s.Ready()
					if err == nil {
						_, err = io.ReadAll(r.Body.Open())
					}
					cancel()
					if err != nil && core.ErrorCode(err) != core.Unavailable {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() { time.Sleep(30 * time.Millisecond); _ = s.Close() })
		wg.Wait()
		if n := s.InFlight(); n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}
