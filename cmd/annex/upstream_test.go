package main

import (
	"testing"

	"github.com/annex-gateway/annex/cmd/annex/config"
)

func TestTheUpstreamIsToldWhatIsConfigured(t *testing.T) {
	for in, want := range map[string]string{"none": "none", "forward": "pass", "identity": "identity", "basic": "basic", "header": "header"} {
		h := &house{trust: &trust{}, Config: config.Config{Upstream: config.Upstream{
			URL: "http://a.example", Credentials: in, User: "u", Password: "p", Header: "X-Api-Key", Value: "v",
		}}}
		u := h.upstream()
		if u.URL != "http://a.example" || u.Credentials != want || u.User != "u" || u.Password != "p" || u.Header != "X-Api-Key" || u.Value != "v" || u.Trust == nil {
			t.Errorf("%s became %+v", in, u)
		}
	}
}
