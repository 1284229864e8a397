package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// farewell lets clients leave before their connections are closed: from the
// moment it is said every answer tells them not to come back on the same
// connection, and connections that a call is on or may be on stay open.
//
// A server's own Shutdown is not enough: it drops a call that it reads after
// Shutdown began, though its connection was accepted before.
type farewell struct {
	said        atomic.Bool
	connections sync.Map // net.Conn → *connection; a call changes none of it but the state
}

// connection is what is known of one.
type connection struct {
	state atomic.Int64 // an http.ConnState
	since time.Time    // it is open
}

const (
	// idleFarewell is how long idle connections stay open: a call may be on
	// its way on them.
	idleFarewell = 300 * time.Millisecond
	// newFarewell is how old a connection may become without a call on it.
	newFarewell = 2 * time.Second
)

func newFarewells() *farewell { return &farewell{} }

// around makes the handler say goodbye when it is time.
func (f *farewell) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.said.Load() {
			w.Header().Set("Connection", "close") // on HTTP/2 it becomes GOAWAY
		}
		h.ServeHTTP(w, r)
	})
}

// note is the ConnState of servers.
func (f *farewell) note(c net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		f.connections.Delete(c)
		return
	}
	known, ok := f.connections.Load(c)
	if !ok {
		known = &connection{since: time.Now()}
		f.connections.Store(c, known)
	}
	known.(*connection).state.Store(int64(s))
}

// say is to be called when nothing is accepted any more. It waits until all
// connections are closed or have nothing to say, not longer than ctx lasts.
func (f *farewell) say(ctx context.Context) {
	f.said.Store(true)
	begun := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.waiting(begun) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// waiting reports whether there is a connection to wait for.
func (f *farewell) waiting(begun time.Time) (wait bool) {
	f.connections.Range(func(_, v any) bool {
		c := v.(*connection)
		switch http.ConnState(c.state.Load()) {
		case http.StateActive:
			wait = true
		case http.StateNew:
			wait = time.Since(c.since) < newFarewell
		case http.StateIdle:
			wait = time.Since(begun) < idleFarewell
		case http.StateHijacked, http.StateClosed:
		}
		return !wait
	})
	return wait
}
