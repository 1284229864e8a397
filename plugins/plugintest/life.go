package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func (h Harness) testCancelledBefore(t *testing.T) {
	c := h.open(t, h.System)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "Do with a cancelled ctx", func() {
		_, err := c.Do(ctx, h.message(core.BytesBody([]byte("too late"))))
		if core.ErrorCode(err) != core.Unavailable {
			t.Errorf("cancelled: %v (code %s), want unavailable", err, core.ErrorCode(err))
		}
	})
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	within(t, "Do after its deadline", func() {
		_, err := c.Do(late, h.message(core.BytesBody([]byte("too late"))))
		if core.ErrorCode(err) != core.Timeout {
			t.Errorf("deadline: %v (code %s), want timeout", err, core.ErrorCode(err))
		}
	})
	if err := h.call(c, []byte("and on")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func (h Harness) testCancelledDuring(t *testing.T) {
	if h.Hang == nil {
		t.Skip("the harness's system always answers")
	}
	c := h.open(t, h.System)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	within(t, "Do of a call that is never answered", func() {
		if _, err := c.Do(ctx, h.Hang()); core.ErrorCode(err) != core.Timeout {
			t.Errorf("deadline: %v (code %s), want timeout", err, core.ErrorCode(err))
		}
	})
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	within(t, "Do of a call that is given up", func() {
		if _, err := c.Do(ctx, h.Hang()); core.ErrorCode(err) != core.Unavailable {
			t.Errorf("cancelled: %v (code %s), want unavailable", err, core.ErrorCode(err))
		}
	})
	if err := h.call(c, []byte("and on")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// gate is a request body that gives its first half, tells that it was asked
// for, and gives the rest when it is let go. Like the body of an HTTP server,
// its Close waits for a Read in progress.
type gate struct {
	mu      sync.Mutex
	first   io.Reader
	asked   chan struct{}
	once    sync.Once
	release chan struct{}
	rest    io.Reader
}

func newGate(first, rest string) *gate {
	return &gate{
		first: strings.NewReader(first), rest: strings.NewReader(rest),
		asked: make(chan struct{}), release: make(chan struct{}),
	}
}

// Read gives the first half, then waits.
func (g *gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, err := g.first.Read(p); err == nil {
		return n, nil
	}
	g.once.Do(func() { close(g.asked) })
	<-g.release
	return g.rest.Read(p)
}

// Close waits for Read.
func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return nil
}

func (h Harness) testStalledBody(t *testing.T) {
	if h.IgnoresBody {
		t.Skip("the harness's system does not wait for the body")
	}
	c := h.open(t, h.System)
	g := newGate("one ", "two")
	defer close(g.release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-g.asked; cancel() }()
	within(t, "Do with a stalled body", func() {
		if _, err := c.Do(ctx, h.message(core.StreamBody(g, 7))); err == nil {
			t.Error("no error")
		}
	})
}

func (h Harness) testOdd(t *testing.T) {
	c := h.open(t, h.System)
	long := strings.Repeat("a", 10_000)
	odd := map[string]func(*core.Message){
		"zero":             func(m *core.Message) { *m = core.Message{} },
		"no request":       func(m *core.Message) { m.Request = core.Request{} },
		"no route":         func(m *core.Message) { m.Route = core.Route{} },
		"control bytes":    func(m *core.Message) { m.Route.Tail, m.Request.RawQuery = "a\r\nb\x00", "q=\r\n" },
		"a strange method": func(m *core.Message) { m.Request.Method = "G E T\r\n" },
		"a strange header": func(m *core.Message) { m.Request.Header = core.NewHeader("A b", "c", "X", "a\r\nY: b", "", "") },
		"long names":       func(m *core.Message) { m.Request.Header = core.NewHeader("X-"+long, long) },
		"a wrong size":     func(m *core.Message) { m.Request.Body = core.StreamBody(io.NopCloser(strings.NewReader("abc")), 5) },
		"a failing body": func(m *core.Message) {
			m.Request.Body = core.StreamBody(io.NopCloser(io.MultiReader(strings.NewReader("ab"), failing{})), 5)
		},
		"a taken body": func(m *core.Message) {
			_ = m.Request.Body.Open()
			m.Request.Body = core.StreamBody(io.NopCloser(strings.NewReader("abc")), 3)
			_ = m.Request.Body.Open()
		},
		"the wrong stage": func(m *core.Message) { m.Route.Stage = "no such stage" },
		"an answered one": func(m *core.Message) { m.Response = &core.Response{} },
	}
	for name, change := range odd {
		m := h.message(core.BytesBody([]byte("odd")))
		change(&m)
		within(t, "Do of an odd message: "+name, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if got, err := c.Do(ctx, m); err == nil && got.Answered() {
				_ = got.Response.Body.Close()
			}
		})
	}
	if err := h.call(c, []byte("and on")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

type failing struct{}

// Read fails.
func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (h Harness) testHammer(t *testing.T) {
	c := h.open(t, h.System)
	errs := make(chan error, 16)
	within(t, "the hammer", func() {
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 25 {
					if err := h.call(c, fmt.Appendf(nil, "call %d of caller %d", i, g)); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		wg.Wait()
	})
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func (h Harness) testCloseWaits(t *testing.T) {
	if h.IgnoresBody {
		t.Skip("the harness's system cannot be held")
	}
	c := h.open(t, h.System)
	g := newGate("one ", "two")
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		m, err := c.Do(ctx, h.message(core.StreamBody(g, 7)))
		cancel()
		if err == nil {
			err = h.echoed(m, []byte("one two"))
		}
		result <- err
	}()
	within(t, "the call's first read", func() { <-g.asked })
	closed := make(chan struct{})
	go func() { defer close(closed); _ = c.Close() }()
	time.Sleep(20 * time.Millisecond) // so that a Close which cuts has cut
	close(g.release)
	within(t, "the call", func() {
		if err := <-result; err != nil {
			t.Errorf("the call that was in flight: %v", err)
		}
	})
	within(t, "Close", func() { <-closed })
}

func (h Harness) testAfterClose(t *testing.T) {
	c := h.open(t, h.System)
	if err := h.call(c, []byte("before")); err != nil {
		t.Fatalf("Do: %v", err)
	}
	within(t, "Close", func() { _ = c.Close() })
	within(t, "Do after Close", func() {
		if _, err := c.Do(t.Context(), h.message(nil)); core.ErrorCode(err) != core.Unavailable {
			t.Errorf("Do after Close: %v (code %s), want unavailable", err, core.ErrorCode(err))
		}
	})
}

func (h Harness) testCloseTwice(t *testing.T) {
	c := h.open(t, h.System)
	for range 2 {
		within(t, "Close", func() {
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func (h Harness) testHammerClose(t *testing.T) {
	c := h.open(t, h.System)
	var good atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			for {
				err := h.call(c, []byte("until it closes"))
				if err == nil {
					good.Add(1)
					continue
				}
				if core.ErrorCode(err) != core.Unavailable {
					errs <- err
				}
				return
			}
		})
	}
	for stop := time.Now().Add(guard); good.Load() < 20 && time.Now().Before(stop); {
		time.Sleep(time.Millisecond)
	}
	within(t, "Close", func() { _ = c.Close() })
	within(t, "the callers", wg.Wait)
	close(errs)
	for err := range errs {
		t.Errorf("a call that met Close: %v (code %s), want success or unavailable", err, core.ErrorCode(err))
	}
}

func (h Harness) testAround(t *testing.T) {
	if !h.Around {
		t.Skip("no guests")
	}
	around, ok := h.open(t, h.System).(core.Around)
	if !ok {
		t.Fatal("announced core.Around, but the Conn has none")
	}
	for _, ask := range []bool{true, false} {
		v, err := around.Begin(t.Context())
		if err != nil {
			t.Fatalf("Begin: %v", err)
		}
		if ask {
			if err := h.visit(t.Context(), v); err != nil {
				t.Error(err)
			}
		}
		within(t, "Done", v.Done)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "Begin with a cancelled ctx", func() {
		if v, err := around.Begin(ctx); err == nil {
			v.Done()
		}
	})
}

// visit shows a guest the request and, if it is given on, an answer to it.
func (h Harness) visit(ctx context.Context, v core.Visit) error {
	m, err := v.Request(ctx, h.message(core.BytesBody([]byte("around"))))
	if err != nil || m.Answered() {
		return err
	}
	m, err = v.Response(ctx, m.Answer(core.Response{Status: 200, Body: core.BytesBody([]byte("answer"))}))
	if err != nil {
		return err
	}
	if !m.Answered() {
		return errors.New("the guest took the answer away")
	}
	return nil
}
