// Package gateway puts the house together: it wires the store, the catalog,
// the kinds and the road into one http.Handler.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
	"github.com/annex-gateway/annex/core/internal/api/oauth"
	"github.com/annex-gateway/annex/core/internal/api/vcloud"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/native"
	"github.com/annex-gateway/annex/core/internal/pipeline"
	"github.com/annex-gateway/annex/core/internal/telemetry"
	"github.com/annex-gateway/annex/core/internal/vxml"
	"github.com/annex-gateway/annex/storage"
)

// Gateway is the running house. It is an http.Handler for one or several
// listeners.
type Gateway struct {
	opts      Options
	public    *url.URL // nil: as requests say
	telemetry *telemetry.Telemetry
	catalog   *catalog.Catalog
	live      *live.Live
	identity  *identity.Identity
	native    *native.Native
	road      *pipeline.Pipeline
	admin     *echo.Echo
	mounts    map[string]http.Handler
	kinds     []core.Kind
	pool      pool
	password  string
	stopping  atomic.Bool
	long      long
	changed   changed
	end       context.CancelFunc // of the work in the background
	work      sync.WaitGroup
}

// New builds a gateway over opts.Store and starts every enabled system. ctx
// bounds the start only.
func New(ctx context.Context, opts Options) (*Gateway, error) {
	opts.fill()
	public, err := publicURL(opts.PublicURL)
	if err := errors.Join(err, opts.CORS.check()); err != nil {
		return nil, err
	}
	g := &Gateway{opts: opts, public: public, mounts: map[string]http.Handler{}}
	if err := g.build(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Gateway) build(ctx context.Context) error {
	var err error
	if g.telemetry, err = telemetry.New(ctx, g.opts.telemetry()); err != nil {
		return err
	}
	g.catalog, err = catalog.Open(ctx, g.opts.Store, catalog.Options{Now: g.opts.Now, Published: g.published})
	if err != nil {
		return err
	}
	g.identity = identity.New(g.catalog, func() *live.View { return g.live.View() }, identity.Options{
		Now: g.opts.Now, Log: g.opts.Log, Issuer: g.opts.Issuer, SessionTTL: g.opts.SessionTTL, KeyPeriod: g.opts.KeyPeriod,
		HTTPClient: g.opts.IdentityClient,
	})
	h := &host{g}
	if g.kinds, err = g.opts.Kinds(h); err != nil {
		return fmt.Errorf("make the kinds: %w", err)
	}
	if err := g.catalog.Use(g.kinds); err != nil {
		return err
	}
	if g.live, err = live.Start(ctx, g.catalog, live.Options{Log: g.opts.Log}); err != nil {
		return fmt.Errorf("read what is registered: %w", err)
	}
	if g.password, err = g.identity.Bootstrap(ctx, g.opts.AdminPassword); err != nil {
		return fmt.Errorf("make the first administrator: %w", err)
	}
	if err := g.catalog.SeedRights(ctx, identity.RoleOrgAdministrator); err != nil {
		return fmt.Errorf("make the built-in rights: %w", err)
	}
	if err := g.buildNative(); err != nil {
		return err
	}
	g.road = pipeline.New(g.live, g.identity, g.native, pipeline.Options{
		Reserved: g.reserved, Trace: g.opts.Trace, Observer: g.telemetry, VisitLimit: g.opts.Limits.Visit,
	})
	g.mount()
	return g.start()
}

func (g *Gateway) buildNative() error {
	opts := native.Options{View: g.live.View, BuiltIn: g.opts.BuiltIn}
	if g.opts.Upstream.URL != "" {
		up, err := g.opts.Upstream.open(g)
		if err != nil {
			return err
		}
		opts.Upstream = up
	}
	g.native = native.New(opts)
	return nil
}

// mount sets up what the gateway itself answers.
func (g *Gateway) mount() {
	for _, k := range g.kinds {
		if m, ok := k.(core.Mounter); ok {
			path, handler := m.Mount()
			g.mounts[path] = handler
		}
	}
	deps := api.Deps{
		Catalog: g.catalog, Identity: g.identity, Live: g.live, Log: g.opts.Log, Explain: g.road.Explain,
		Logs:   g.logs,
		Limits: api.Limits{Admin: g.opts.Limits.AdminBody, Module: g.opts.Limits.Module},
	}
	g.admin = echo.New()
	g.admin.HideBanner, g.admin.HidePort = true, true
	cloudapi.Register(g.admin, deps)
	oauth.Register(g.admin, deps)
	vcloud.Register(g.admin, deps)
	g.admin.GET("/livez", g.livez)
	g.admin.GET("/readyz", g.readyz)
	g.admin.GET("/.well-known/jwks.json", func(c echo.Context) error {
		return c.JSONBlob(http.StatusOK, g.identity.JWKS())
	})
}

// logs gives what a system wrote, of the kinds that keep it.
func (g *Gateway) logs(ctx context.Context, by core.Caller, systemID string, follow bool) iter.Seq[core.LogLine] {
	return func(yield func(core.LogLine) bool) {
		ctx, end := g.long.begin(ctx, by)
		defer end()
		sys, ok := g.live.View().System(systemID)
		for _, k := range g.kinds {
			if s, keeps := k.(core.LogSource); keeps && ok && sys.System.Kind == k.Name() {
				s.Logs(ctx, systemID, follow)(yield)
				return
			}
		}
	}
}

// start begins what goes on in the background.
func (g *Gateway) start() error {
	for _, k := range g.kinds {
		if s, ok := telemetry.StatsOf(k); ok {
			if err := g.telemetry.Register(telemetry.KindStats(k.Name(), s)); err != nil {
				return fmt.Errorf("count what %s does: %w", k.Name(), err)
			}
		}
		if s, ok := k.(core.MetricSource); ok {
			if err := g.telemetry.Register(telemetry.SystemMetrics(s)); err != nil {
				return fmt.Errorf("count what the systems of %s do: %w", k.Name(), err)
			}
		}
	}
	ctx, end := context.WithCancel(context.Background())
	g.end = end
	g.work.Go(func() { g.sweep(ctx) })
	g.work.Go(func() { g.follow(ctx) })
	return nil
}

// published waits until the view holds a commit and calls go by it; before the first view there
// is nothing to wait for.
func (g *Gateway) published(ctx context.Context, r storage.Revision) error {
	if g.live == nil {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := g.live.Wait(within, r); err != nil {
		return err
	}
	// What a connection needs to open was tried before the commit. One that
	// takes longer now is not waited for: the commit stands.
	long, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	_ = g.live.Replaced(long, r)
	return nil
}

// GeneratedPassword is the administrator's password if this start made one,
// else empty. It is to be shown once.
func (g *Gateway) GeneratedPassword() string { return g.password }

// sweep removes, now and then, what has expired.
func (g *Gateway) sweep(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := g.identity.Sweep(ctx); err != nil && ctx.Err() == nil {
				g.opts.Log.Warn("removing expired sessions failed", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Drain makes readiness fail, so that balancers send no new calls.
func (g *Gateway) Drain() { g.stopping.Store(true) }

// Close cuts streams that go on, closes every system and kind, and writes out
// what was reported. Other calls should have ended before; the store stays
// open.
func (g *Gateway) Close() error {
	g.Drain()
	g.long.close()
	if g.end != nil {
		g.end()
		g.work.Wait()
	}
	if g.live != nil {
		g.live.Close()
	}
	var errs []error
	for _, k := range g.kinds {
		if c, ok := k.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	if g.native != nil {
		errs = append(errs, g.native.Close())
	}
	if g.identity != nil {
		g.identity.Close()
	}
	if g.telemetry != nil {
		errs = append(errs, g.telemetry.Close())
	}
	return errors.Join(errs...)
}

// reservedPaths are never captured by a filter and never seen by the response
// chain.
func reservedPaths() []string {
	return []string{
		"/api/admin/extension", "/api/admin/right", "/api/sessions", "/api/versions", "/api/login", "/cloudapi", "/oauth", "/messaging",
		"/livez", "/readyz", "/metrics", "/.well-known/jwks.json",
	}
}

func (g *Gateway) reserved(path string) bool {
	for _, p := range reservedPaths() {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return g.mounts[path] != nil || g.ownSchema(path)
}

// ownSchema tells the files that describe what this gateway writes. An API
// that is extended in place of the built-in one has files of its own there.
func (g *Gateway) ownSchema(path string) bool {
	_, ok := vxml.Schema(path)
	return ok && (g.opts.Upstream.URL == "" || g.opts.BuiltIn)
}
