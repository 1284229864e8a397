package mqtt

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/sdk/wire"
)

func TestTheKindKeepsThePromisesOfCore(t *testing.T) {
	r := newRig(t, Options{})
	sys, dead := r.system("echo"), r.system("dead")
	r.service(t, sys, "", 1, func(req wire.Request) *wire.Response {
		if strings.HasSuffix(req.Message.RequestURI, "/hang") {
			return nil
		}
		return echo(req)
	})
	post := func(tail string, body *core.Body) core.Message {
		return plugintest.Post("/api/plugintest/"+tail, "/api/plugintest/", tail, body)
	}
	slash, other := sys, sys
	slash.Vendor = "a/b"
	other.Kind = core.KindHTTPS
	plugintest.Run(t, plugintest.Harness{
		Kind:    r.Kind,
		System:  sys,
		Message: func(body *core.Body) core.Message { return post("echo", body) },
		Answered: func(body *core.Body) core.Message {
			return post("echo", nil).Answer(core.Response{Status: 200, Header: core.NewHeader("Content-Type", "text/plain"), Body: body})
		},
		Hang:    func() core.Message { return post("hang", nil) },
		Dead:    &dead,
		Invalid: map[string]core.System{"a slash in the vendor": slash, "another kind": other},
		Mounts:  true,
		Revokes: true,
	})
}
