// Package gateway puts the house together: it wires the store, the catalog,
// the kinds and the road into one http.Handler.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
	"github.com/annex-gateway/annex/core/internal/api/vcloud"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/native"
	"github.com/annex-gateway/annex/core/internal/pipeline"
	"github.com/annex-gateway/annex/storage"
)

// Options say what a gateway is made of. Store and Kinds are needed; the zero
// value of everything else works.
type Options struct {
	// Store keeps what is registered. The gateway does not close it.
	Store storage.Store
	// Kinds makes the ways of reaching external systems.
	Kinds func(core.Host) ([]core.Kind, error)
	Log   *slog.Logger
	Now   func() time.Time
	// AdminPassword is the first password of administrator@System. When it is
	// empty, and there is no administrator yet, one is generated.
	AdminPassword string
	// PublicURL is how clients reach the gateway, such as
	// "https://api.example.com". Empty: as their requests say.
	PublicURL string
	// Trace, when set, is told about every visit and decision on the road.
	Trace func(ctx context.Context, e core.Event)
}

// Gateway is the running house. It is an http.Handler for one or several
// listeners.
type Gateway struct {
	opts     Options
	catalog  *catalog.Catalog
	live     *live.Live
	identity *identity.Identity
	road     *pipeline.Pipeline
	admin    *echo.Echo
	mounts   map[string]http.Handler
	kinds    []core.Kind
	password string
	stopping atomic.Bool
	sweep    context.CancelFunc
	swept    chan struct{}
}

// New builds a gateway over opts.Store and starts every enabled system. ctx
// bounds the start only.
func New(ctx context.Context, opts Options) (*Gateway, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := checkPublicURL(opts.PublicURL); err != nil {
		return nil, err
	}
	g := &Gateway{opts: opts, mounts: map[string]http.Handler{}}
	if err := g.build(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Gateway) build(ctx context.Context) error {
	var err error
	g.catalog, err = catalog.Open(ctx, g.opts.Store, catalog.Options{Now: g.opts.Now, Published: g.published})
	if err != nil {
		return err
	}
	g.identity = identity.New(g.catalog, func() *live.View { return g.live.View() }, identity.Options{Now: g.opts.Now, Log: g.opts.Log})
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
	g.road = pipeline.New(g.live, g.identity, native.New(native.Options{View: g.live.View}), pipeline.Options{
		Reserved: g.reserved, Trace: g.opts.Trace,
	})
	g.mount()
	g.startSweeping()
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
	deps := api.Deps{Catalog: g.catalog, Identity: g.identity, Live: g.live, Log: g.opts.Log}
	g.admin = echo.New()
	g.admin.HideBanner, g.admin.HidePort = true, true
	cloudapi.Register(g.admin, deps)
	vcloud.Register(g.admin, deps)
	g.admin.GET("/livez", g.livez)
	g.admin.GET("/readyz", g.readyz)
	g.admin.GET("/.well-known/jwks.json", func(c echo.Context) error {
		return c.JSONBlob(http.StatusOK, g.identity.JWKS())
	})
}

// published waits until the view holds a commit; before the first view there
// is nothing to wait for.
func (g *Gateway) published(ctx context.Context, r storage.Revision) error {
	if g.live == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return g.live.Wait(ctx, r)
}

// GeneratedPassword is the administrator's password if this start made one,
// else empty. It is to be shown once.
func (g *Gateway) GeneratedPassword() string { return g.password }

// startSweeping removes, now and then, what has expired.
func (g *Gateway) startSweeping() {
	ctx, cancel := context.WithCancel(context.Background())
	g.sweep, g.swept = cancel, make(chan struct{})
	go func() {
		defer close(g.swept)
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
	}()
}

// Drain makes readiness fail, so that balancers send no new calls.
func (g *Gateway) Drain() { g.stopping.Store(true) }

// Close closes every system and kind. Calls should have ended before; the
// store stays open.
func (g *Gateway) Close() error {
	g.Drain()
	if g.sweep != nil {
		g.sweep()
		<-g.swept
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
	return errors.Join(errs...)
}

// reservedPaths are never captured by a filter and never seen by the response
// chain.
func reservedPaths() []string {
	return []string{
		"/api/admin/extension", "/api/sessions", "/api/versions", "/api/login", "/cloudapi", "/oauth", "/messaging",
		"/livez", "/readyz", "/metrics", "/.well-known/jwks.json",
	}
}

func (g *Gateway) reserved(path string) bool {
	for _, p := range reservedPaths() {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return g.mounts[path] != nil
}
