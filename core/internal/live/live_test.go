package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

type fixture struct {
	*testing.T
	store storage.Store
	cat   *catalog.Catalog
	live  *Live
	kind  *plugintest.Fake

	patient bool // commits wait for the connections that they replace
}

func start(t *testing.T, store storage.Store) *fixture {
	t.Helper()
	f := &fixture{T: t, store: store, kind: plugintest.NewFake(core.KindMQTT, core.OnDispatch, core.OnResponse), patient: true}
	var err error
	f.cat, err = catalog.Open(t.Context(), store, catalog.Options{Published: func(ctx context.Context, r storage.Revision) error {
		if err := f.live.Wait(ctx, r); err != nil || !f.patient {
			return err
		}
		return f.live.Replaced(ctx, r)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cat.Use([]core.Kind{f.kind}); err != nil {
		t.Fatal(err)
	}
	if f.live, err = Start(t.Context(), f.cat, Options{RetryAfter: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.live.Close)
	return f
}

func (f *fixture) system(name string, priority int, patterns ...string) core.System {
	f.Helper()
	s := f.kind.System("acme", name, "1.0.0")
	s.Priority = priority
	s, err := f.cat.Systems.Create(f.Context(), "", s)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range patterns {
		if _, err := f.cat.Filters.Create(f.Context(), "", core.Filter{System: s.ID, Scope: core.ScopeAPI, URLPattern: p}); err != nil {
			f.Fatal(err)
		}
	}
	return s
}

func (f *fixture) update(id string, change func(*core.System)) {
	f.Helper()
	_, err := f.cat.Systems.Update(f.Context(), "", id, nil, func(s core.System) (core.System, error) { change(&s); return s, nil })
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) names(path string) []string {
	f.Helper()
	stops, err := f.live.View().ByURL(core.OnDispatch, core.ScopeAPI, path)
	if err != nil {
		f.Fatal(err)
	}
	names := []string{}
	for _, s := range stops {
		names = append(names, s.Entry.System.Name)
	}
	return names
}

func (f *fixture) want(path string, names ...string) {
	f.Helper()
	if got := f.names(path); !slices.Equal(got, names) {
		f.Errorf("%s goes to %v, want %v", path, got, names)
	}
}

func TestWhatIsRegisteredIsInTheViewAtOnce(t *testing.T) {
	f := start(t, memory.New())
	low := f.system("low", 10, "/api/x", "/api/.*")
	f.system("high", 90, "/api/x")
	f.system("alike", 10, "/api/x")
	f.want("/api/x", "high", "alike", "low")
	f.want("/api/y", "low")

	f.update(low.ID, func(s *core.System) { s.Priority = 100 })
	f.want("/api/x", "low", "high", "alike")

	f.update(low.ID, func(s *core.System) { s.Enabled = false })
	f.want("/api/x", "high", "alike")
	f.want("/api/y")

	f.update(low.ID, func(s *core.System) { s.Enabled = true })
	f.want("/api/y", "low")

	for x, err := range f.cat.Filters.Under(t.Context(), low.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if x.URLPattern == "/api/.*" {
			if err := f.cat.Filters.Delete(t.Context(), x.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.want("/api/y")
	f.want("/api/x", "low", "high", "alike")
}

func TestAFilterOfADisabledSystemMatchesOnceItIsEnabled(t *testing.T) {
	f := start(t, memory.New())
	s := f.system("late", 50)
	f.update(s.ID, func(s *core.System) { s.Enabled = false })
	if _, err := f.cat.Filters.Create(t.Context(), "", core.Filter{System: s.ID, Scope: core.ScopeAPI, URLPattern: "/api/late"}); err != nil {
		t.Fatal(err)
	}
	f.want("/api/late")
	f.update(s.ID, func(s *core.System) { s.Enabled = true })
	f.want("/api/late", "late")
}

func TestARestartFindsTheSameView(t *testing.T) {
	store := memory.New()
	f := start(t, store)
	f.system("a", 50, "/api/a")
	f.live.Close()
	start(t, store).want("/api/a", "a")
}

// A start reads filters before their systems.
func TestAStartShowsTheFiltersOfEnabledSystemsOnly(t *testing.T) {
	store := memory.New()
	f := start(t, store)
	f.system("on", 50, "/api/x", "/api/on")
	off := f.system("off", 50, "/api/x", "/api/off")
	f.update(off.ID, func(s *core.System) { s.Enabled = false })
	again := start(t, store)
	again.want("/api/x", "on")
	again.want("/api/on", "on")
	again.want("/api/off")
	if _, filters := again.live.View().Counts(); filters != 2 {
		t.Errorf("%d filters are in force", filters)
	}
	again.update(off.ID, func(s *core.System) { s.Enabled = true })
	again.want("/api/x", "off", "on")
	again.want("/api/off", "off")
}

func TestConnectionsAreOpenedOnceAndClosedOnce(t *testing.T) {
	f := start(t, memory.New())
	s := f.system("a", 50, "/api/a")
	e, _ := f.live.View().System(s.ID)
	_, release, err := e.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.update(s.ID, func(s *core.System) { s.Priority = 60 })
	if n := f.kind.Counts().Opens; n != 1 {
		t.Errorf("another priority opened the system anew: %d opens", n)
	}
	f.update(s.ID, func(s *core.System) { s.Settings = []byte(`{"X":1}`) })
	if _, _, err := e.Acquire(t.Context()); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("a replaced connection was given: %v", err)
	}
	now, ok := f.live.Reopen(t.Context(), e)
	if !ok {
		t.Fatal("the replacement is not found")
	}
	_, release2, err := now.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := f.kind.Counts().Closes; n != 0 {
		t.Errorf("closed under a call: %d closes", n)
	}
	release()
	release2()
	f.live.Close()
	if c := f.kind.Counts(); c.Opens != 2 || c.Closes != 2 {
		t.Errorf("got %+v, want 2 opens and 2 closes", c)
	}
}

func TestASystemThatFailsToOpenIsTriedAgain(t *testing.T) {
	f := start(t, memory.New())
	var fail atomic.Bool
	fail.Store(true)
	f.kind.OnOpen(func(core.System) error {
		if fail.Load() {
			return errors.New("not today")
		}
		return nil
	})
	s := f.system("a", 50, "/api/a")
	other := f.system("b", 50, "/api/b")
	e, _ := f.live.View().System(s.ID)
	if _, _, err := e.Acquire(t.Context()); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	fail.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, id := range []string{s.ID, other.ID} {
		for {
			e, _ := f.live.View().System(id)
			_, release, err := e.Acquire(ctx)
			if err == nil {
				release()
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s never came back: %v", id, err)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestOpeningHoldsNothingElseUp(t *testing.T) {
	f := start(t, memory.New())
	gate := make(chan struct{})
	f.kind.OnOpen(func(s core.System) error {
		if s.Name == "slow" {
			<-gate
		}
		return nil
	})
	s := f.system("slow", 50, "/api/slow")
	f.system("quick", 50, "/api/quick")
	f.want("/api/quick", "quick")
	e, _ := f.live.View().System(s.ID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := e.Acquire(ctx); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("a call whose time is over: %v, want unavailable", err)
	}
	close(gate)
	_, release, err := e.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// TestASystemServesUntilItsReplacementIsOpen: calls do not wait for the start of
// what replaces a system, and go to it once it has started.
func TestASystemServesUntilItsReplacementIsOpen(t *testing.T) {
	f := start(t, memory.New())
	s := f.system("a", 50, "/api/a")
	serves := func() core.Conn {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		e, _ := f.live.View().System(s.ID)
		conn, release, err := e.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		release()
		return conn
	}
	first := serves()
	gate, failing := make(chan struct{}), atomic.Bool{}
	f.kind.OnOpen(func(core.System) error {
		if failing.Load() {
			return errors.New("not today")
		}
		<-gate
		return nil
	})
	f.patient = false
	f.update(s.ID, func(s *core.System) { s.Settings = []byte(`{"X":1}`) })
	f.update(s.ID, func(s *core.System) { s.Settings = []byte(`{"X":2}`) }) // the first replacement is not open yet
	if serves() != first || f.kind.Counts().Closes != 0 {
		t.Error("calls do not go to what still serves")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.live.Replaced(ctx, f.live.View().Revision); !errors.Is(err, context.Canceled) {
		t.Errorf("the replacement is not waited for: %v", err)
	}
	close(gate)
	if err := f.live.Replaced(t.Context(), f.live.View().Revision); err != nil {
		t.Fatal(err)
	}
	second := serves()
	if second == first {
		t.Error("calls go to what was replaced")
	}
	failing.Store(true)
	f.patient = true
	f.update(s.ID, func(s *core.System) { s.Settings = []byte(`{"X":3}`) }) // does not wait for ever
	if serves() != second {
		t.Error("what cannot be replaced does not serve")
	}
	if e, _ := f.live.View().System(s.ID); e.Err() == nil {
		t.Error("nothing tells that the replacement does not open")
	}
	f.update(s.ID, func(s *core.System) { s.Enabled = false })
	if e, _ := f.live.View().System(s.ID); e.Running() {
		t.Error("a disabled system runs")
	}
	f.live.Close()
	if c := f.kind.Counts(); c.Closes != c.Opens {
		t.Errorf("got %+v, want all closed once", c)
	}
}

func TestAPanicInOpenIsAFailureOfThatSystem(t *testing.T) {
	f := start(t, memory.New())
	f.kind.OnOpen(func(core.System) error { panic("boom") })
	s := f.system("a", 50)
	e, _ := f.live.View().System(s.ID)
	if _, _, err := e.Acquire(t.Context()); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("got %v", err)
	}
	f.kind.OnOpen(nil)
}

func TestDirectory(t *testing.T) {
	f := start(t, memory.New())
	ctx := t.Context()
	create := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	org, err := f.cat.Orgs.Create(ctx, "", core.Org{Name: "Acme", Enabled: true})
	create(err)
	right, err := f.cat.Rights.Create(ctx, "", core.Right{Name: "Read"})
	create(err)
	role, err := f.cat.Roles.Create(ctx, "", core.Role{Name: "Reader", RightIDs: []string{right.ID}})
	create(err)
	user, err := f.cat.Users.Create(ctx, "", core.User{Name: "Ann", OrgID: org.ID, RoleIDs: []string{role.ID}, Enabled: true})
	create(err)

	before := f.live.View().Directory
	c, ok := before.Caller(user.ID)
	if !ok || !c.Rights.Has("Read") || !c.Rights.HasID(right.ID) || c.Rights.Has("Write") || c.OrgName != "Acme" || c.Provider() {
		t.Errorf("got %+v, %v", c, ok)
	}
	if u, ok := before.UserByName(org.ID, "ann"); !ok || u.ID != user.ID {
		t.Errorf("by name: %+v, %v", u, ok)
	}
	_, err = f.cat.Roles.Update(ctx, "", role.ID, nil, func(r core.Role) (core.Role, error) { r.RightIDs = nil; return r, nil })
	create(err)
	if c, _ := f.live.View().Directory.Caller(user.ID); c.Rights.Has("Read") {
		t.Error("a right taken from the role is still held")
	}
	if c, _ := before.Caller(user.ID); !c.Rights.Has("Read") {
		t.Error("an older picture changed")
	}
	_, err = f.cat.Orgs.Update(ctx, "", org.ID, nil, func(o core.Org) (core.Org, error) { o.Enabled = false; return o, nil })
	create(err)
	if _, ok := f.live.View().Directory.Caller(user.ID); ok {
		t.Error("a member of a disabled organisation is a caller")
	}
	create(f.cat.Orgs.Delete(ctx, org.ID, nil))
	if _, ok := f.live.View().Directory.UserByName(org.ID, "ann"); ok {
		t.Error("a user outlived the organisation")
	}
}

func TestHammerViewsUnderReplacement(t *testing.T) {
	f := start(t, memory.New())
	s := f.system("a", 50, "/api/a")
	stop := make(chan struct{})
	var failed atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				stops, err := f.live.View().ByURL(core.OnDispatch, core.ScopeAPI, "/api/a")
				if err != nil || len(stops) != 1 {
					failed.Add(1)
					continue
				}
				e := stops[0].Entry
				conn, release, err := e.Acquire(t.Context())
				for range 5 {
					if err == nil {
						break
					}
					if now, ok := f.live.Reopen(t.Context(), e); ok {
						e = now
					}
					conn, release, err = e.Acquire(t.Context())
				}
				if err != nil {
					failed.Add(1)
					continue
				}
				if _, err := conn.Do(t.Context(), core.Message{}); err != nil {
					failed.Add(1)
				}
				release()
			}
		})
	}
	for i := range 100 {
		f.update(s.ID, func(s *core.System) { s.Settings = fmt.Appendf(nil, `{"X":%d}`, i) })
	}
	close(stop)
	readers.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d calls failed during 100 replacements", n)
	}
	f.live.Close()
	if c := f.kind.Counts(); c.Opens != c.Closes {
		t.Errorf("%d opens, %d closes", c.Opens, c.Closes)
	}
}

func BenchmarkOneFilterAmong100000(b *testing.B) {
	s := newState()
	sys := core.System{ID: "urn:vcloud:extension-api:a:b:1.0.0", Enabled: true}
	s.apply(catalog.Change{Table: "system", ID: sys.ID, Entity: sys})
	s.place(sys.ID)
	add := func(i int) {
		id := fmt.Sprintf("urn:vcloud:apiFilter:%08d", i)
		s.apply(catalog.Change{Table: "filter", ID: id, Entity: core.Filter{
			ID: id, System: sys.ID, Stage: core.OnDispatch, Scope: core.ScopeAPI, URLPattern: fmt.Sprintf("/api/thing%d/.*", i),
		}})
	}
	for i := range 100_000 {
		add(i)
	}
	s.view(1)
	for i := 0; b.Loop(); i++ {
		add(100_000 + i)
		s.view(2)
	}
}

func TestASystemOfAKindThatDoesNotRunIsThereAndUnavailable(t *testing.T) {
	f := start(t, memory.New())
	s, err := f.cat.Systems.Create(t.Context(), "", core.System{
		Kind: core.KindAMQP, Name: "backup", Namespace: "com.acme.backup", Enabled: true,
		Settings: core.EncodeSettings(core.AMQPSettings{Exchange: "x", RoutingKey: "k"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	e, ok := f.live.View().System(s.ID)
	if !ok || e.Err() == nil {
		t.Fatalf("the system is there: %v", ok)
	}
	if _, _, err := e.Acquire(t.Context()); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if err := f.cat.Systems.Delete(t.Context(), s.ID, nil); core.ErrorCode(err) != core.Invalid {
		t.Errorf("deleted while it is enabled: %v", err)
	}
}
