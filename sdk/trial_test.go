//go:build !wasip1

package sdk

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestATrialRunsAHandlerWithoutAGateway(t *testing.T) {
	for _, tc := range []struct {
		name    string
		trial   Trial
		handler func(*Call)
		want    func(*Trial) bool
	}{
		{"the call has defaults", Trial{}, func(c *Call) {
			c.Answer(200, "text/plain", strings.Join([]string{c.Method(), c.Path(), c.Query(), c.Proto(), c.Source()}, " "))
		}, func(tr *Trial) bool { return string(tr.ResponseBody) == "GET /  HTTP/1.1 127.0.0.1:40000" }},
		{"path and query are taken apart", Trial{URI: "/a%20b?x=1"}, func(c *Call) {
			c.Answer(200, "text/plain", c.Path()+" "+c.Query())
		}, func(tr *Trial) bool { return string(tr.ResponseBody) == "/a%20b x=1" }},
		{"an answer ends the call", Trial{Next: func(*Trial) { panic("next was called") }}, func(c *Call) {
			c.SetAnswerHeader("Allow", "GET")
			c.Answer(405, "text/plain", "no")
		}, func(tr *Trial) bool {
			return tr.Answered && tr.Status == 405 && tr.ResponseHeader.Get("Allow") == "GET" && tr.ResponseHeader.Get("Content-Type") == "text/plain"
		}},
		{"a handler that does nothing lets the call pass", Trial{Next: func(tr *Trial) { tr.Status = 201 }}, func(*Call) {}, func(tr *Trial) bool {
			return !tr.Answered && tr.Status == 201
		}},
		{"the request is changed before it goes on", Trial{Header: http.Header{"X-A": {"1"}, "X-B": {"2"}}, Body: []byte("body"), Config: []byte("!")}, func(c *Call) {
			c.SetMethod("PUT")
			c.SetURI("/b")
			c.AddHeader("X-A", c.Header("X-B"))
			c.RemoveHeader("X-B")
			c.SetHeader("X-C", strings.Join(c.HeaderNames(), ","))
			c.SetBody([]byte("once"))
			c.SetBody(append(c.Body(), c.Config()...))
		}, func(tr *Trial) bool {
			return tr.Method == "PUT" && tr.URI == "/b" && slices.Equal(tr.Header["X-A"], []string{"1", "2"}) &&
				tr.Header.Get("X-C") == "x-a" && string(tr.Body) == "body!"
		}},
		{"the answer of others is changed", Trial{Next: func(tr *Trial) {
			tr.Status, tr.ResponseBody = 404, []byte("theirs")
			tr.ResponseHeader.Set("X-A", "1")
		}}, func(c *Call) {
			c.OnResponse(func(r *Response) {
				r.SetStatus(r.Status() + 1)
				r.AddHeader("X-A", strings.Join(r.HeaderNames(), ","))
				r.SetHeader("X-B", r.Header("X-A"))
				r.RemoveHeader("X-None")
				r.SetBody(append(r.Body(), '?'))
			})
		}, func(tr *Trial) bool {
			return tr.Status == 405 && slices.Equal(tr.ResponseHeader["X-A"], []string{"1", "x-a"}) && string(tr.ResponseBody) == "theirs?"
		}},
		{"lines are logged", Trial{}, func(c *Call) {
			c.Debug("a")
			c.Info("b")
			c.Warn("c")
			c.Error("d")
		}, func(tr *Trial) bool { return strings.Join(tr.Log, "|") == "debug: a|info: b|warn: c|error: d" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.trial.Run(tc.handler)
			if !tc.want(&tc.trial) {
				t.Errorf("got %+v", tc.trial)
			}
		})
	}
	Handle(func(*Call) { t.Error("a handler ran without a call") })
}
