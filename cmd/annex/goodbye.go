package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// farewell lets clients leave before the listeners close: for a moment every
// answer tells them not to come back on the same connection. Closing a
// connection without a word can cross with a call that is on its way.
type farewell struct {
	said        atomic.Bool
	connections atomic.Int64
}

// longestFarewell bounds how long idle connections are waited for.
const longestFarewell = time.Second

// around makes the handler say goodbye when it is time.
func (f *farewell) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.said.Load() {
			w.Header().Set("Connection", "close") // on HTTP/2 it becomes GOAWAY
		}
		h.ServeHTTP(w, r)
	})
}

// count is a http.Server's ConnState.
func (f *farewell) count(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		f.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		f.connections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// say waits until all connections are closed, not longer than a moment.
func (f *farewell) say(ctx context.Context) {
	f.said.Store(true)
	ctx, cancel := context.WithTimeout(ctx, longestFarewell)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.connections.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
