package identity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage/memory"
)

func TestLoginTellsOnlyWhetherItWorked(t *testing.T) {
	h := start(t, Options{})
	off := h.addUser(t, "acme", "off")
	h.changeUser(t, off.ID, func(u *core.User) { u.Enabled = false })
	noPassword := h.addUser(t, "acme", "keyless")
	h.changeUser(t, noPassword.ID, func(u *core.User) { u.Password = "" })
	broken := h.addUser(t, "acme", "broken")
	h.changeUser(t, broken.ID, func(u *core.User) { u.Password = "$argon2id$v=19$m=8,t=1,p=1$AA$AA" })
	h.addOrg(t, "closed")
	h.addUser(t, "closed", "eve")
	closed, _ := h.live.View().Directory.OrgByName("closed")
	h.changeOrg(t, closed.ID, func(o *core.Org) { o.Enabled = false })

	for _, c := range []struct {
		name                string
		user, org, password string
		ok                  bool
	}{
		{"the right password opens a session", "eve", "acme", password, true},
		{"names have no case", "EVE", "ACME", password, true},
		{"a system administrator logs in to System", "administrator", "system", password, true},
		{"a wrong password is refused", "eve", "acme", "wrong", false},
		{"an empty password is refused", "eve", "acme", "", false},
		{"an overlong password is refused", "eve", "acme", strings.Repeat("x", 1025), false},
		{"a longer password with the same start is refused", "eve", "acme", password + "x", false},
		{"an unknown user is refused", "mallory", "acme", password, false},
		{"an empty user is refused", "", "acme", password, false},
		{"an overlong user is refused", strings.Repeat("x", 129), "acme", password, false},
		{"an unknown organisation is refused", "eve", "nowhere", password, false},
		{"an empty organisation is refused", "eve", "", password, false},
		{"an overlong organisation is refused", "eve", strings.Repeat("x", 129), password, false},
		{"a user of another organisation is refused", "administrator", "acme", password, false},
		{"a disabled user is refused", "off", "acme", password, false},
		{"a disabled organisation is refused", "eve", "closed", password, false},
		{"a user without a password is refused", "keyless", "acme", password, false},
		{"a user without a password is refused with none", "keyless", "acme", "", false},
		{"a damaged hash fits nothing", "broken", "acme", password, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := h.Login(t.Context(), Credentials{User: c.user, Org: c.org, Password: c.password, Remote: faraway})
			if !c.ok {
				wantCode(t, err, core.Unauthenticated)
				if core.ErrorMessage(err) != wrongLogin || s.Token != "" {
					t.Fatalf("told %q and gave token %q", core.ErrorMessage(err), s.Token)
				}
				return
			}
			must(t, err)
			if len(s.Token) <= 32 {
				t.Fatalf("a token of %d characters is taken for one of the old kind", len(s.Token))
			}
			got := h.accepted(t, s.Token)
			if got.SessionID != s.Record.ID || got.UserID != s.Caller.UserID || !strings.HasPrefix(got.SessionID, core.SessionPrefix) {
				t.Fatalf("the token names %+v, the login %+v", got, s.Caller)
			}
		})
	}
	if a := h.accepted(t, h.login(t, admin()).Token); !a.Provider() || !a.Rights.All() || a.Roles[0].Name != RoleSystemAdministrator {
		t.Fatalf("the administrator is %+v", a)
	}
}

func TestFailedLoginsSlowDownTheUserAtThatAddressOnly(t *testing.T) {
	h := start(t, Options{BackOff: BackOff{Free: 3, First: time.Second, Max: 8 * time.Second}})
	bad := func(c Credentials) Credentials { c.Password = "wrong"; return c }
	for range 3 {
		_, err := h.Login(t.Context(), bad(eve()))
		wantCode(t, err, core.Unauthenticated)
	}
	_, err := h.Login(t.Context(), eve())
	wantCode(t, err, core.TooMany)
	if !strings.Contains(core.ErrorMessage(err), "in 1 seconds") {
		t.Fatalf("told %q", core.ErrorMessage(err))
	}
	other := eve()
	other.Remote = netip.MustParseAddr("203.0.113.8")
	h.login(t, other)
	bob := h.addUser(t, "acme", "bob")
	h.login(t, Credentials{User: bob.Name, Org: "acme", Password: password, Remote: faraway})

	for _, pause := range []time.Duration{1, 2, 4, 8, 8} {
		h.clock.pass(pause*time.Second - time.Millisecond)
		_, err = h.Login(t.Context(), eve())
		wantCode(t, err, core.TooMany)
		h.clock.pass(time.Millisecond)
		_, err = h.Login(t.Context(), bad(eve()))
		wantCode(t, err, core.Unauthenticated)
	}
	h.clock.pass(8 * time.Second)
	h.login(t, eve())
	_, err = h.Login(t.Context(), bad(eve()))
	wantCode(t, err, core.Unauthenticated)
	h.login(t, eve()) // the success wiped out all failures but the last
}

