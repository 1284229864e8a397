package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/annex-gateway/annex/sdk/wire"
)

// maxReply is the largest packet that the gateway takes, less its header.
const maxReply = 16<<20 - 1024

// maxRefusals is how many callers can be told at once that the service is busy.
const maxRefusals = 256

// runner works on calls, within its limits.
type runner struct {
	Config
	handler http.Handler
	begin   func() (context.Context, context.CancelFunc) // the context of one call
	stop    context.CancelFunc                           // ends those of all calls

	slots chan struct{} // one for each call in the house
	turns chan struct{} // one for each call that the handler works on
	busy  chan struct{} // one for each refusal under way
}

func newRunner(ctx context.Context, c Config, h http.Handler) *runner {
	r := &runner{
		Config:  c,
		handler: h,
		slots:   make(chan struct{}, c.Concurrency+c.Queue),
		turns:   make(chan struct{}, c.Concurrency),
		busy:    make(chan struct{}, maxRefusals),
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.begin = func() (context.Context, context.CancelFunc) { return context.WithCancel(ctx) }
	return r
}

// received takes a message from the client, which must not be made to wait.
func (r *runner) received(client paho.Client, m paho.Message) {
	select {
	case r.slots <- struct{}{}:
		go func() {
			defer func() { <-r.slots }()
			r.turns <- struct{}{}
			defer func() { <-r.turns }()
			r.serve(client, m.Payload())
		}()
		return
	default:
	}
	select {
	case r.busy <- struct{}{}:
		go func() {
			defer func() { <-r.busy }()
			r.refuse(client, m.Payload())
		}()
	default: // not even time to refuse: the caller runs into the time limit
	}
}

// drain takes all places, so that it returns when no call is left or when
// the drain time is over.
func (r *runner) drain() {
	end := time.NewTimer(r.DrainTimeout)
	defer end.Stop()
	defer r.stop()
	for range cap(r.slots) {
		select {
		case r.slots <- struct{}{}:
		case <-end.C:
			r.Logger.Warn("service: calls in flight did not end in time", "service", r.triplet())
			return
		}
	}
}

// refuse tells a caller to come again later.
func (r *runner) refuse(client paho.Client, payload []byte) {
	if req, err := wire.DecodeRequest(payload); err == nil {
		r.reply(client, failure(req.ID, http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "the service is busy; try again later"))
	}
}

// serve answers one call.
func (r *runner) serve(client paho.Client, payload []byte) {
	req, err := wire.DecodeRequest(payload)
	switch {
	case errors.Is(err, wire.ErrOtherType):
		return
	case err != nil:
		r.Logger.Warn("service: a call that cannot be read", "cause", err)
		r.reply(client, failure(req.ID, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "the service cannot read the call"))
		return
	}
	r.reply(client, r.answer(&req))
}

// answer runs the handler.
func (r *runner) answer(req *wire.Request) (res *wire.Response) {
	ctx, cancel := r.begin()
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.Logger.Error("service: the handler panicked", "request", req.ID, "panic", p, "stack", string(debug.Stack()))
			res = failure(req.ID, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "the service failed")
		}
	}()
	hr, err := httpRequest(ctx, req)
	if err != nil {
		r.Logger.Warn("service: a call that is no HTTP request", "cause", err)
		return failure(req.ID, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "the service cannot read the call")
	}
	w := &writer{header: http.Header{}, answered: !req.Message.IsRequest}
	r.handler.ServeHTTP(w, hr)
	return w.result(req.ID)
}

func (r *runner) reply(client paho.Client, res *wire.Response) {
	if res.ID == "" {
		return // nobody would take it
	}
	payload := wire.AppendResponse(nil, res)
	if len(payload) > maxReply {
		r.Logger.Error("service: the answer is too large", "request", res.ID, "bytes", len(payload))
		payload = wire.AppendResponse(nil, failure(res.ID, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR",
			fmt.Sprintf("the answer of the service is larger than the messaging bus takes: %d bytes", len(payload))))
	}
	token := client.Publish(r.respond(), 0, false, payload)
	if !token.WaitTimeout(writeTime) || token.Error() != nil {
		r.Logger.Warn("service: a reply was not sent", "request", res.ID, "cause", token.Error())
	}
}
