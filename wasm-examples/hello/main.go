// Command hello is an extension that answers every call with a line of text.
package main

import (
	"strings"
	"time"

	"github.com/annex-gateway/annex/sdk"
)

func init() {
	sdk.Handle(hello)
}

func hello(c *sdk.Call) {
	if c.Method() != "GET" && c.Method() != "HEAD" {
		c.SetAnswerHeader("Allow", "GET, HEAD")
		c.Answer(405, "text/plain; charset=utf-8", "only GET is answered here\n")
		return
	}
	greeting := "hello"
	if g := strings.Trim(string(c.Config()), `"`); g != "" {
		greeting = g
	}
	c.SetAnswerHeader("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	c.Answer(200, "text/plain; charset=utf-8", greeting+" from a WASM module, "+c.Method()+" "+c.Path()+"\n")
}

func main() {}
