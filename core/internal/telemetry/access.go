package telemetry

import (
	"bufio"
	"encoding/json"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annex-gateway/annex/core"
)

// Bounds of what a line of the access log holds.
const (
	maxPath  = 2048
	maxName  = 256
	queueLen = 4096 // lines that wait to be written
)

// line is a call in the access log.
type line struct {
	Time      time.Time
	ID, Trace string
	Remote    netip.Addr
	Method    string
	Path      string
	Proto     string
	Place     string
	Status    int
	Bytes     int64
	Took      time.Duration
	User, Org string
}

// lineForm is a line as it is written.
type lineForm struct {
	Time   string  `json:"time"`
	ID     string  `json:"request_id"`
	Trace  string  `json:"trace_id,omitempty"`
	Remote string  `json:"remote"`
	Method string  `json:"method"`
	Path   string  `json:"path"`
	Proto  string  `json:"proto"`
	Place  string  `json:"place"`
	Status int     `json:"status"`
	Bytes  int64   `json:"bytes"`
	Took   float64 `json:"seconds"`
	User   string  `json:"user,omitempty"`
	Org    string  `json:"org,omitempty"`
}

// accessLog writes lines behind the back of the calls.
type accessLog struct {
	lines   chan line
	dropped prometheus.Counter
	to      io.Writer
	once    sync.Once
	stop    chan struct{}
	stopped chan struct{}
}

func newAccessLog(w io.Writer, dropped prometheus.Counter) *accessLog {
	a := &accessLog{lines: make(chan line, queueLen), dropped: dropped, to: w, stop: make(chan struct{}), stopped: make(chan struct{})}
	go a.write()
	return a
}

// add hands a line over, or drops it if too many wait.
func (a *accessLog) add(l line) {
	select {
	case a.lines <- l:
	default:
		a.dropped.Inc()
	}
}

func (a *accessLog) close() error {
	a.once.Do(func() { close(a.stop) })
	select {
	case <-a.stopped:
		return nil
	case <-time.After(closeTime):
		return core.Errorf(core.Timeout, "the access log could not be written to its end within %s", closeTime)
	}
}

// write is the one writer. What waits is flushed whenever nothing more does.
func (a *accessLog) write() {
	defer close(a.stopped)
	w := bufio.NewWriterSize(a.to, 64<<10)
	for {
		select {
		case l := <-a.lines:
			a.put(w, l)
		case <-a.stop:
			for len(a.lines) > 0 {
				a.put(w, <-a.lines)
			}
			return
		}
	}
}

func (a *accessLog) put(w *bufio.Writer, l line) {
	err := json.NewEncoder(w).Encode(l.form())
	if err == nil && len(a.lines) == 0 {
		err = w.Flush()
	}
	if err != nil {
		a.dropped.Inc()
		// A buffer that has failed once takes nothing more: whatever it holds
		// is given up, and the next line is tried anew.
		w.Reset(a.to)
	}
}

// form makes what is written safe to look at: one line, nothing that moves a
// cursor, nothing endless.
func (l line) form() lineForm {
	f := lineForm{
		Time: l.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), ID: clean(l.ID, maxName), Trace: l.Trace,
		Method: clean(l.Method, 32), Path: clean(l.Path, maxPath), Proto: clean(l.Proto, 16), Place: l.Place,
		Status: l.Status, Bytes: l.Bytes, Took: l.Took.Seconds(), User: clean(l.User, maxName), Org: clean(l.Org, maxName),
	}
	if l.Remote.IsValid() {
		f.Remote = l.Remote.String()
	}
	return f
}
