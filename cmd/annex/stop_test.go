package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/exit"
)

// TestStreamsAndSocketsEndWithTheDrainTime is F18 for what would go on for
// ever: a call in flight is answered, and streams are cut when its time is over.
func TestStreamsAndSocketsEndWithTheDrainTime(t *testing.T) {
	began := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			fmt.Fprintln(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/slow":
			close(began)
			time.Sleep(300 * time.Millisecond)
			fmt.Fprint(w, "done")
		case "/socket":
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(c, rw)
		}
	}))
	defer api.Close()
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), "--upstream", api.URL, "--drain", "2s")
	p.login()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	call := func(path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+path, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+p.client.Token)
		return transport.RoundTrip(req)
	}
	events, err := call("/events")
	if err != nil || events.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", events, err)
	}
	socket, err := tls.Dial("tcp", strings.TrimPrefix(p.base, "https://"), &tls.Config{RootCAs: p.roots})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	fmt.Fprintf(socket, "GET /socket HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping", p.client.Token)
	r := bufio.NewReader(socket)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	pong := make([]byte, 4)
	if _, err := io.ReadFull(r, pong); err != nil || string(pong) != "ping" {
		t.Fatalf("%q, %v", pong, err)
	}
	slow := make(chan string, 1)
	go func() {
		resp, err := call("/slow")
		if err != nil {
			slow <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		slow <- string(b)
	}()
	<-began
	p.signal(syscall.SIGTERM)
	if got := <-slow; got != "done" {
		t.Errorf("the call in flight got %q", got)
	}
	if code := p.exit(); code != exit.OK {
		t.Errorf("exit code %d\n%s", code, p.logs.String())
	}
	if b, err := io.ReadAll(events.Body); err == nil || string(b) != "begun\n" {
		t.Errorf("the stream ended with %q, %v", b, err)
	}
	_ = events.Body.Close()
	if b, _ := io.ReadAll(r); len(b) != 0 {
		t.Errorf("the socket ended with %q", b)
	}
}

// TestCallsAreAcceptedAgainAfterAShortageOfFiles is F21.
func TestCallsAreAcceptedAgainAfterAShortageOfFiles(t *testing.T) {
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	p := start(t, []string{"ANNEX_ADMIN_PASSWORD=" + testPassword}, "sh", "-c", `ulimit -n 256 && exec "$0" "$@"`, file,
		"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "off")
	p.listens(data)
	p.login()
	var held []net.Conn
	for range 300 {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(p.base, "https://"), hang)
		if err != nil {
			break // the queue of the system is full too
		}
		held = append(held, c)
	}
	for _, c := range held {
		_ = c.Close()
	}
	if status, _, body := p.get("/api/session"); status != http.StatusOK {
		t.Errorf("afterwards: %d %s", status, body)
	}
	p.register() // the store has what it needs
	p.stops()
}
