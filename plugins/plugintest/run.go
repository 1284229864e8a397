package plugintest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// Run checks that the kind of h keeps the promises of core.Kind and core.Conn.
// Its tests run one after another, with at most one Conn open at a time.
func Run(t *testing.T, h Harness) {
	t.Helper()
	t.Run("the name is a fixed word", h.testName)
	t.Run("stages are known, distinct and the kind's own", h.testStages)
	t.Run("optional abilities are as announced", h.testAbilities)
	t.Run("Check accepts a valid registration and leaves it alone", h.testCheckValid)
	t.Run("Check refuses with code invalid", h.testCheckInvalid)
	t.Run("a system can be opened again after Close", h.testReopen)
	t.Run("a dead peer is an error of Do, not of Open", h.testDeadPeer)
	t.Run("Do answers or passes on", h.testEcho)
	t.Run("at the response stage the message stays answered", h.testAnswered)
	t.Run("a message without a body is fine", h.testNoBody)
	t.Run("a streamed body arrives whole", h.testStreamedBody)
	t.Run("the message given in is not altered", h.testUnaltered)
	t.Run("the response body outlives Do and its context", h.testOutlives)
	t.Run("Do does not start when ctx has ended", h.testCancelledBefore)
	t.Run("Do returns soon after ctx ends", h.testCancelledDuring)
	t.Run("Do returns soon after ctx ends while the caller's body stalls", h.testStalledBody)
	t.Run("odd messages make no panic", h.testOdd)
	t.Run("hammer: many callers get their own answers", h.testHammer)
	t.Run("Close lets calls in flight end", h.testCloseWaits)
	t.Run("Do after Close is unavailable", h.testAfterClose)
	t.Run("Close twice is harmless", h.testCloseTwice)
	t.Run("hammer: Close among many callers", h.testHammerClose)
	t.Run("a guest stands around a call", h.testAround)
}

func (h Harness) testName(t *testing.T) {
	name := h.Kind.Name()
	if name == "" || name != strings.TrimSpace(name) {
		t.Errorf("Name() = %q, want a word", name)
	}
	if again := h.Kind.Name(); again != name {
		t.Errorf("Name() = %q, then %q", name, again)
	}
	if h.System.Kind != name {
		t.Errorf("the harness's system has kind %q, want %q", h.System.Kind, name)
	}
}

func (h Harness) testStages(t *testing.T) {
	stages := h.Kind.Stages()
	if len(stages) == 0 {
		t.Fatal("no stages: systems of this kind can stand nowhere")
	}
	for i, s := range stages {
		if !slices.Contains(core.Stages(), s) {
			t.Errorf("stage %q is none of the road", s)
		}
		if slices.Contains(stages[:i], s) {
			t.Errorf("stage %q is there twice", s)
		}
	}
	before := slices.Clone(stages)
	stages[0] = "scribble"
	if !slices.Equal(h.Kind.Stages(), before) {
		t.Error("who changes the result of Stages() changes the kind")
	}
}

func (h Harness) testAbilities(t *testing.T) {
	m, mounts := h.Kind.(core.Mounter)
	if mounts != h.Mounts {
		t.Errorf("core.Mounter: %v, announced %v", mounts, h.Mounts)
	}
	if mounts {
		if path, handler := m.Mount(); !strings.HasPrefix(path, "/") || handler == nil {
			t.Errorf("Mount() = %q, %v: want an absolute path and a handler", path, handler)
		}
	}
	r, revokes := h.Kind.(core.Revoker)
	if revokes != h.Revokes {
		t.Errorf("core.Revoker: %v, announced %v", revokes, h.Revokes)
	}
	if revokes {
		within(t, "Revoke of a system that has no session", func() { r.Revoke(h.System.ID+"-unknown", nil) })
	}
	if p, ok := h.Kind.(core.Prober); ok {
		within(t, "Ready of the kind", func() { _ = p.Ready() })
	}
	c := h.open(t, h.System)
	if _, around := c.(core.Around); around != h.Around {
		t.Errorf("core.Around: %v, announced %v", around, h.Around)
	}
	if p, ok := c.(core.Prober); ok {
		within(t, "Ready of the Conn", func() { _ = p.Ready() })
	}
}

func (h Harness) testCheckValid(t *testing.T) {
	sys := h.System
	settings := slices.Clone(sys.Settings)
	for range 2 {
		if err := h.Kind.Check(t.Context(), sys); err != nil {
			t.Errorf("Check: %v", err)
		}
	}
	if !bytes.Equal(sys.Settings, settings) {
		t.Error("Check changed the settings")
	}
	if h.Dead != nil {
		if err := h.Kind.Check(t.Context(), *h.Dead); err != nil {
			t.Errorf("Check of a system whose peer is not there: %v", err)
		}
	}
}

