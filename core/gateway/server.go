package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/annex-gateway/annex/core"
)

// NewServer makes an http.Server for the handler with the limits of an
// exposed gateway: header bytes and time, idle connections, HTTP/2 streams.
// Bodies have no limit here; who reads them sets one.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func checkPublicURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return core.Errorf(core.Invalid, "the public URL %q is not of the form %s", s, fmt.Sprintf("%q", "https://host:port"))
	}
	return nil
}