func TestUnknownUsersAreSlowedDownLikeKnownOnes(t *testing.T) {
	h := start(t, Options{BackOff: BackOff{Free: 2}})
	ghost := Credentials{User: "ghost", Org: "acme", Password: "x", Remote: faraway}
	for range 2 {
		_, err := h.Login(t.Context(), ghost)
		wantCode(t, err, core.Unauthenticated)
	}
	_, err := h.Login(t.Context(), ghost)
	wantCode(t, err, core.TooMany)
}

func TestAddressesOfOneNetworkCountTogether(t *testing.T) {
	from := func(a string) source {
		return sourceOf(Credentials{User: "Eve", Org: "Acme", Remote: netip.MustParseAddr(a)})
	}
	if from("2001:db8::1") != from("2001:db8::ffff:1") || from("2001:db8::1") == from("2001:db8:0:1::1") {
		t.Error("IPv6 addresses count by their /64")
	}
	if from("203.0.113.7") != from("::ffff:203.0.113.7") || from("203.0.113.7") == from("203.0.113.8") {
		t.Error("IPv4 addresses count each, however written")
	}
	if from("fe80::1%eth0") != from("fe80::1%eth1") {
		t.Error("the zone does not count")
	}
	if sourceOf(Credentials{User: "a"}) != sourceOf(Credentials{User: "A"}) {
		t.Error("an unknown address counts as one")
	}
}

func TestTheAdministratorAtTheMachineIsNeverLockedOut(t *testing.T) {
	h := start(t, Options{BackOff: BackOff{Free: 1}})
	for _, remote := range []netip.Addr{here, netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"), faraway} {
		c := admin()
		c.Remote, c.Password = remote, "wrong"
		for range 4 {
			_, _ = h.Login(t.Context(), c)
		}
	}
	_, err := h.Login(t.Context(), admin())
	wantCode(t, err, core.TooMany) // from far away the rule holds for administrators, too
	c := admin()
	c.Remote = here
	h.login(t, c)
	tenant := eve()
	tenant.Remote, tenant.Password = here, "wrong"
	_, _ = h.Login(t.Context(), tenant)
	_, err = h.Login(t.Context(), tenant)
	wantCode(t, err, core.TooMany) // and for tenants at the machine
}

func TestWhoeverLogsInTakesTheSameWork(t *testing.T) {
	h := start(t, Options{Cost: Cost{MemoryKiB: 8, Passes: 1, Concurrency: 1}})
	off := h.addUser(t, "acme", "off")
	h.changeUser(t, off.ID, func(u *core.User) { u.Enabled, u.Password = false, "" })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	h.passwords.turns <- struct{}{}
	for _, c := range []Credentials{eve(), {User: "ghost", Org: "acme"}, {User: "eve", Org: "nowhere"}, {User: "off", Org: "acme"}} {
		c.Password, c.Remote = password, faraway
		// No turn is free, so whoever needs one to compute a hash does not get it.
		_, err := h.Login(ended, c)
		wantCode(t, err, core.Unavailable)
	}
	<-h.passwords.turns
	known, ok := parsePHC(h.addUser(t, "acme", "bob").Password)
	if !ok || known.MemoryKiB != h.passwords.nobody.MemoryKiB || known.Passes != h.passwords.nobody.Passes ||
		known.Lanes != h.passwords.nobody.Lanes || len(known.tag) != len(h.passwords.nobody.tag) {
		t.Fatalf("a real hash costs %+v, the dummy %+v", known.Cost, h.passwords.nobody.Cost)
	}
}

func TestALoginThatWasNeverJudgedDoesNotCount(t *testing.T) {
	h := start(t, Options{BackOff: BackOff{Free: 1}, Cost: Cost{MemoryKiB: 8, Passes: 1, Concurrency: 1}})
	h.passwords.turns <- struct{}{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		_, err := h.Login(ended, eve())
		wantCode(t, err, core.Unavailable)
	}
	// The one at the machine has a turn of its own.
	c := admin()
	c.Remote = here
	h.login(t, c)
	<-h.passwords.turns
	h.login(t, eve())
}

