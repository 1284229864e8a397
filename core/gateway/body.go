package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
)

// drainTime is how long a client may take, once its call has ended, to send
// the rest of a small body, so that the connection can be used again.
const drainTime = 2 * time.Second

// drainBytes is the greatest body whose rest is taken in over HTTP/2, where
// the server itself would break it off. With that some clients lose the answer.
const drainBytes = 256 << 10

// clientBody is the body that a client sends. A pause in it has a limit, and
// what goes wrong with it is the client's fault, whoever was reading.
type clientBody struct {
	body io.ReadCloser
	rc   *http.ResponseController
	idle time.Duration
	size int64 // as the client says; -1 for not

	mu      sync.Mutex
	until   time.Time // the end of all patience; zero: none
	timer   *time.Timer
	reading bool
	stalled bool
	closed  bool
	whole   bool  // was read to its end
	err     error // why it could not be
}

// past is a deadline that has passed.
func past() time.Time { return time.Unix(1, 0) }

// bound makes the body end in time, however steadily it flows.
func (b *clientBody) bound(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = until
}

// Read reads on, for as long as the client sends on.
func (b *clientBody) Read(p []byte) (int, error) {
	if err := b.enter(); err != nil {
		return 0, err
	}
	n, err := b.body.Read(p)
	return n, b.leave(err)
}

func (b *clientBody) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return b.err
	case b.closed:
		return http.ErrBodyReadAfterClose
	case b.whole:
		return io.EOF
	}
	wait := b.idle
	if !b.until.IsZero() {
		wait = max(0, min(wait, time.Until(b.until)))
	}
	b.reading = true
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, b.stall)
	} else {
		b.timer.Reset(wait)
	}
	return nil
}

func (b *clientBody) leave(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer.Stop()
	b.reading = false
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		b.whole = true
		return io.EOF
	case b.stalled:
		b.err = b.late(err)
	case b.closed:
		return http.ErrBodyReadAfterClose
	default:
		b.err = core.WrapError(core.Invalid, err, "the body of the request ended early or cannot be read; send it again")
	}
	return b.err
}

func (b *clientBody) late(cause error) error {
	return core.WrapError(core.Invalid, cause, "the body of the request did not arrive in time: nothing of it for %s, or not all of it; send it again", b.idle)
}

// stall ends a Read that has waited too long. A deadline is the one way to
// reach it.
func (b *clientBody) stall() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reading {
		b.stalled = true
		_ = b.rc.SetReadDeadline(past())
	}
}

// Close gives the rest up, also while a Read waits for it. The rest stays on
// the connection, for the server to deal with.
func (b *clientBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && !b.whole && b.reading {
		_ = b.rc.SetReadDeadline(past())
	}
	b.closed = true
	return nil
}

// blame gives the error that a call ends with: why the client's body could not
// be read, if that is so, or else err. A call whose time ended while it waited
// for the client is one of the former.
func (b *clientBody) blame(err error) error {
	if b == nil || err == nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil || !b.reading:
	case b.stalled: // the read in progress is about to return
		b.err = b.late(err)
	case core.ErrorCode(err) == core.Timeout:
		b.err = core.WrapError(core.Invalid, err, "the body of the request did not arrive in the time that the call has; send it again")
	}
	if b.err != nil {
		return b.err
	}
	return err
}

// read reports whether nothing more of the body is to come.
func (b *clientBody) read() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

// finish ends the call's interest in the body. The rest of a small one is
// waited for, which must not take long: over HTTP/1 by the server, over HTTP/2
// here.
func (b *clientBody) finish(http1 bool) {
	if b == nil {
		return
	}
	_ = b.Close()
	b.mu.Lock()
	whole, fine, reading := b.whole, b.err == nil, b.reading
	b.mu.Unlock()
	switch {
	case whole:
	case http1 && !fine:
		_ = b.rc.SetReadDeadline(past())
	case http1:
		_ = b.rc.SetReadDeadline(time.Now().Add(drainTime))
	case fine && !reading && b.size > 0 && b.size <= drainBytes:
		_ = b.rc.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.Copy(io.Discard, b.body)
	}
}
