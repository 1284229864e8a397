package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// recorder remembers what was answered, for the log, and gives up on a client
// that takes nothing of its answer.
type recorder struct {
	http.ResponseWriter
	rc       *http.ResponseController
	idle     time.Duration // how long one write may take
	timer    *time.Timer
	status   int
	bytes    int64
	hijacked bool
	overdue  bool // the deadline of the call before on this connection still stands
}

// inside is how much of an answer net/http takes without waiting for the
// client.
const inside = 2 << 10

// WriteHeader notes the first final status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	if status < 200 {
		r.renew() // it is sent at once
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.bytes+int64(len(b)) > inside {
		r.watch()
		defer r.timer.Stop()
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// FlushError sends what is written.
func (r *recorder) FlushError() error {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.watch()
	defer r.timer.Stop()
	return r.rc.Flush()
}

// Flush sends what is written.
func (r *recorder) Flush() { _ = r.FlushError() }

// watch gives the write that follows its time. A deadline set now would also
// meet writes that come later, on a stream that just has nothing to say.
func (r *recorder) watch() {
	r.renew()
	if r.timer == nil {
		r.timer = time.AfterFunc(r.idle, func() { _ = r.rc.SetWriteDeadline(past()) })
	} else {
		r.timer.Reset(r.idle)
	}
}

// renew takes the deadline of an earlier call away, before something is sent.
func (r *recorder) renew() {
	if r.overdue {
		r.overdue = false
		_ = r.rc.SetWriteDeadline(time.Time{})
	}
}

// finish gives what the server still has to write its time.
func (r *recorder) finish() {
	if !r.hijacked {
		_ = r.rc.SetWriteDeadline(time.Now().Add(r.idle))
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Hijack hands over the connection.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.renew()
	conn, rw, err := r.rc.Hijack()
	if err == nil {
		r.hijacked = true
		if r.status == 0 {
			r.status = http.StatusSwitchingProtocols
		}
	}
	return conn, rw, err
}
