package gateway

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// deadlined tells which deadlines are set: "none" or "some".
type deadlined struct {
	http.ResponseWriter
	set []string
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		d.set = append(d.set, "none")
	} else {
		d.set = append(d.set, "some")
	}
	return nil
}

func (d *deadlined) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

func (d *deadlined) Flush() { d.set = append(d.set, "flush") }

func TestTheDeadlineOfTheCallBeforeIsGoneBeforeAnythingIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*recorder)
		want []string
	}{
		"nothing is sent before the end": {func(r *recorder) { _, _ = r.Write([]byte("a")); r.finish() }, []string{"some"}},
		"much is sent":                   {func(r *recorder) { _, _ = r.Write(make([]byte, 3<<10)); _, _ = r.Write([]byte("a")); r.finish() }, []string{"none", "some"}},
		"what there is is sent":          {func(r *recorder) { r.Flush(); r.Flush(); r.finish() }, []string{"none", "flush", "flush", "some"}},
		"an early hint is sent":          {func(r *recorder) { r.WriteHeader(http.StatusEarlyHints); r.WriteHeader(200); r.finish() }, []string{"none", "some"}},
		"another protocol goes on":       {func(r *recorder) { _, _, _ = r.Hijack(); r.finish() }, []string{"none"}},
	} {
		w := &deadlined{ResponseWriter: httptest.NewRecorder()}
		c.do(&recorder{ResponseWriter: w, rc: http.NewResponseController(w), idle: time.Hour, overdue: true})
		if !slices.Equal(w.set, c.want) {
			t.Errorf("%s: got %v, want %v", name, w.set, c.want)
		}
	}
}
