// Command stamp is an extension that puts a header field on the answers of
// others.
package main

import "github.com/annex-gateway/annex/sdk"

func init() {
	sdk.Handle(stamp)
}

func stamp(c *sdk.Call) {
	text := "annex"
	if g := c.Config(); len(g) > 2 && g[0] == '"' {
		text = string(g[1 : len(g)-1])
	}
	c.OnResponse(func(r *sdk.Response) {
		r.SetHeader("X-Stamp", text)
	})
}

func main() {}
