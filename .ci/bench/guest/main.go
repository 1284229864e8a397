// Command guest is the WASM module that bench measures. Its configuration says
// what it does: answer, nothing, a header field, or another body.
package main

import (
	"bytes"
	"strings"

	"github.com/annex-gateway/annex/sdk"
)

// body is what everybody in a run of bench answers: 1 KiB of JSON.
var body = `{"data":"` + strings.Repeat("j", 1013) + `"}`

func init() {
	sdk.Handle(handle)
}

func handle(c *sdk.Call) {
	switch strings.Trim(string(c.Config()), `"`) { // an older gateway, to compare with, hands over the quotes
	case "answer":
		c.Answer(200, "application/json", body)
	case "header":
		c.OnResponse(func(r *sdk.Response) { r.SetHeader("X-Bench", "1") })
	case "body":
		c.OnResponse(func(r *sdk.Response) { r.SetBody(bytes.ReplaceAll(r.Body(), []byte("j"), []byte("k"))) })
	}
}

func main() {}
