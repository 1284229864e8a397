// Command stamp is an extension that puts a header field on the answers of
// others.
package main

import (
	"strings"

	"github.com/annex-gateway/annex/sdk"
)

func init() {
	sdk.Handle(stamp)
}

func stamp(c *sdk.Call) {
	text := strings.Trim(string(c.Config()), `"`)
	if text == "" {
		text = "annex"
	}
	c.OnResponse(func(r *sdk.Response) {
		r.SetHeader("X-Stamp", text)
	})
}

func main() {}
