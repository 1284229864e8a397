package forward

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/annex-gateway/annex/core"
)

// upload is a streamed request body on its way to the server. It remembers
// whether the client broke it, and its Close does not wait for a Read, as the
// Close of an HTTP server's body would.
type upload struct {
	x       *exchange
	body    io.ReadCloser
	to      http.Header        // the trailer of the outgoing request; nil for none
	from    func() http.Header // the trailer of the body, complete at its end
	sending silence            // from the start up to the answer's header or the body's end

	mu      sync.Mutex
	reading bool
	stopped bool // nobody wants the rest
	closed  bool
	err     error // of the client's side, not of the server's
}

func newUpload(x *exchange, b *core.Body, to http.Header) *upload {
	u := &upload{x: x, body: b.Open(), to: to, from: b.Trailer}
	u.sending.limit = x.server.opts.IdleTimeout
	u.sending.over = u.standstill
	return u
}

// Read is called by the transport, from one goroutine.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	if u.closed || u.stopped {
		u.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	u.reading = true
	u.mu.Unlock()
	u.moved() // what was read before has been taken
	n, err := u.body.Read(p)
	u.moved()
	if err != nil {
		u.sending.stop()
	}
	if errors.Is(err, io.EOF) && u.to != nil {
		u.copyTrailer()
	}
	u.mu.Lock()
	u.reading = false
	closed := u.closed
	if err != nil && !errors.Is(err, io.EOF) && !closed && !u.stopped {
		u.err = err
	}
	u.mu.Unlock()
	if closed {
		_ = u.body.Close()
	}
	return n, err
}

func (u *upload) moved() {
	u.sending.touch()
	u.x.receiving.touch()
}

// standstill ends an exchange whose request body does not move.
func (u *upload) standstill() {
	u.mu.Lock()
	client := u.reading
	u.mu.Unlock()
	o := &u.x.server.opts
	if client {
		u.x.abort(core.Errorf(core.Timeout, "the client has sent nothing of the request body for %s", o.IdleTimeout))
		return
	}
	u.x.abort(core.Errorf(core.Timeout, "%s has taken nothing of the request body for %s", o.Name, o.IdleTimeout))
}

func (u *upload) copyTrailer() {
	t := u.from()
	for name := range u.to {
		u.to[name] = t[name]
	}
}

// Close gives the body up, at once or when the Read in progress returns.
func (u *upload) Close() error {
	u.sending.stop()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil
	}
	u.closed = true
	if u.reading {
		return nil
	}
	return u.body.Close()
}

// stop makes the next Read the last. Closing the body is left to the transport,
// for the Close of an HTTP server's body may wait for the client.
func (u *upload) stop() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
}

// failure is what the client did wrong, or nil.
func (u *upload) failure() error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
