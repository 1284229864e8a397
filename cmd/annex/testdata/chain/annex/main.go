// Command annex is a guest that writes who calls behind the names in the
// request's X-Order, and its own into the answer.
package main

import "github.com/annex-gateway/annex/sdk"

func init() {
	sdk.Handle(func(c *sdk.Call) {
		c.SetHeader("X-Order", c.Header("X-Order")+"annex:"+c.Caller().User+" ")
		c.OnResponse(func(r *sdk.Response) { r.SetBody(append(r.Body(), " annex"...)) })
	})
}

func main() {}
