package pipeline

import (
	"context"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func TestTheLogStageIsToldWhatBecameOfACall(t *testing.T) {
	f := setUp(t)
	log := url("/a.*")
	log.Stage = core.OnLog
	told := make(chan core.Message, 10)
	slow := make(chan struct{})
	f.system(core.KindWASM, "first", 90, log)
	f.system(core.KindWASM, "second", 10, log)
	f.script["first"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		<-slow
		told <- m
		return m.Answer(core.Response{Status: 500}), core.Errorf(core.Internal, "it is unwell")
	}
	f.script["second"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		told <- m
		return m, nil
	}
	f.system(core.KindMQTT, "serves", 50, url("/a/.*"))
	f.script["serves"] = answer("served")
	next := func() core.Message {
		t.Helper()
		select {
		case m := <-told:
			return m
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is told")
			return core.Message{}
		}
	}

	x := f.road.Explain(t.Context(), core.ExplainQuery{Request: core.Request{Method: "GET", Path: "/a/1", RawPath: "/a/1"}, Caller: f.caller})
	if n := len(x.Response); n != 2 || x.Response[0].Stage != core.OnLog {
		t.Errorf("explained: %+v", x.Response)
	}
	if body, status, err := f.serve("GET", "/a/1"); body != "served" || status != 200 || err != nil {
		t.Fatalf("got %d %q, %v", status, body, err)
	}
	close(slow) // the answer did not wait for them
	for range 2 {
		m := next()
		if m.Route.Stage != core.OnLog || m.Response == nil || m.Response.Status != 200 || m.Response.Body != nil || m.Request.Body != nil || m.Caller.UserID != f.caller.UserID {
			t.Errorf("told %+v, %+v", m, m.Response)
		}
	}
	f.refuse = core.Errorf(core.Unauthenticated, "who are you?")
	if _, _, err := f.serve("GET", "/a/1"); err == nil {
		t.Fatal("no error")
	}
	for range 2 {
		if m := next(); m.Response != nil {
			t.Errorf("an answer that the gateway made itself: %+v", m.Response)
		}
	}
	if _, _, err := f.serve("GET", "/b"); err == nil {
		t.Fatal("no error")
	}
	if len(told) > 0 {
		t.Error("a call elsewhere is told")
	}
}
