package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/localca"
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/plugins/https"
	"github.com/annex-gateway/annex/plugins/mqtt"
	"github.com/annex-gateway/annex/plugins/wasm"
	"github.com/annex-gateway/annex/storage/badger"
)

// settings are what a gateway process is told.
type settings struct {
	data      string   // directory of everything that is kept
	listen    string   // host:port
	publicURL string   // how clients reach it; empty: as they say
	trust     []string // files of certificate authorities of endpoints
	password  string   // the first administrator's
	log       *slog.Logger
	drain     time.Duration
}

// house is a running gateway with everything below it.
type house struct {
	settings
	gateway  *gateway.Gateway
	server   *http.Server
	ca       *localca.CA
	listener net.Listener
	closers  []func() error // in the order of building; closed the other way round
	failed   chan error
}

// openHouse starts a gateway. It takes the port before it touches the data,
// so a second start on the same port changes nothing.
func openHouse(ctx context.Context, s settings) (*house, error) {
	h := &house{settings: s, failed: make(chan error, 1)}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *house) open(ctx context.Context) error {
	if err := h.takePort(ctx); err != nil {
		return err
	}
	if err := refuseKnownPassword(h.password, h.loopback()); err != nil {
		return err
	}
	if err := os.MkdirAll(h.data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	store, err := badger.Open(filepath.Join(h.data, "store"), badger.Options{Log: h.log})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, store.Close)
	if h.ca, err = localca.Open(filepath.Join(h.data, "tls")); err != nil {
		return err
	}
	trust, err := h.trusted()
	if err != nil {
		return err
	}
	h.gateway, err = gateway.New(ctx, gateway.Options{
		Store: store, Log: h.log, AdminPassword: h.password, PublicURL: h.publicURL,
		Kinds: func(host core.Host) ([]core.Kind, error) { return h.kinds(ctx, host, trust) },
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.gateway.Close)
	return h.serve()
}

func (h *house) takePort(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", h.listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w (choose another with --listen HOST:PORT)", h.listen, err)
	}
	h.listener = l
	h.closers = append(h.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (h *house) address() netip.AddrPort {
	a, _ := netip.ParseAddrPort(h.listener.Addr().String())
	return a
}

func (h *house) loopback() bool { return h.address().Addr().Unmap().IsLoopback() }

// baseURL is how programs on this machine reach the gateway.
func (h *house) baseURL() string {
	host, port, _ := net.SplitHostPort(h.listener.Addr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "https://" + net.JoinHostPort(host, port)
}

// trusted reads the authorities that endpoints are checked against; the local
// one is always among them.
func (h *house) trusted() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(h.ca.PEM())
	for _, file := range h.trust {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the trusted authority: %w", err)
		}
		if !pool.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s holds no PEM certificate", file)
		}
	}
	return pool, nil
}

func (h *house) kinds(ctx context.Context, host core.Host, trust *x509.CertPool) ([]core.Kind, error) {
	modules, err := wasm.New(ctx, host, wasm.Options{CacheDir: filepath.Join(h.data, "wasm-cache")})
	if err != nil {
		return nil, err
	}
	services := mqtt.New(host, mqtt.Options{})
	policy := https.DialPolicy{AllowLoopback: h.loopback(), AllowPrivate: h.loopback(), Own: []netip.AddrPort{h.address()}}
	endpoints := https.New(host, https.Options{Trust: https.TrustOnly(trust), Guard: policy.Guard})
	return []core.Kind{services, endpoints, modules}, nil
}

// serve starts answering.
func (h *house) serve() error {
	host, _, err := net.SplitHostPort(h.listen)
	if err != nil {
		return err
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	if host != "" && net.ParseIP(host) == nil || net.ParseIP(host) != nil && !net.ParseIP(host).IsUnspecified() {
		names = append(names, host)
	}
	cert, err := h.ca.Issue(names...)
	if err != nil {
		return fmt.Errorf("make the server's certificate: %w", err)
	}
	h.server = gateway.NewServer(h.gateway, h.log)
	h.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	go func() {
		if err := h.server.ServeTLS(h.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			h.failed <- err
		}
	}()
	return nil
}

// run waits for the end: of ctx, or of the server.
func (h *house) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return h.stop()
	case err := <-h.failed:
		return errors.Join(err, h.close())
	}
}

// stop takes no new calls, lets those in flight end, and closes the house.
func (h *house) stop() error {
	h.log.Info("stopping", "drain", h.drain)
	h.gateway.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), h.drain)
	defer cancel()
	err := h.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		h.log.Warn("calls were still in flight when the drain time ended")
		err = h.server.Close()
	}
	return errors.Join(err, h.close())
}

func (h *house) close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	h.closers = nil
	return errors.Join(errs...)
}

// refuseKnownPassword keeps a password that everybody tries first from facing
// a network.
func refuseKnownPassword(password string, loopback bool) error {
	if loopback {
		return nil
	}
	for _, known := range []string{"admin", "administrator", "annex", "changeme", "password", "secret", "123456", "root", "test", "vmware"} {
		if password == known {
			return fmt.Errorf("the administrator's password is one that everybody tries first: set another in ANNEX_ADMIN_PASSWORD, or listen on 127.0.0.1")
		}
	}
	return nil
}
