package main

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What streams does not wait for its end because guests look at the headers:
// events come one by one, and what is said on a WebSocket is answered at once.
func TestStreamsPassGuestsThatLookAtHeaders(t *testing.T) {
	next := make(chan string)
	origin := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echoes(w)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			fmt.Fprintf(w, "data: %s\n\n", event)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer origin.Close()
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), "--log-level", "warn")
	p.login()
	p.post("/cloudapi/1.0.0/ssl/trustedCertificates", map[string]string{
		"alias": "origin", "certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: origin.Certificate().Raw})),
	}, nil)
	var endpoint struct{ ID string }
	p.post("/cloudapi/1.0.0/externalEndpoints", map[string]any{
		"vendor": "test", "name": "flow", "version": "1.0.0", "enabled": true, "rootUrl": origin.URL,
	}, &endpoint)
	for _, id := range []string{
		endpoint.ID,
		p.guest("stamp", builtModule(t, filepath.Join("..", "..", "wasm-examples", "stamp")), 90, "stamped"),
		p.guest("heads", chainModule(t, "heads"), 80, ""),
	} {
		p.post("/cloudapi/1.0.0/apiFilters", map[string]any{
			"externalSystem": map[string]string{"id": id}, "urlMatcher": map[string]string{"urlPattern": "/flow/.*", "urlScope": "EXT_API"},
		}, nil)
	}

	t.Run("events", func(t *testing.T) {
		go func() { next <- "0" }()
		r, resp := p.open("GET /ext-api/flow/events HTTP/1.1\r\n")
		if resp.StatusCode != 200 || resp.Header.Get("X-Stamp") != "stamped" || resp.Header.Get("X-Heads") != "seen" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 4 {
			if i > 0 {
				next <- fmt.Sprint(i)
			}
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
				t.Fatalf("event %q, %v, want %q", line, err, want)
			}
			_, _ = lines.ReadString('\n')
		}
		close(next)
		if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
			t.Errorf("it ends with %q, %v", rest, err)
		}
		_ = r.Close()
	})
	t.Run("a WebSocket", func(t *testing.T) {
		c, resp := p.open("GET /ext-api/flow/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n")
		if resp.StatusCode != 101 || resp.Header.Get("X-Stamp") != "stamped" || resp.Header.Get("X-Heads") != "seen" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		for _, said := range []string{"ping", "pong"} {
			heard := make([]byte, len(said))
			if _, err := io.WriteString(c, said); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, heard); err != nil || string(heard) != said {
				t.Fatalf("%q, %v", heard, err)
			}
		}
		_ = c.Close()
	})
	p.stops()
}

// open sends a request's first lines with what every one has, and reads the
// head of the answer. What follows is read from the connection.
func (p *process) open(head string) (io.ReadWriteCloser, *http.Response) {
	p.t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(p.base, "https://"), &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	fmt.Fprintf(c, "%sHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", head, strings.TrimPrefix(p.base, "https://"), p.client.Token)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		p.t.Fatal(err, p.logs.String())
	}
	return struct {
		io.Reader
		io.WriteCloser
	}{r, c}, resp
}

// echoes is the other end of a WebSocket, frames and all left out.
func echoes(w http.ResponseWriter) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
	_, _ = io.Copy(c, rw)
}
