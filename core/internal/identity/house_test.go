package identity

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// idle is a kind whose systems do nothing.
type idle struct{}

func (idle) Name() string                                               { return core.KindMQTT }
func (idle) Stages() []core.Stage                                       { return []core.Stage{core.OnDispatch} }
func (idle) Check(context.Context, core.System) error                   { return nil }
func (idle) Open(context.Context, core.System) (core.Conn, error)       { return idle{}, nil }
func (idle) Do(_ context.Context, m core.Message) (core.Message, error) { return m, nil }
func (idle) Close() error                                               { return nil }

// house is an Identity with everything that it stands on.
type house struct {
	*Identity
	cat   *catalog.Catalog
	live  *live.Live
	store storage.Store
	clock *clock
}

// cheap makes password checks quick.
func cheap() Cost { return Cost{MemoryKiB: 8, Passes: 1, Lanes: 1, Concurrency: 2} }

func build(tb testing.TB, store storage.Store, clk *clock, opts Options) *house {
	tb.Helper()
	h := &house{store: store, clock: clk}
	var err error
	h.cat, err = catalog.Open(tb.Context(), store, catalog.Options{
		Now: clk.Now,
		Published: func(ctx context.Context, r storage.Revision) error {
			if h.live == nil {
				return nil
			}
			return h.live.Wait(ctx, r)
		},
	})
	must(tb, err)
	must(tb, h.cat.Use([]core.Kind{idle{}}))
	h.live, err = live.Start(tb.Context(), h.cat, live.Options{})
	must(tb, err)
	tb.Cleanup(h.live.Close)
	opts.Now = clk.Now
	if opts.Cost == (Cost{}) {
		opts.Cost = cheap()
	}
	h.Identity = New(h.cat, h.live.View, opts)
	return h
}

const password = "correct horse"

// start gives a gateway with an administrator, the organisation acme and its
// user eve.
func start(tb testing.TB, opts Options) *house {
	tb.Helper()
	h := build(tb, memory.New(), &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}, opts)
	_, err := h.Bootstrap(tb.Context(), password)
	must(tb, err)
	h.addOrg(tb, "acme")
	h.addUser(tb, "acme", "eve")
	return h
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (h *house) addOrg(tb testing.TB, name string) {
	tb.Helper()
	_, err := h.cat.Orgs.Create(tb.Context(), "", core.Org{Name: name, Enabled: true})
	must(tb, err)
}

func (h *house) addUser(tb testing.TB, org, name string) core.User {
	tb.Helper()
	hash, err := h.HashPassword(tb.Context(), password)
	must(tb, err)
	o, ok := h.live.View().Directory.OrgByName(org)
	if !ok {
		tb.Fatalf("no organisation %q", org)
	}
	u, err := h.cat.Users.Create(tb.Context(), "", core.User{Name: name, OrgID: o.ID, Enabled: true, Password: hash})
	must(tb, err)
	return u
}

func (h *house) addService(tb testing.TB, name string) core.System {
	tb.Helper()
	s, err := h.cat.Systems.Create(tb.Context(), "", core.System{Kind: core.KindMQTT, Vendor: "acme", Name: name, Version: "1.0.0", Enabled: true})
	must(tb, err)
	return s
}

func (h *house) changeUser(tb testing.TB, id string, change func(*core.User)) {
	tb.Helper()
	_, err := h.cat.Users.Update(tb.Context(), "", id, nil, func(u core.User) (core.User, error) {
		change(&u)
		return u, nil
	})
	must(tb, err)
}

func (h *house) changeOrg(tb testing.TB, id string, change func(*core.Org)) {
	tb.Helper()
	_, err := h.cat.Orgs.Update(tb.Context(), "", id, nil, func(o core.Org) (core.Org, error) {
		change(&o)
		return o, nil
	})
	must(tb, err)
}

var (
	faraway = netip.MustParseAddr("203.0.113.7")
	here    = netip.MustParseAddr("127.0.0.1")
)

func eve() Credentials {
	return Credentials{User: "eve", Org: "acme", Password: password, Remote: faraway}
}

func admin() Credentials {
	return Credentials{User: "administrator", Org: "System", Password: password, Remote: faraway}
}

func (h *house) login(tb testing.TB, c Credentials) Session {
	tb.Helper()
	s, err := h.Login(tb.Context(), c)
	must(tb, err)
	return s
}

func get(path string, pairs ...string) core.Request {
	return core.Request{
		Method: http.MethodGet, Path: path, RawPath: path, Scheme: "https", Host: "gw.example:8443",
		Header: core.NewHeader(pairs...),
	}
}

func bearerOf(token string) core.Request {
	return get("/api/x", "Authorization", "Bearer "+token)
}

func wantCode(tb testing.TB, err error, code core.Code) {
	tb.Helper()
	if err == nil || core.ErrorCode(err) != code {
		tb.Fatalf("got error %v, want code %q", err, code)
	}
}

// refused checks that a token names nobody.
func (h *house) refused(tb testing.TB, token string) {
	tb.Helper()
	c, err := h.Identify(tb.Context(), bearerOf(token))
	wantCode(tb, err, core.Unauthenticated)
	if c.Known() {
		tb.Fatalf("a refused token named %s", c.UserName)
	}
}

func (h *house) accepted(tb testing.TB, token string) core.Caller {
	tb.Helper()
	c, err := h.Identify(tb.Context(), bearerOf(token))
	must(tb, err)
	return c
}
