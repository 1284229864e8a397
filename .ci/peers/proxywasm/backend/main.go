// Command backend is what stands behind the guests, and what they call.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	var bytes atomic.Uint32
	http.HandleFunc("/bytes/1", func(w http.ResponseWriter, _ *http.Request) { // even and odd in turn
		_, _ = w.Write([]byte{byte(bytes.Add(1) + 1)})
	})
	http.HandleFunc("/secret", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "it is a secret") })
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "uri": r.RequestURI, "header": r.Header, "body": string(body)})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("ready at http://%s\n", l.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(l, nil))
}
