package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/sdk/wire"
)

// Caller is on whose behalf a call is made.
type Caller struct {
	User, Org   string   // URNs
	Rights      []string // names; nil when the gateway does not tell
	Token       string   // acts as the caller in calls back to the gateway
	LinkBaseURL string   // links in the answer start with it
	RequestID   string   // for logs
}

// Answer is the answer that a service at the response stage is asked about.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

type callerKey struct{}

type answerKey struct{}

// CallerFrom gives the caller of the request with that context; false outside
// of a handler that Run calls.
func CallerFrom(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// AnswerFrom gives the answer that the handler's own one replaces; false when
// the service is asked for an answer in the first place.
func AnswerFrom(ctx context.Context) (Answer, bool) {
	a, ok := ctx.Value(answerKey{}).(Answer)
	return a, ok
}

// Forward passes the call on instead of answering it: r, with whatever was
// changed in it, goes to the next service and at last to the native API. What
// was written to w is dropped. At the response stage there is nothing to pass
// on, and Forward fails.
func Forward(w http.ResponseWriter, r *http.Request) error {
	for {
		switch v := w.(type) {
		case *writer:
			return v.forward(r)
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return errors.New("service: Forward needs the ResponseWriter of a call over the messaging bus")
		}
	}
}

// httpRequest makes the request that the handler sees.
func httpRequest(ctx context.Context, req *wire.Request) (*http.Request, error) {
	m := &req.Message
	target := m.RequestURI
	if m.Query != "" {
		target += "?" + m.Query
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	s := req.Security
	ctx = context.WithValue(ctx, callerKey{}, Caller{
		User: s.User, Org: s.Org, Rights: s.Rights, Token: s.APIAccessToken, LinkBaseURL: req.LinkBaseURL, RequestID: req.ID,
	})
	header, body := http.Header{}, m.Body
	for _, f := range m.Headers {
		header.Add(f.Name, f.Value)
	}
	if !m.IsRequest && m.Status != 0 {
		ctx = context.WithValue(ctx, answerKey{}, Answer{Status: m.Status, Header: header, Body: body})
		header, body = http.Header{}, nil
	}
	hr, err := http.NewRequestWithContext(ctx, m.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	hr.URL, hr.RequestURI, hr.Header = u, target, header
	hr.Host = header.Get("Host")
	header.Del("Host")
	if major, minor, ok := http.ParseHTTPVersion(m.Protocol); ok {
		hr.Proto, hr.ProtoMajor, hr.ProtoMinor = m.Protocol, major, minor
	}
	if m.Remote.IsValid() {
		hr.RemoteAddr = m.Remote.String()
	}
	return hr, nil
}

// writer collects the handler's answer.
type writer struct {
	header   http.Header
	sent     http.Header // as of WriteHeader
	status   int
	body     []byte
	answered bool // the call came with an answer
	instead  *wire.Message
}

// Header returns the header of the answer.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader sets the status, the first time.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write adds to the body.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

func (w *writer) forward(r *http.Request) error {
	if w.answered {
		return errors.New("service: the call is answered already; write the answer, changed or not")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	w.instead = &wire.Message{
		IsRequest: true, Method: r.Method, RequestURI: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Headers: fields(r.Header), Body: body,
	}
	return nil
}

func (w *writer) result(id string) *wire.Response {
	if w.instead != nil {
		return &wire.Response{ID: id, Message: *w.instead}
	}
	w.WriteHeader(http.StatusOK)
	if len(w.body) > 0 && w.sent.Get("Content-Type") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(w.body))
	}
	return &wire.Response{ID: id, Message: wire.Message{Status: w.status, Headers: fields(w.sent), Body: w.body}}
}

// fields lists a header by name. The gateway computes the length itself.
func fields(h http.Header) []wire.Field {
	list := []wire.Field{}
	for name, values := range h {
		if wire.HopByHop(name) {
			continue
		}
		for _, v := range values {
			list = append(list, wire.Field{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(list, func(a, b wire.Field) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// failure is an error in the form that clients of the API read.
func failure(id string, status int, minor, text string) *wire.Response {
	body, _ := json.Marshal(map[string]any{"minorErrorCode": minor, "message": text, "stackTrace": nil})
	return &wire.Response{ID: id, Message: wire.Message{
		Status: status, Headers: []wire.Field{{Name: "Content-Type", Value: "application/json"}}, Body: body,
	}}
}
