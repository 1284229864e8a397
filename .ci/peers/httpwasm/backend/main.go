// Command backend serves what the http-wasm conformance kit wants behind the
// middleware under test, and leaves the kit's guest as kit.wasm where it stands.
package main

import (
	"fmt"
	"os"

	"github.com/http-wasm/http-wasm-host-go/tck"
)

func main() {
	if err := os.WriteFile("kit.wasm", tck.GuestWASM, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready at", tck.StartBackend("127.0.0.1:0").URL)
	select {}
}
