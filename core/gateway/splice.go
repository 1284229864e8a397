package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/annex-gateway/annex/core"
)

// buffers are for copying bodies.
//
//nolint:gochecknoglobals // a pool has no state that anybody could see
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// splice hands the client's connection over to a system that went on in
// another protocol, and carries bytes until one side ends, or ctx.
func splice(ctx context.Context, w http.ResponseWriter, resp core.Response) error {
	defer resp.Upgraded.Close()
	conn, client, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the end of it either way
	head := &http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: w.Header().Clone()}
	for name, value := range resp.Header.All() {
		if !notForClient(name) {
			head.Header.Add(name, value)
		}
	}
	head.Header.Set("Connection", "Upgrade")
	head.Header.Set("Upgrade", resp.Header.Get("Upgrade"))
	if err := errors.Join(head.Write(client), client.Flush()); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	ends := make(chan error, 2)
	go func() { ends <- carry(resp.Upgraded, client.Reader) }()
	go func() { ends <- carry(conn, bufio.NewReader(resp.Upgraded)) }()
	if err := <-ends; ctx.Err() != nil {
		return err
	}
	return nil // how a tunnel ends is between the two sides
}

func carry(dst io.Writer, src io.Reader) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, src, *buf)
	return err
}
