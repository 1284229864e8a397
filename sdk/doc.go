// Package sdk is what the author of a WASM extension imports: it hands each
// call to a Go function, which may read and change the request, answer it, or
// look at the answer of others.
//
// A whole extension:
//
//	package main
//
//	import "github.com/annex-gateway/annex/sdk"
//
//	func init() {
//		sdk.Handle(func(c *sdk.Call) {
//			c.Answer(200, "text/plain", "hello "+c.Header("User-Agent"))
//		})
//	}
//
//	func main() {}
//
// It is built with the ordinary Go toolchain as a reactor, whose main never
// runs:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm
//
// The module speaks the http-wasm border and nothing else, so it runs in
// other products with that border too, unless it uses what is Annex's own:
// stage, caller and rights, claims, state, calls to others, and metrics. On any other platform the package
// builds as well, and a [Trial] runs a handler in an ordinary test.
//
// Nothing is read from the host before it is asked for, and nothing is
// decoded: bodies and configuration are bytes.
package sdk
