package plugintest

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Harness is what [Run] has to know about the kind under test.
type Harness struct {
	// Kind is the kind under test.
	Kind core.Kind
	// System is a valid registration. Its peer is alive and echoes: it
	// answers every call of Message with status 200 and the request's body.
	System core.System
	// PassesOn says that System's peer does not answer, but gives every
	// message on with the request's body as it was.
	PassesOn bool
	// IgnoresBody says that System's peer is done before it has read the
	// request's body.
	IgnoresBody bool
	// Message makes a call that System's peer echoes. When nil it is a POST
	// with the body.
	Message func(body *core.Body) core.Message
	// Answered makes a call with an answer, as it arrives at the response
	// stage; the peer gives it back answered, with the same body. Nil: System
	// does not stand there.
	Answered func(body *core.Body) core.Message
	// Hang makes a call that System's peer never answers. Nil: it always does.
	Hang func() core.Message
	// Dead is a valid registration whose peer is not there. Nil: systems of
	// this kind have no peer.
	Dead *core.System
	// Invalid are registrations that Check refuses, by the reason.
	Invalid map[string]core.System

	// The optional abilities that the kind and its Conns have. Run insists
	// that nothing is missing here and nothing too much.
	Mounts, Revokes, Around bool
}

// guard bounds every wait of the suite. It is there to end a hanging test, not
// to measure.
const guard = 30 * time.Second

func (h Harness) message(body *core.Body) core.Message {
	if h.Message != nil {
		return h.Message(body)
	}
	return Post("/ext-api/plugintest/echo", "/ext-api/plugintest/", "echo", body)
}

// Post makes a call as the road shows it to a system of the dispatch stage:
// path is prefix and tail together.
func Post(path, prefix, tail string, body *core.Body) core.Message {
	return core.Message{
		ID: "plugintest-1",
		Caller: core.Caller{
			UserID: core.UserPrefix + "7f2b1c3e-0000-4000-8000-000000000001", UserName: "tester",
			OrgID: core.OrgPrefix + "7f2b1c3e-0000-4000-8000-000000000002", OrgName: "testers",
		},
		Route: core.Route{FilterID: "plugintest", Stage: core.OnDispatch, Scope: core.ScopeExtAPI, Prefix: prefix, Tail: tail},
		Request: core.Request{
			Method: "POST", Path: path, RawPath: path, Proto: "HTTP/1.1",
			Scheme: "https", Host: "gateway.example:8443",
			RemoteAddr: netip.MustParseAddrPort("192.0.2.7:40000"),
			LocalAddr:  netip.MustParseAddrPort("192.0.2.1:8443"),
			Header:     core.NewHeader("Content-Type", "text/plain", "Accept", "*/*", "User-Agent", "plugintest"),
			Body:       body,
		},
	}
}

func (h Harness) open(t *testing.T, sys core.System) core.Conn {
	t.Helper()
	c, err := h.Kind.Open(t.Context(), sys)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if c == nil {
		t.Fatal("Open gave neither a Conn nor an error")
	}
	t.Cleanup(func() { within(t, "Close", func() { _ = c.Close() }) })
	return c
}

// call makes an echoed call and checks the echo. It is safe in goroutines.
func (h Harness) call(c core.Conn, body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	m, err := c.Do(ctx, h.message(core.BytesBody(body)))
	cancel()
	if err != nil {
		return err
	}
	return h.echoed(m, body)
}

func (h Harness) echoed(m core.Message, want []byte) error {
	b := m.Request.Body
	switch {
	case h.PassesOn && m.Answered():
		return core.Errorf(core.Internal, "answered with %d, but should have been given on", m.Response.Status)
	case !h.PassesOn && !m.Answered():
		return core.Errorf(core.Internal, "given on, but should have been answered")
	case !h.PassesOn:
		if m.Response.Status != 200 {
			return core.Errorf(core.Internal, "status %d, want 200", m.Response.Status)
		}
		b = m.Response.Body
	}
	return sameBody(b, want)
}

func sameBody(b *core.Body, want []byte) error {
	r := b.Open()
	got, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return core.Errorf(core.Internal, "echo of %d bytes, want the %d that were sent", len(got), len(want))
	}
	return nil
}

// within runs f and fails the test when f does not come back.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(guard):
		t.Fatalf("%s has not come back after %s", what, guard)
	}
}
