package catalog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

// stubKind accepts everything that is not called "refused".
type stubKind struct {
	name   string
	stages []core.Stage
}

func (k stubKind) Name() string         { return k.name }
func (k stubKind) Stages() []core.Stage { return k.stages }
func (k stubKind) Check(_ context.Context, s core.System) error {
	if s.Name == "refused" {
		return core.Errorf(core.Invalid, "refused by its kind")
	}
	return nil
}

func (k stubKind) Open(context.Context, core.System) (core.Conn, error) {
	return nil, errors.New("not opened here")
}

func kinds() []core.Kind {
	both := []core.Stage{core.OnDispatch, core.OnResponse}
	return []core.Kind{stubKind{core.KindMQTT, both}, stubKind{core.KindHTTPS, both[:1]}, stubKind{core.KindWASM, core.Stages()}}
}

func open(t *testing.T, store storage.Store) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), store, Options{Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Use(kinds()); err != nil {
		t.Fatal(err)
	}
	return c
}

func service(name string) core.System {
	return core.System{Kind: core.KindMQTT, Vendor: "acme", Name: name, Version: "1.0.0", Priority: core.DefaultPriority}
}

func endpoint(name string) core.System {
	s := service(name)
	s.Kind, s.Settings = core.KindHTTPS, core.EncodeSettings(core.HTTPSSettings{RootURL: "https://h"})
	return s
}

func mustCreate[E any](t *testing.T, table *Table[E], e E) E {
	t.Helper()
	got, err := table.Create(t.Context(), "urn:vcloud:user:me", e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func keys(t *testing.T, s storage.Store) []string {
	t.Helper()
	var out []string
	for e, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Key)
	}
	return out
}

func TestCreateGivesWhatWasStored(t *testing.T) {
	store := memory.New()
	c := open(t, store)
	got := mustCreate(t, c.Systems, service("clock"))
	if got.ID != "urn:vcloud:extension-api:acme:clock:1.0.0" || got.Namespace != "acme.clock.1.0.0" || got.Revision == 0 ||
		got.CreatedBy != "urn:vcloud:user:me" || got.Created.IsZero() {
		t.Errorf("got %+v", got)
	}
	again, err := open(t, store).Systems.Get(t.Context(), got.ID)
	if err != nil || again.Revision != got.Revision || again.Namespace != got.Namespace || !again.Created.Equal(got.Created) {
		t.Errorf("a second catalog over the store reads %+v, %v; want %+v", again, err, got)
	}
}

