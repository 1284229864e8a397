package forward

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// fresh is how long an answer proves that the server can be reached.
const fresh = 10 * time.Second

// health remembers whether the server could be reached of late.
type health struct {
	last atomic.Int64 // when it was, in nanoseconds
	down atomic.Pointer[core.Error]

	mu      sync.Mutex
	cancel  context.CancelFunc // of the probe under way; nil for none
	stopped bool
	probes  sync.WaitGroup
}

func (h *health) seen() {
	h.last.Store(time.Now().UnixNano())
	if h.down.Load() != nil {
		h.down.Store(nil)
	}
}

func (h *health) lost(err *core.Error) { h.down.Store(err) }

// stop ends the probe under way and waits for it.
func (h *health) stop() {
	h.mu.Lock()
	h.stopped = true
	if h.cancel != nil {
		h.cancel()
	}
	h.mu.Unlock()
	h.probes.Wait()
}

// Ready returns nil, or why the server could not be reached when that was
// last tried. It does not wait: unless calls have proved it a moment ago it
// tries again meanwhile.
func (s *Server) Ready() error {
	h := &s.health
	down := h.down.Load()
	if down != nil || time.Since(time.Unix(0, h.last.Load())) > fresh {
		s.startProbe()
	}
	if down != nil {
		return down
	}
	return nil
}

func (s *Server) startProbe() {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel != nil || h.stopped {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.opts.DialTimeout)
	h.cancel = cancel
	h.probes.Go(func() {
		err := s.probe(ctx)
		h.mu.Lock()
		defer h.mu.Unlock()
		cancel()
		h.cancel = nil
		switch {
		case h.stopped:
		case err == nil:
			h.seen()
		default:
			h.lost(s.failure(err))
		}
	})
}

// probe connects and does not say a word.
func (s *Server) probe(ctx context.Context) error {
	u := url.URL{Host: s.host}
	port := u.Port()
	if port == "" {
		port = "80"
		if s.tls {
			port = "443"
		}
	}
	c, err := s.opts.dialer().DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || !s.tls {
		return closed(c, err)
	}
	conf := tlsConfig(s.pool())
	conf.ServerName = u.Hostname()
	t := tls.Client(c, conf)
	return closed(t, t.HandshakeContext(ctx))
}

func closed(c net.Conn, err error) error {
	if c != nil {
		_ = c.Close()
	}
	return err
}
