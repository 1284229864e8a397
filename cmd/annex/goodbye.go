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
	mu          sync.Mutex
	connections map[net.Conn]connection
}

// connection is what is known of one.
type connection struct {
	state http.ConnState
	since time.Time
}

const (
	// idleFarewell is how long idle connections stay open: a call may be on
	// its way on them.
	idleFarewell = 300 * time.Millisecond
	// newFarewell is how old a connection may become without a call on it.
	newFarewell = 2 * time.Second
)

func newFarewells() *farewell { return &farewell{connections: map[net.Conn]connection{}} }

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
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == http.StateClosed || s == http.StateHijacked {
		delete(f.connections, c)
		return
	}
	f.connections[c] = connection{s, time.Now()}
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
func (f *farewell) waiting(begun time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.connections {
		switch c.state {
		case http.StateActive:
			return true
		case http.StateNew:
			if time.Since(c.since) < newFarewell {
				return true
			}
		case http.StateIdle:
			if time.Since(begun) < idleFarewell {
				return true
			}
		case http.StateHijacked, http.StateClosed:
		}
	}
	return false
}