func TestRegistrationsThatAreRefusedLeaveNothing(t *testing.T) {
	store := memory.New()
	c := open(t, store)
	clock := mustCreate(t, c.Systems, service("clock"))
	door := mustCreate(t, c.Systems, endpoint("door"))
	before := keys(t, store)
	url := func(sys string, scope core.Scope, pattern string) core.Filter {
		return core.Filter{System: sys, Scope: scope, URLPattern: pattern}
	}
	for name, tc := range map[string]struct {
		do   func() error
		want core.Code
	}{
		"the same triplet twice": {func() error { _, err := c.Systems.Create(t.Context(), "", service("clock")); return err }, core.Conflict},
		"a kind that is not served": {func() error {
			s := service("x")
			s.Kind = "pigeon"
			_, err := c.Systems.Create(t.Context(), "", s)
			return err
		}, core.Invalid},
		"a system that its kind refuses": {func() error { _, err := c.Systems.Create(t.Context(), "", service("refused")); return err }, core.Invalid},
		"a version with a pre-release part": {func() error {
			s := service("x")
			s.Version = "1.0.0-rc1"
			_, err := c.Systems.Create(t.Context(), "", s)
			return err
		}, core.Invalid},
		"a name with a slash":    {func() error { _, err := c.Systems.Create(t.Context(), "", service("a/b")); return err }, core.Invalid},
		"a name with a wildcard": {func() error { _, err := c.Systems.Create(t.Context(), "", service("a+b")); return err }, core.Invalid},
		"a priority of 101": {func() error {
			s := service("x")
			s.Priority = 101
			_, err := c.Systems.Create(t.Context(), "", s)
			return err
		}, core.Invalid},
		"a module that was not uploaded": {func() error {
			s := service("x")
			s.Kind = core.KindWASM
			s.Settings = core.EncodeSettings(core.WASMSettings{Module: "sha256:00"})
			_, err := c.Systems.Create(t.Context(), "", s)
			return err
		}, core.Invalid},
		"a filter of a missing system": {func() error {
			_, err := c.Filters.Create(t.Context(), "", url("urn:vcloud:extension-api:a:b:1.0.0", core.ScopeAPI, "/x"))
			return err
		}, core.Invalid},
		"a service below ext-api": {func() error {
			_, err := c.Filters.Create(t.Context(), "", url(clock.ID, core.ScopeExtAPI, "/x/.*"))
			return err
		}, core.Invalid},
		"an endpoint below api": {func() error {
			_, err := c.Filters.Create(t.Context(), "", url(door.ID, core.ScopeAPI, "/x/.*"))
			return err
		}, core.Invalid},
		"an endpoint's pattern without tail": {func() error {
			_, err := c.Filters.Create(t.Context(), "", url(door.ID, core.ScopeExtAPI, "/x"))
			return err
		}, core.Invalid},
		"a pattern that is none": {func() error {
			_, err := c.Filters.Create(t.Context(), "", url(clock.ID, core.ScopeAPI, "/x("))
			return err
		}, core.Invalid},
		"a pattern of 1025 characters": {func() error {
			_, err := c.Filters.Create(t.Context(), "", url(clock.ID, core.ScopeAPI, "/"+strings.Repeat("x", 1024)))
			return err
		}, core.Invalid},
		"a pattern and a content type": {func() error {
			f := url(clock.ID, core.ScopeAPI, "/x")
			f.ResponseContentType = "a/b"
			_, err := c.Filters.Create(t.Context(), "", f)
			return err
		}, core.Invalid},
		"neither pattern nor content type": {func() error {
			_, err := c.Filters.Create(t.Context(), "", core.Filter{System: clock.ID, Scope: core.ScopeAPI})
			return err
		}, core.Invalid},
		"an endpoint that post-processes": {func() error {
			_, err := c.Filters.Create(t.Context(), "", core.Filter{System: door.ID, ResponseContentType: "a/b"})
			return err
		}, core.Invalid},
		"a stage that the kind has not": {func() error {
			f := url(clock.ID, core.ScopeAPI, "/x")
			f.Stage = core.OnArrival
			_, err := c.Filters.Create(t.Context(), "", f)
			return err
		}, core.Invalid},
		"a token of an endpoint": {func() error {
			_, err := c.Tokens.Create(t.Context(), "", core.Token{Name: "t", Type: core.TokenExtension, System: door.ID})
			return err
		}, core.Invalid},
		"deleting what is not there": {func() error { return c.Systems.Delete(t.Context(), "urn:x", nil) }, core.NotFound},
		"a change over an older revision": {func() error {
			old := clock.Revision - 1
			_, err := c.Systems.Update(t.Context(), "", clock.ID, &old, func(s core.System) (core.System, error) { return s, nil })
			return err
		}, core.Stale},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.do()
			if err == nil || core.ErrorCode(err) != tc.want || len(core.ErrorMessage(err)) < 10 {
				t.Errorf("got %v (%s), want %s and a text", err, core.ErrorCode(err), tc.want)
			}
		})
	}
	if after := keys(t, store); !slices.Equal(before, after) {
		t.Errorf("keys changed from %v to %v", before, after)
	}
}

