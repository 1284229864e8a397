package wasm

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func TestABodyIsGatheredAlsoByAGuestWithTicks(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{Config: []byte(`"tick queue"`), Concurrency: 1})
	passed, _, _ := carry(t, c, testMessage(streamOf("one", "two"), "X-Test", "hold"), theirs)
	if got := bodyOf(t, passed.Request.Body); got != "[3:0 6:0 6:1 onetwo]" {
		t.Errorf("the request: %q", got)
	}
	_, _, got := carry(t, c, testMessage(nil, "X-Answer", "hold"), func(m core.Message) core.Message {
		return answered(m, 200, streamOf("one", "two"))
	})
	if got != "[3:0 6:0 6:1 onetwo]" {
		t.Errorf("the answer: %q", got)
	}
}

func TestAHeldPieceGoesOnBeforeTheNextIsThere(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{Config: []byte(`"tick"`), Concurrency: 1})
	v, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Done()
	if _, err = v.Request(t.Context(), testMessage(nil, "X-Answer", "piece-by-tick")); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	m, err := v.Response(t.Context(), answered(testMessage(nil), 200, core.StreamBody(r, -1)))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Response.Body.Open()
	for _, piece := range []string{"one", "two"} {
		go func() { _, _ = io.WriteString(w, piece) }()
		b := make([]byte, 10)
		if n, err := got.Read(b); string(b[:n]) != piece || err != nil {
			t.Fatalf("got %q, %v", b[:n], err)
		}
	}
	_ = w.Close()
	if rest, err := io.ReadAll(got); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestABodyDoesNotPassAGuestThatWaitsForACallout(t *testing.T) {
	release := make(chan struct{})
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer there.Close()
	set := core.WASMSettings{Concurrency: 1, Clusters: map[string]string{"there": there.URL}}
	_, c := proxyGuest(t, Options{Guard: func(netip.AddrPort) error { return nil }}, set)
	blocked := func(t *testing.T, header ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		v, _ := c.Begin(ctx)
		defer v.Done()
		m := testMessage(core.BytesBody([]byte("body")), append(header, "X-Cluster", "there", "X-Path", "/")...)
		if _, err := v.Request(ctx, m); core.ErrorCode(err) != core.Timeout {
			t.Errorf("got %v", err)
		}
	}
	defer close(release)
	t.Run("that it began as the plugin, not as the call", func(t *testing.T) {
		blocked(t, "X-Test", "call", "X-As", "root")
	})
	t.Run("that another call began", func(t *testing.T) { blocked(t, "X-Test", "pause") })
}

func TestAPluginThatWorksBesideTheCallsIsStartedAgain(t *testing.T) {
	f, c := proxyGuest(t, Options{Retry: time.Millisecond}, core.WASMSettings{Config: []byte(`"tick"`), Concurrency: 1})
	ticks := func() (n float64) {
		for m := range f.kind.Metrics() {
			if m.Name == "ticks" {
				n = m.Value
			}
		}
		return n
	}
	v, _ := c.Begin(t.Context())
	if _, err := v.Request(t.Context(), testMessage(nil, "X-Test", "trap")); err == nil {
		t.Fatal("the guest does not trap")
	}
	v.Done()
	was := ticks()
	for end := time.Now().Add(20 * time.Second); ticks() < was+2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("there are no more ticks")
		}
	}
}
