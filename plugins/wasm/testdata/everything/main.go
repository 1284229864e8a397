// Command everything is a guest that uses all of the SDK, for the tests.
package main

import (
	"strings"

	"github.com/annex-gateway/annex/sdk"
)

func init() {
	sdk.Handle(func(c *sdk.Call) {
		c.Debug("debug")
		c.Info("info")
		c.Warn("warn")
		c.Error("error")
		switch c.Header("X-Test") {
		case "read":
			c.SetAnswerHeader("X-Long", c.Header("X-Long"))
			c.Answer(200, "text/plain", strings.Join([]string{
				c.Method(), c.URI(), c.Path(), c.Query(), c.Proto(), c.Source(), string(c.Config()),
				strings.Join(c.HeaderNames(), ","), strings.Join(c.HeaderValues("X-Two"), ","), c.Header("X-None"), string(c.Body()),
			}, "|"))
		case "change":
			c.SetMethod("PUT")
			c.SetURI("/other?q=1")
			c.SetHeader("X-Set", "1")
			c.AddHeader("X-Two", "three")
			c.RemoveHeader("X-Long")
			c.SetBody([]byte("first"))
			c.SetBody(append(c.Body(), '!'))
			c.OnResponse(func(r *sdk.Response) {
				r.SetHeader("X-Was", r.Header("X-Theirs")+strings.Join(r.HeaderNames(), ","))
				r.AddHeader("X-Was", "more")
				r.RemoveHeader("X-Theirs")
				r.SetStatus(r.Status() + 1)
				r.SetBody(append(r.Body(), '?'))
			})
		case "keep":
			two := c.Header("X-Two")
			c.OnResponse(func(r *sdk.Response) { r.SetHeader("X-Kept", two) })
		case "twice":
			c.Answer(500, "text/plain", "first")
			c.Answer(200, "text/plain", "second")
		case "panic":
			panic("the guest's secret")
		}
	})
}

func main() {}
