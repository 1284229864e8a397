package live

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/annex-gateway/annex/core"
)

// Entry is a system of a View, with its connection when it is enabled.
type Entry struct {
	System core.System
	conn   *lease // shared by the entries of one opened connection; nil while disabled
}

// lease is one opened connection and how many calls use it.
type lease struct {
	ready chan struct{} // closed when conn and err are set
	conn  core.Conn
	err   error

	// use counts the calls inside; closing is added once it shall end.
	use   atomic.Int64
	ended chan struct{} // closed when closing and unused
	once  sync.Once
	leave func() // release, made once

	// before serves calls until this connection is open: what it replaces.
	before atomic.Pointer[lease]
}

// closing is added to lease.use: far above any number of calls.
const closing = int64(1) << 40

func newLease() *lease {
	l := &lease{ready: make(chan struct{}), ended: make(chan struct{})}
	l.leave = l.release
	return l
}

// Acquire gives the system's connection, open and kept open until release is
// called. It waits for a connection that is being opened, unless what that one
// replaces still serves calls. It fails with
// Unavailable when the system is disabled, failed to open, or was replaced.
func (e *Entry) Acquire(ctx context.Context) (conn core.Conn, release func(), err error) {
	l := e.conn
	if l == nil {
		return nil, nil, e.gone()
	}
	if l.use.Add(1) >= closing {
		l.release()
		return nil, nil, e.gone()
	}
	if l.working() {
		return l.conn, l.leave, nil
	}
	if b := l.before.Load(); b != nil {
		if b.use.Add(1) < closing {
			l.release()
			return b.conn, b.leave, nil
		}
		b.release() // by now the lease is open
	}
	select {
	case <-l.ready:
	case <-ctx.Done():
		l.release()
		return nil, nil, core.WrapError(core.Unavailable, ctx.Err(), "%s is still starting", e.System.Triplet())
	}
	if l.err != nil {
		l.release()
		return nil, nil, core.WrapError(core.Unavailable, l.err, "%s could not be started; the gateway's log says why", e.System.Triplet())
	}
	return l.conn, l.leave, nil
}

func (e *Entry) gone() error {
	return core.Errorf(core.Unavailable, "%s was just disabled or replaced; repeat the call", e.System.Triplet())
}

// Around reports whether the system stands around calls. It waits for a
// connection that is being opened.
func (e *Entry) Around(ctx context.Context) bool {
	if e.conn == nil {
		return false
	}
	if b := e.conn.before.Load(); b != nil {
		_, ok := b.conn.(core.Around) // as what it replaces, which is of its kind
		return ok
	}
	select {
	case <-e.conn.ready:
	case <-ctx.Done():
		return false
	}
	_, ok := e.conn.conn.(core.Around)
	return ok
}

// Err tells why the system does not work: nil when it is disabled, opening or
// in order.
func (e *Entry) Err() error {
	if !e.Running() {
		return nil
	}
	if e.conn.err != nil {
		return e.conn.err
	}
	if p, ok := e.conn.conn.(core.Prober); ok {
		return p.Ready()
	}
	return nil
}

// Report tells how the system goes; false when it is not running or says
// nothing of itself.
func (e *Entry) Report() (core.Report, bool) {
	if !e.Running() || e.conn.err != nil {
		return core.Report{}, false
	}
	r, ok := e.conn.conn.(core.Reporter)
	if !ok {
		return core.Report{}, false
	}
	return r.Report(), true
}

// Running reports whether the system is enabled and no longer being opened.
func (e *Entry) Running() bool {
	return e.conn != nil && e.conn.tried()
}

// tried reports whether opening it has come to an end.
func (l *lease) tried() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// working reports whether it is open.
func (l *lease) working() bool {
	return l.tried() && l.err == nil
}

func (l *lease) release() {
	if l.use.Add(-1) == closing {
		l.once.Do(func() { close(l.ended) })
	}
}

// shut lets no further call in.
func (l *lease) shut() {
	if l.use.Add(closing) == closing {
		l.once.Do(func() { close(l.ended) })
	}
}

// end waits, after shut, for the calls inside and closes the connection.
func (l *lease) end() error {
	<-l.ended
	<-l.ready
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}
