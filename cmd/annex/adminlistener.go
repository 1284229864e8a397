package main

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
)

// adminHandler answers at the second listener: health, metrics and, where it
// is switched on, profiles.
func (h *house) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", h.gateway.Operations())
	if h.Admin.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	if h.admin.ip().IsLoopback() {
		return onlyLocalNames(mux)
	}
	return mux
}

// onlyLocalNames refuses calls that name another host: a page in a browser on
// this machine could have its own name lead here.
func onlyLocalNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
			http.Error(w, "this listener is known as localhost only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