func TestALoginWithAPasswordThatWasJustChangedFails(t *testing.T) {
	h := start(t, Options{})
	old, err := h.checkPassword(t.Context(), eve(), false)
	must(t, err)
	hash, err := h.HashPassword(t.Context(), "another")
	must(t, err)
	h.changeUser(t, old.ID, func(u *core.User) { u.Password = hash })
	must(t, h.RevokeUserSessions(t.Context(), old.ID))
	_, err = h.open(t.Context(), old)
	wantCode(t, err, core.Unauthenticated)
	for s, err := range h.cat.Sessions.All(t.Context()) {
		t.Fatalf("the session %s was left behind (%v)", s.ID, err)
	}
}

func TestAnyCostThatCanBeSetCanBeReadBack(t *testing.T) {
	for _, c := range []Cost{{}, {MemoryKiB: 1}, {MemoryKiB: 1 << 31, Passes: 1 << 31, Lanes: 255}} {
		h := newHasher(c.orDefault(1))
		if _, ok := parsePHC(h.nobody.String()); !ok {
			t.Errorf("%+v becomes %s, which is refused", c, h.nobody)
		}
	}
}

func TestTooManyWaitingLoginsAreTurnedAway(t *testing.T) {
	h := start(t, Options{})
	h.passwords.waiting.Add(maxWaiters * 2)
	_, err := h.Login(t.Context(), eve())
	wantCode(t, err, core.TooMany)
	_, err = h.HashPassword(t.Context(), "x")
	wantCode(t, err, core.TooMany)
	c := admin()
	c.Remote = here
	h.login(t, c)
	h.passwords.waiting.Add(-maxWaiters * 2)
	h.login(t, eve())
}

func TestTheMemoryOfFailuresIsBoundedAndKeepsTheWorst(t *testing.T) {
	clk := &clock{now: time.Unix(1e9, 0)}
	f := newFailures(BackOff{Entries: 100, Free: 1, First: time.Millisecond, Max: time.Hour}.orDefault(), clk.Now)
	worst := source{user: "victim"}
	for range 8 {
		clk.pass(time.Second)
		f.begin(worst)
	}
	for i := range 10_000 {
		f.begin(source{user: fmt.Sprint(i)})
	}
	if len(f.of) != 100 {
		t.Fatalf("%d sources are remembered, want 100", len(f.of))
	}
	if f.of[worst].count != 8 {
		t.Fatalf("the worst has %d failures left, want 8", f.of[worst].count)
	}
	clk.pass(4 * time.Hour)
	f.begin(worst)
	if f.of[worst].count != 1 {
		t.Fatalf("old failures still count: %d", f.of[worst].count)
	}
}

func TestPausesDoubleUpToTheMaximumAndNeverOverflow(t *testing.T) {
	f := newFailures(BackOff{}.orDefault(), time.Now)
	last := time.Duration(0)
	for n := range 200 {
		p := f.pause(n)
		if p < last || p > 5*time.Minute {
			t.Fatalf("after %d failures the pause is %v, before it was %v", n, p, last)
		}
		last = p
	}
	if f.pause(4) != 0 || f.pause(5) != time.Second || f.pause(6) != 2*time.Second || last != 5*time.Minute {
		t.Fatalf("pauses %v %v %v … %v", f.pause(4), f.pause(5), f.pause(6), last)
	}
}

func TestManyAttemptsAtOnceAreNoWayAroundThePause(t *testing.T) {
	h := start(t, Options{BackOff: BackOff{Free: 3}})
	var judged, slowed int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			c := eve()
			c.Password = "wrong"
			_, err := h.Login(t.Context(), c)
			mu.Lock()
			defer mu.Unlock()
			if core.ErrorCode(err) == core.TooMany {
				slowed++
			} else {
				judged++
			}
		})
	}
	wg.Wait()
	if judged != 3 || slowed != 47 {
		t.Fatalf("%d attempts were judged, want 3", judged)
	}
}

