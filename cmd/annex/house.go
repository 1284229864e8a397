package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/cmd/annex/localca"
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/plugins/https"
	"github.com/annex-gateway/annex/plugins/mqtt"
	"github.com/annex-gateway/annex/plugins/wasm"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
	"github.com/annex-gateway/annex/storage/badger"
)

// house is a running gateway with everything below it.
type house struct {
	config.Config
	log      *slog.Logger
	gateway  *gateway.Gateway
	ca       *localca.CA
	trust    *trust
	doors    []*door
	admin    *door // nil: there is none
	goodbye  *farewell
	closers  []func() error // in the order of building; closed the other way round
	failed   chan error
	stopping atomic.Bool
}

// openHouse starts a gateway. What can be refused without touching the data
// is refused first, so that such a start changes nothing.
func openHouse(ctx context.Context, c config.Config, log *slog.Logger) (*house, error) {
	h := &house{Config: c, log: log, failed: make(chan error, 1), trust: &trust{}, goodbye: newFarewells()}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *house) open(ctx context.Context) error {
	if err := h.takePorts(ctx); err != nil {
		return err
	}
	if err := h.checkFirst(); err != nil {
		return err
	}
	if err := os.MkdirAll(h.Data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	store, err := badger.Open(filepath.Join(h.Data, "store"), badger.Options{Log: h.log})
	if err != nil {
		return fmt.Errorf("%w (--data chooses another directory)", err)
	}
	h.closers = append(h.closers, store.Close)
	if h.ca, err = localca.Open(h.caDir()); err != nil {
		return err
	}
	if err := errors.Join(h.loadCertificates(), h.trust.load(h.Trust, h.ca)); err != nil {
		return err
	}
	opts := h.gatewayOptions(ctx)
	opts.Store = store
	if opts.AccessLog, err = h.openAccessLog(); err != nil {
		return err
	}
	seldom := collectSeldom()
	h.closers = append(h.closers, seldom.stop)
	if h.gateway, err = gateway.New(ctx, opts); err != nil {
		return err
	}
	seldom.started()
	h.closers = append(h.closers, h.gateway.Close)
	h.serve()
	return nil
}

func (h *house) caDir() string { return filepath.Join(h.Data, "tls") }

// checkFirst looks at everything that the data does not depend on.
func (h *house) checkFirst() error {
	return errors.Join(
		refuseKnownPassword(h.AdminPassword, h.loopback()),
		localca.Check(h.caDir()),
		checkFiles(h.Config),
	)
}

// checkFiles reads every file that the configuration names.
func checkFiles(c config.Config) error {
	pairs := []config.Pair{c.TLS}
	for _, l := range c.Listeners {
		pairs = append(pairs, l.Pair)
	}
	var errs []error
	for _, p := range pairs {
		if p != (config.Pair{}) {
			_, err := loadPair(p)
			errs = append(errs, err)
		}
	}
	_, err := readTrust(c.Trust)
	return errors.Join(append(errs, err)...)
}

func (h *house) gatewayOptions(ctx context.Context) gateway.Options {
	return gateway.Options{
		Log: h.log, AdminPassword: h.AdminPassword, PublicURL: h.PublicURL, TrustedProxies: h.TrustedProxies, Version: version(),
		Kinds:        func(host core.Host) ([]core.Kind, error) { return h.kinds(ctx, host) },
		Upstream:     h.upstream(),
		BuiltIn:      h.Upstream.BuiltIn,
		CORS:         gateway.CORS{Origins: h.CORS.Origins, Credentials: h.CORS.Credentials, MaxAge: h.CORS.MaxAge},
		Limits:       gateway.Limits{AdminBody: h.Limits.AdminBody, Module: h.Limits.Module},
		SessionTTL:   h.Session.Lifetime,
		OTLPEndpoint: h.Tracing.Endpoint, TraceRatio: traceRatio(h.Tracing.Ratio),
	}
}

func (h *house) upstream() gateway.Upstream {
	u := h.Upstream
	if u.Credentials == config.CredentialsForward {
		u.Credentials = "pass"
	}
	return gateway.Upstream{
		URL: u.URL, Credentials: u.Credentials, User: u.User, Password: u.Password, Header: u.Header, Value: u.Value, Trust: h.trust.upstream.Load,
	}
}

// traceRatio says zero as the gateway does, whose zero is the default.
func traceRatio(r float64) float64 {
	if r == 0 {
		return -1
	}
	return r
}

// openAccessLog opens where the lines about calls go; nil for nowhere.
func (h *house) openAccessLog() (io.Writer, error) {
	switch h.Log.Access {
	case config.Off:
		return nil, nil //nolint:nilnil // nowhere is what it says
	case config.Stdout:
		return os.Stdout, nil
	case config.Stderr:
		return os.Stderr, nil
	}
	f, err := os.OpenFile(h.Log.Access, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the access log: %w (--access-log chooses another)", err)
	}
	h.closers = append(h.closers, f.Close)
	return f, nil
}

func (h *house) kinds(ctx context.Context, host core.Host) ([]core.Kind, error) {
	modules, err := wasm.New(ctx, host, wasm.Options{
		CacheDir: filepath.Join(h.Data, "wasm-cache"), Inspect: inspect.Limits{Bytes: int(h.Limits.Module)},
		MaxMemoryBytes: h.WASM.MaxMemory, MaxDeadline: h.WASM.MaxDeadline, MaxStart: h.WASM.MaxStart, MaxConcurrency: h.WASM.MaxConcurrency, MaxLogLines: h.WASM.MaxLogLines,
		Compiler: compilerProgram(), CompileTimeout: h.WASM.CompileTimeout, BodyBytes: h.Limits.BufferedBody, MaxBodyBytes: h.WASM.MaxBody, MaxStateBytes: h.WASM.MaxState,
		Guard: h.dialPolicy().Guard, Trust: h.trust.Pool,
	})
	if err != nil {
		return nil, err
	}
	services := mqtt.New(host, mqtt.Options{Timeout: h.MQTT.Timeout, BodyLimit: h.Limits.BufferedBody, SendRights: h.MQTT.SendRights})
	endpoints := https.New(host, https.Options{Trust: h.trust, Guard: h.dialPolicy().Guard})
	return []core.Kind{services, endpoints, modules}, nil
}

// dialPolicy keeps endpoints from being a way to the gateway itself, and to
// what only its own network can reach.
func (h *house) dialPolicy() https.DialPolicy {
	allowed := func(choice string) bool {
		return choice == config.Allow || choice == config.Auto && h.loopback()
	}
	p := https.DialPolicy{
		AllowLoopback: allowed(h.Endpoints.Loopback), AllowPrivate: allowed(h.Endpoints.Private), Allow: h.Endpoints.Networks,
	}
	for _, d := range h.allDoors() {
		if own, err := netip.ParseAddrPort(d.listener.Addr().String()); err == nil {
			p.Own = append(p.Own, own)
		}
	}
	return p
}

// run waits for the end: of ctx, or of a server. On a signal from again it
// calls reload.
func (h *house) run(ctx context.Context, again <-chan os.Signal, reload func()) error {
	for {
		select {
		case <-ctx.Done():
			return h.stop()
		case err := <-h.failed:
			return errors.Join(err, h.close())
		case <-again:
			reload()
		}
	}
}

// stop takes no new calls, lets those in flight end, and closes the house.
// The admin listener tells of it until the end.
func (h *house) stop() error {
	h.log.Info("stopping", "drain", h.Drain)
	h.gateway.Drain()
	h.stopping.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), h.Drain)
	defer cancel()
	var errs []error
	for _, d := range h.doors {
		errs = append(errs, unlessClosed(d.listener.Close()))
	}
	h.goodbye.say(ctx)
	for _, d := range h.allDoors() {
		errs = append(errs, d.shutdown(ctx, h.log))
	}
	return errors.Join(append(errs, h.close())...)
}

func (d *door) shutdown(ctx context.Context, log *slog.Logger) error {
	err := d.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("calls were still in flight when the drain time ended", "listener", d.listener.Addr().String())
		err = d.server.Close()
	}
	return unlessClosed(err)
}

// unlessClosed forgives what was closed before.
func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
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
			return errors.New("the administrator's password is one that everybody tries first: set another in ANNEX_ADMIN_PASSWORD, or listen on 127.0.0.1")
		}
	}
	return nil
}
