package main

import (
	"testing"

	"github.com/annex-gateway/annex/sdk"
)

func TestHello(t *testing.T) {
	for _, tc := range []struct {
		name   string
		trial  sdk.Trial
		status int
		body   string
	}{
		{"a GET is greeted", sdk.Trial{URI: "/api/hello?x=1"}, 200, "hello from a WASM module, GET /api/hello\n"},
		{"the greeting is configured", sdk.Trial{URI: "/a", Config: []byte("good day")}, 200, "good day from a WASM module, GET /a\n"},
		{"a POST is refused", sdk.Trial{Method: "POST"}, 405, "only GET is answered here\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.trial.Run(hello)
			if !tc.trial.Answered || tc.trial.Status != tc.status || string(tc.trial.ResponseBody) != tc.body {
				t.Errorf("got %v %d %q", tc.trial.Answered, tc.trial.Status, tc.trial.ResponseBody)
			}
		})
	}
}