func TestBootstrap(t *testing.T) {
	clk := &clock{now: time.Unix(1e9, 0)}
	t.Run("without a password one is generated, once", func(t *testing.T) {
		h := build(t, memory.New(), clk, Options{})
		generated, err := h.Bootstrap(t.Context(), "")
		must(t, err)
		if len(generated) < 20 {
			t.Fatalf("generated %q", generated)
		}
		c := admin()
		c.Password = generated
		h.login(t, c)
		again, err := h.Bootstrap(t.Context(), "")
		must(t, err)
		if again != "" {
			t.Fatalf("generated %q again", again)
		}
		h.login(t, c)
	})
	t.Run("a given password is not told and does not replace the one there is", func(t *testing.T) {
		h := build(t, memory.New(), clk, Options{})
		for _, p := range []string{password, "another"} {
			generated, err := h.Bootstrap(t.Context(), p)
			must(t, err)
			if generated != "" {
				t.Fatalf("generated %q", generated)
			}
		}
		h.login(t, admin())
		c := admin()
		c.Password = "another"
		_, err := h.Login(t.Context(), c)
		wantCode(t, err, core.Unauthenticated)
		if n := len(h.live.View().Directory.Keys()); n != 1 {
			t.Fatalf("%d signing keys, want 1", n)
		}
	})
	t.Run("an administrator who was renamed is not made again", func(t *testing.T) {
		h := start(t, Options{})
		s := h.login(t, admin())
		h.changeUser(t, s.Caller.UserID, func(u *core.User) { u.Name = "root" })
		_, err := h.Bootstrap(t.Context(), "x")
		must(t, err)
		if _, ok := h.live.View().Directory.UserByName(core.SystemOrgID, AdministratorName); ok {
			t.Fatal("there is a second administrator")
		}
	})
	t.Run("the roles are there, the greater one for System only", func(t *testing.T) {
		h := start(t, Options{})
		roles := map[string]core.Role{}
		for r, err := range h.cat.Roles.All(t.Context()) {
			must(t, err)
			roles[r.Name] = r
		}
		sys, org := roles[RoleSystemAdministrator], roles[RoleOrgAdministrator]
		if len(roles) != 2 || sys.OrgID != core.SystemOrgID || !sys.AllRights || !sys.ReadOnly || org.OrgID != "" || org.AllRights {
			t.Fatalf("the roles are %+v", roles)
		}
	})
	t.Run("an unusable password is refused", func(t *testing.T) {
		h := build(t, memory.New(), clk, Options{})
		_, err := h.Bootstrap(t.Context(), strings.Repeat("x", 1025))
		wantCode(t, err, core.Invalid)
	})
}

func TestPasswordsAreHashedWithSaltAndReadBack(t *testing.T) {
	h := newHasher(cheap().orDefault(1))
	m := &Identity{passwords: h}
	a, err := m.HashPassword(t.Context(), password)
	must(t, err)
	b, err := m.HashPassword(t.Context(), password)
	must(t, err)
	if a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("hashes %q and %q", a, b)
	}
	for _, c := range []struct {
		name, password, stored string
		want                   bool
	}{
		{"the password fits", password, a, true},
		{"it fits the other hash", password, b, true},
		{"another does not fit", "x", a, false},
		{"nothing fits an empty hash", "", "", false},
		{"nothing fits the dummy", password, h.nobody.String()[1:], false},
		{"other parameters do not fit", password, strings.Replace(a, "t=1", "t=2", 1), false},
		{"the form of another program is refused", password, strings.Replace(a, "m=8,t=1,p=1", "t=1,m=8,p=1", 1), false},
		{"another version is refused", password, strings.Replace(a, "v=19", "v=16", 1), false},
		{"another algorithm is refused", password, strings.Replace(a, "argon2id", "argon2i", 1), false},
		{"greedy memory is refused", password, strings.Replace(a, "m=8", "m=4294967295", 1), false},
		{"greedy passes are refused", password, strings.Replace(a, "t=1", "t=4294967295", 1), false},
		{"no passes are refused", password, strings.Replace(a, "t=1", "t=0", 1), false},
		{"no lanes are refused", password, strings.Replace(a, "p=1", "p=0", 1), false},
		{"text behind the hash is refused", password, a + "$x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := h.check(t.Context(), c.password, c.stored, false)
			must(t, err)
			if got != c.want {
				t.Fatalf("got %v", got)
			}
		})
	}
	for name, p := range map[string]string{"empty": "", "overlong": strings.Repeat("x", 1025)} {
		t.Run("an "+name+" password is not hashed", func(t *testing.T) {
			_, err := m.HashPassword(t.Context(), p)
			wantCode(t, err, core.Invalid)
		})
	}
	_, err = m.HashPassword(t.Context(), strings.Repeat("x", 1024))
	must(t, err)
}