func (h Harness) testCheckInvalid(t *testing.T) {
	if len(h.Invalid) == 0 {
		t.Fatal("the harness names no invalid registration")
	}
	for _, why := range slices.Sorted(maps.Keys(h.Invalid)) {
		t.Run(why, func(t *testing.T) {
			sys := h.Invalid[why]
			settings := slices.Clone(sys.Settings)
			err := h.Kind.Check(t.Context(), sys)
			var e *core.Error
			switch {
			case err == nil:
				t.Error("accepted")
			case !errors.As(err, &e) || e.Code != core.Invalid:
				t.Errorf("refused with %v (code %s), want a *core.Error with code %q", err, core.ErrorCode(err), core.Invalid)
			case e.Message == "":
				t.Error("refused without a reason")
			}
			if !bytes.Equal(sys.Settings, settings) {
				t.Error("Check changed the settings")
			}
		})
	}
}

func (h Harness) testReopen(t *testing.T) {
	for range 3 {
		c, err := h.Kind.Open(t.Context(), h.System)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		if err := h.call(c, []byte("again")); err != nil {
			t.Errorf("Do: %v", err)
		}
		within(t, "Close", func() {
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func (h Harness) testDeadPeer(t *testing.T) {
	if h.Dead == nil {
		t.Skip("systems of this kind have no peer")
	}
	c := h.open(t, *h.Dead)
	err := h.call(c, []byte("is anybody there?"))
	if !slices.Contains([]core.Code{core.Unavailable, core.BadUpstream, core.Timeout}, core.ErrorCode(err)) {
		t.Errorf("Do: %v (code %s), want unavailable, bad upstream or timeout", err, core.ErrorCode(err))
	}
	if err != nil && core.ErrorMessage(err) == "" {
		t.Error("the error says nothing")
	}
}

func (h Harness) testEcho(t *testing.T) {
	c := h.open(t, h.System)
	for _, body := range []string{"x", "täglich", strings.Repeat("0123456789abcdef", 4096)} {
		if err := h.call(c, []byte(body)); err != nil {
			t.Errorf("%d bytes: %v", len(body), err)
		}
	}
}

func (h Harness) testAnswered(t *testing.T) {
	stands := slices.Contains(h.Kind.Stages(), core.OnResponse)
	if h.Answered == nil {
		t.Skip("the harness's system does not stand at the response stage")
	}
	if !stands {
		t.Fatal("the harness has Answered, but the kind does not serve the response stage")
	}
	c := h.open(t, h.System)
	m := h.Answered(core.BytesBody([]byte("the answer")))
	was := *m.Response
	got, err := c.Do(t.Context(), m)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	if !got.Answered() {
		t.Fatal("the answer is gone")
	}
	if err := sameBody(got.Response.Body, []byte("the answer")); err != nil {
		t.Error(err)
	}
	if m.Response.Status != was.Status || !maps.EqualFunc(m.Response.Header.Clone(), was.Header.Clone(), slices.Equal) || m.Response.Body != was.Body {
		t.Error("the response given in was altered")
	}
}

func (h Harness) testNoBody(t *testing.T) {
	c := h.open(t, h.System)
	for _, b := range []*core.Body{nil, core.BytesBody(nil)} {
		m, err := c.Do(t.Context(), h.message(b))
		if err != nil {
			t.Fatalf("Do: %v", err)
		}
		if err := h.echoed(m, nil); err != nil {
			t.Error(err)
		}
	}
}

func (h Harness) testStreamedBody(t *testing.T) {
	c := h.open(t, h.System)
	body := []byte(strings.Repeat("streamed ", 20_000))
	for _, size := range []int64{-1, int64(len(body))} {
		m, err := c.Do(t.Context(), h.message(core.StreamBody(io.NopCloser(&trickle{rest: body}), size)))
		if err != nil {
			t.Fatalf("Do with size %d: %v", size, err)
		}
		if err := h.echoed(m, body); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// trickle gives its bytes in pieces of odd sizes.
type trickle struct{ rest []byte }

// Read gives the next piece.
func (r *trickle) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1237)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (h Harness) testUnaltered(t *testing.T) {
	c := h.open(t, h.System)
	body := []byte("do not touch")
	m := h.message(core.BytesBody(body))
	fields := m.Request.Header.Clone()
	m.Request.Header = core.HeaderOf(fields)
	before := m
	want := m.Request.Header.Clone()
	got, err := c.Do(t.Context(), m)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	if err := h.echoed(got, body); err != nil {
		t.Error(err)
	}
	if !maps.EqualFunc(fields, want, slices.Equal) {
		t.Errorf("the header became %v, was %v", fields, want)
	}
	if string(body) != "do not touch" {
		t.Errorf("the body became %q", body)
	}
	if again, err := before.Request.Body.Bytes(1 << 20); err != nil || string(again) != "do not touch" {
		t.Errorf("a buffered body cannot be read again: %q, %v", again, err)
	}
	if m.Response != nil {
		t.Error("the message given in has a response now")
	}
}

func (h Harness) testOutlives(t *testing.T) {
	c := h.open(t, h.System)
	body := []byte(strings.Repeat("long answer ", 40_000))
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	m, err := c.Do(ctx, h.message(core.BytesBody(body)))
	cancel()
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	if err := h.echoed(m, body); err != nil {
		t.Error(err)
	}
}
