// Command plain is an http-wasm guest that writes its name, which is its
// configuration, behind those in the request's X-Order and into the answer.
package main

import "github.com/annex-gateway/annex/sdk"

func init() {
	sdk.Handle(func(c *sdk.Call) {
		name := string(c.Config())
		c.SetHeader("X-Order", c.Header("X-Order")+name+" ")
		c.OnResponse(func(r *sdk.Response) { r.SetBody(append(r.Body(), (" " + name)...)) })
	})
}

func main() {}