func TestDeletingASystemTakesAlongWhatIsItsOwn(t *testing.T) {
	store := memory.New()
	c := open(t, store)
	empty := keys(t, store)
	s := service("clock")
	s.Enabled = true
	s = mustCreate(t, c.Systems, s)
	other := mustCreate(t, c.Systems, service("other"))
	kept := mustCreate(t, c.Filters, core.Filter{System: other.ID, Scope: core.ScopeAPI, URLPattern: "/api/other"})
	mustCreate(t, c.Filters, core.Filter{System: s.ID, Scope: core.ScopeAPI, URLPattern: "/api/a"})
	mustCreate(t, c.Filters, core.Filter{System: s.ID, ResponseContentType: "text/plain"})
	mustCreate(t, c.Tokens, core.Token{Name: "t", Type: core.TokenExtension, System: s.ID, SecretHash: []byte("x")})
	if _, err := c.State(s.ID).Put(t.Context(), "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Systems.Delete(t.Context(), s.ID, nil); core.ErrorCode(err) != core.Invalid {
		t.Fatalf("deleting an enabled system: %v, want invalid", err)
	}
	_, err := c.Systems.Update(t.Context(), "", s.ID, nil, func(s core.System) (core.System, error) { s.Enabled = false; return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Systems.Delete(t.Context(), s.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Filters.Get(t.Context(), kept.ID); err != nil {
		t.Errorf("another system's filter is gone: %v", err)
	}
	if err := c.Systems.Delete(t.Context(), other.ID, nil); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, store); !slices.Equal(left, empty) {
		t.Errorf("left behind: %v", left)
	}
}

func TestUpdateKeepsWhatCannotChange(t *testing.T) {
	c := open(t, memory.New())
	s := mustCreate(t, c.Systems, service("clock"))
	got, err := c.Systems.Update(t.Context(), "urn:vcloud:user:you", s.ID, &s.Revision, func(s core.System) (core.System, error) {
		s.Vendor, s.Name, s.Version, s.Namespace, s.Description, s.Created = "x", "y", "2.0.0", "z", "new", time.Time{}
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Triplet() != s.Triplet() || got.Namespace != s.Namespace || !got.Created.Equal(s.Created) || got.CreatedBy != s.CreatedBy ||
		got.Description != "new" || got.ModifiedBy != "urn:vcloud:user:you" || got.Revision <= s.Revision {
		t.Errorf("got %+v", got)
	}
}

func TestAFilterMayMoveToAnotherSystem(t *testing.T) {
	c := open(t, memory.New())
	a, b := mustCreate(t, c.Systems, service("a")), mustCreate(t, c.Systems, service("b"))
	f := mustCreate(t, c.Filters, core.Filter{System: a.ID, Scope: core.ScopeAPI, URLPattern: "/api/x"})
	_, err := c.Filters.Update(t.Context(), "", f.ID, nil, func(f core.Filter) (core.Filter, error) { f.System = b.ID; return f, nil })
	if err != nil {
		t.Fatal(err)
	}
	count := func(sys string) (n int) {
		for _, err := range c.Filters.Under(t.Context(), sys) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	if count(a.ID) != 0 || count(b.ID) != 1 {
		t.Errorf("a has %d filters, b %d", count(a.ID), count(b.ID))
	}
	if err := c.Systems.Delete(t.Context(), a.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Filters.Get(t.Context(), f.ID); err != nil {
		t.Errorf("the filter went with its former system: %v", err)
	}
}

func TestHammerWritersLeaveNoOrphans(t *testing.T) {
	store := memory.New()
	c := open(t, store)
	empty := keys(t, store)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				s, err := c.Systems.Create(t.Context(), "", service("contended"))
				if err != nil && core.ErrorCode(err) != core.Conflict {
					t.Errorf("create: %v", err)
				}
				s.ID = core.SystemID(core.KindMQTT, "acme", "contended", "1.0.0")
				_, err = c.Filters.Create(t.Context(), "", core.Filter{System: s.ID, Scope: core.ScopeAPI, URLPattern: "/api/x"})
				if code := core.ErrorCode(err); err != nil && code != core.Invalid && code != core.Conflict {
					t.Errorf("filter: %v", err)
				}
				err = c.Systems.Delete(t.Context(), s.ID, nil)
				if code := core.ErrorCode(err); err != nil && code != core.NotFound && code != core.Conflict {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Systems.Delete(t.Context(), core.SystemID(core.KindMQTT, "acme", "contended", "1.0.0"), nil); err != nil && core.ErrorCode(err) != core.NotFound {
		t.Fatal(err)
	}
	if left := keys(t, store); !slices.Equal(left, empty) {
		t.Errorf("left behind: %v", left)
	}
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	c := open(t, memory.New())
	s := service("counter")
	s.Priority = 0
	s = mustCreate(t, c.Systems, s)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 8 {
		wg.Go(func() {
			for range 10 {
				_, err := c.Systems.Update(t.Context(), "", s.ID, nil, func(s core.System) (core.System, error) { s.Priority++; return s, nil })
				if err == nil {
					mu.Lock()
					done++
					mu.Unlock()
				} else if core.ErrorCode(err) != core.Conflict {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	got, err := c.Systems.Get(t.Context(), s.ID)
	if err != nil || got.Priority != done {
		t.Errorf("counted %d, acknowledged %d (%v)", got.Priority, done, err)
	}
}

func TestModules(t *testing.T) {
	c := open(t, memory.New())
	module := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB: four chunks
	m, err := c.AddModule(t.Context(), "", module)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.AddModule(t.Context(), "", module); err != nil || again.Digest != m.Digest || again.Revision != m.Revision {
		t.Errorf("adding it again: %+v, %v", again, err)
	}
	r, err := c.OpenModule(t.Context(), m.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, module) {
		t.Errorf("read %d bytes, %v", len(b), err)
	}
	s := service("guest")
	s.Kind, s.Settings = core.KindWASM, core.EncodeSettings(core.WASMSettings{Module: m.Digest})
	s = mustCreate(t, c.Systems, s)
	if err := c.Modules.Delete(t.Context(), m.Digest, nil); core.ErrorCode(err) != core.Conflict {
		t.Errorf("deleting a module in use: %v, want a conflict", err)
	}
	if err := errors.Join(c.Systems.Delete(t.Context(), s.ID, nil), c.Modules.Delete(t.Context(), m.Digest, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.OpenModule(t.Context(), m.Digest); core.ErrorCode(err) != core.NotFound {
		t.Errorf("open after deletion: %v", err)
	}
}

func TestWhoDecidesAboutCallersMayNotBeLeftOut(t *testing.T) {
	c := open(t, memory.New())
	m, err := c.AddModule(t.Context(), "", append([]byte("\x00asm\x01\x00\x00\x00"), 0))
	if err != nil {
		t.Fatal(err)
	}
	policy := func(word string) func(core.System) (core.System, error) {
		return func(s core.System) (core.System, error) {
			s.Settings = core.EncodeSettings(core.WASMSettings{Module: m.Digest, FailurePolicy: word})
			return s, nil
		}
	}
	s := service("guest")
	s.Kind = core.KindWASM
	s, _ = policy(core.FailOpen)(s)
	s = mustCreate(t, c.Systems, s)
	filter := func(stage core.Stage) core.Filter {
		return core.Filter{System: s.ID, Stage: stage, Scope: core.ScopeAPI, URLPattern: "/guest"}
	}
	mustCreate(t, c.Filters, filter(core.OnArrival))
	for _, stage := range []core.Stage{core.OnAuthenticate, core.OnAuthorize} {
		if _, err := c.Filters.Create(t.Context(), "", filter(stage)); core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "failurePolicy") {
			t.Errorf("an open module at %s: %v", stage, err)
		}
	}
	if _, err = c.Systems.Update(t.Context(), "", s.ID, nil, policy(core.FailClosed)); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, c.Filters, filter(core.OnAuthorize))
	if _, err = c.Systems.Update(t.Context(), "", s.ID, nil, policy(core.FailOpen)); core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "failurePolicy") {
		t.Errorf("a module at authorize that becomes open: %v", err)
	}
}

func TestStateComparesAndSets(t *testing.T) {
	st := open(t, memory.New()).State("urn:x")
	ctx := t.Context()
	r1, err := st.Put(ctx, "k", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Put(ctx, "k", []byte("2"), 0); core.ErrorCode(err) != core.Stale {
		t.Errorf("a second first write: %v, want stale", err)
	}
	if _, err := st.Put(ctx, "k", []byte("2"), r1); err != nil {
		t.Error(err)
	}
	v, rev, err := st.Get(ctx, "k")
	if string(v) != "2" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if _, err := st.Put(ctx, "k", nil, rev); err != nil {
		t.Error(err)
	}
	if v, rev, err := st.Get(ctx, "k"); v != nil || rev != 0 || err != nil {
		t.Errorf("after deletion: %q at %d, %v", v, rev, err)
	}
}

func TestFollowTellsEverythingOnceAndInOrder(t *testing.T) {
	c := open(t, memory.New())
	first := mustCreate(t, c.Systems, service("first"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var seen []string
	for ch, err := range c.Follow(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range ch.List {
			mark := "+"
			if x.Entity == nil {
				mark = "-"
			}
			seen = append(seen, mark+x.Table+" "+x.ID)
		}
		if ch.Snapshot && !ch.More {
			second := mustCreate(t, c.Systems, service("second"))
			if err := c.Systems.Delete(ctx, second.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(seen) == 3 {
			break
		}
	}
	want := []string{"+system " + first.ID, "+system urn:vcloud:extension-api:acme:second:1.0.0", "-system urn:vcloud:extension-api:acme:second:1.0.0"}
	if !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	store := memory.New()
	if _, err := store.Commit(t.Context(), storage.Commit{Writes: []storage.Write{{Key: schemaKey, Value: []byte("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), store, Options{}); err == nil || !strings.Contains(err.Error(), "schema version 2") {
		t.Errorf("got %v", err)
	}
}

func TestIdentityRules(t *testing.T) {
	c := open(t, memory.New())
	system := mustCreate(t, c.Orgs, core.Org{ID: core.SystemOrgID, Name: core.SystemOrg, Enabled: true})
	org := mustCreate(t, c.Orgs, core.Org{Name: "Acme", Enabled: true})
	right := mustCreate(t, c.Rights, core.Right{Name: "Read"})
	role := mustCreate(t, c.Roles, core.Role{Name: "Reader", OrgID: org.ID, RightIDs: []string{right.ID}})
	mustCreate(t, c.Users, core.User{Name: "ann", OrgID: org.ID, RoleIDs: []string{role.ID}, Enabled: true})
	ctx := t.Context()
	for name, tc := range map[string]struct {
		err  error
		want core.Code
	}{
		"a name that differs in case only is the same user":     {second(c.Users.Create(ctx, "", core.User{Name: "ANN", OrgID: org.ID})), core.Conflict},
		"the same name in another organisation is another user": {second(c.Users.Create(ctx, "", core.User{Name: "ann", OrgID: system.ID})), ""},
		"a role of another organisation cannot be had":          {second(c.Users.Create(ctx, "", core.User{Name: "bob", OrgID: system.ID, RoleIDs: []string{role.ID}})), core.Invalid},
		"a right that does not exist cannot be held":            {second(c.Roles.Create(ctx, "", core.Role{Name: "r", RightIDs: []string{"urn:x"}})), core.Invalid},
		"a role in use stays":                                   {c.Roles.Delete(ctx, role.ID, nil), core.Conflict},
		"System stays":                                          {c.Orgs.Delete(ctx, system.ID, nil), core.Invalid},
		"an enabled organisation stays":                         {c.Orgs.Delete(ctx, org.ID, nil), core.Invalid},
		"an organisation's name has no at sign":                 {second(c.Orgs.Create(ctx, "", core.Org{Name: "a@b"})), core.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.want == "" && tc.err != nil || tc.want != "" && core.ErrorCode(tc.err) != tc.want {
				t.Errorf("got %v, want %q", tc.err, tc.want)
			}
		})
	}
}

func second[E any](_ E, err error) error { return err }
