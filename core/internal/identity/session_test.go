package identity

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/annex-gateway/annex/core"
)

func TestASessionEndsAtOnceWhateverIsRemembered(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *house, Session){
		"by logging out": func(t *testing.T, h *house, s Session) {
			t.Helper()
			must(t, h.Logout(t.Context(), s.Caller))
			must(t, h.Logout(t.Context(), s.Caller)) // again is no error
		},
		"by revocation": func(t *testing.T, h *house, s Session) {
			t.Helper()
			must(t, h.RevokeUserSessions(t.Context(), s.Caller.UserID))
		},
		"by its time": func(t *testing.T, h *house, _ Session) {
			t.Helper()
			h.clock.pass(24 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, Options{})
			other := h.login(t, admin())
			h.clock.pass(time.Second)
			s := h.login(t, eve())
			call, err := h.MintToken(t.Context(), s.Caller)
			must(t, err)
			h.accepted(t, s.Token)
			h.accepted(t, call)
			end(t, h, s)
			h.refused(t, s.Token)
			h.refused(t, call)
			if name != "by its time" {
				h.accepted(t, other.Token)
			}
		})
	}
	t.Run("a caller without a session logs out without an error", func(t *testing.T) {
		h := start(t, Options{})
		must(t, h.Logout(t.Context(), core.Caller{UserID: "x"}))
	})
	t.Run("revocation ends all sessions of the user", func(t *testing.T) {
		h := start(t, Options{})
		var all []Session
		for range 5 {
			all = append(all, h.login(t, eve()))
		}
		must(t, h.RevokeUserSessions(t.Context(), all[0].Caller.UserID))
		for _, s := range all {
			h.refused(t, s.Token)
		}
	})
}

func TestOneUserHasABoundedNumberOfSessions(t *testing.T) {
	h := start(t, Options{SessionsPerUser: 3})
	other := h.login(t, admin())
	var all []Session
	for range 10 {
		h.clock.pass(time.Second)
		all = append(all, h.login(t, eve()))
	}
	for _, s := range all[:7] {
		h.refused(t, s.Token)
	}
	for _, s := range append(all[7:], other) {
		h.accepted(t, s.Token)
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	h := start(t, Options{})
	s, gone := h.login(t, eve()), h.login(t, eve())
	must(t, h.Logout(t.Context(), gone.Caller))
	h.live.Close()

	again := build(t, h.store, h.clock, Options{})
	generated, err := again.Bootstrap(t.Context(), "")
	must(t, err)
	if generated != "" {
		t.Fatalf("a restart made the administrator anew with %q", generated)
	}
	if c := again.accepted(t, s.Token); c.UserName != "eve" || c.SessionID != s.Record.ID {
		t.Fatalf("after the restart the token names %+v", c)
	}
	again.refused(t, gone.Token)

	named := build(t, h.store, h.clock, Options{Issuer: "https://other.example"})
	named.refused(t, s.Token)
}

func TestKeysRotateWithoutEndingSessions(t *testing.T) {
	h := start(t, Options{})
	old := h.login(t, eve())
	minted, err := h.MintToken(t.Context(), old.Caller)
	must(t, err)
	h.clock.pass(time.Hour)
	must(t, h.RotateKey(t.Context(), ""))
	fresh := h.login(t, eve())
	if kidOf(t, old.Token) == kidOf(t, fresh.Token) {
		t.Fatal("the key did not change")
	}
	h.accepted(t, old.Token)
	h.accepted(t, fresh.Token)
	if again, err := h.MintToken(t.Context(), old.Caller); err != nil || again == minted || kidOf(t, again) != kidOf(t, fresh.Token) {
		t.Fatalf("a token of the retired key was handed out again (%v)", err)
	}
	if n := len(jwks(t, h)); n != 2 {
		t.Fatalf("%d public keys, want 2", n)
	}

	h.clock.pass(22 * time.Hour)
	must(t, h.Sweep(t.Context()))
	h.accepted(t, old.Token) // its last hour
	h.clock.pass(3 * time.Hour)
	if n := len(jwks(t, h)); n != 1 {
		t.Fatalf("%d public keys, want 1: the old one verifies nothing any more", n)
	}
	must(t, h.Sweep(t.Context()))
	if n := len(h.live.View().Directory.Keys()); n != 1 {
		t.Fatalf("%d keys are stored, want 1", n)
	}
	held := 0
	h.keys.pairs.Range(func(any, any) bool { held++; return true })
	if held != 1 {
		t.Fatalf("%d keys are remembered, want 1", held)
	}
}

func TestRotationsAtTheSameTimeLeaveAKey(t *testing.T) {
	h := start(t, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := h.RotateKey(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.accepted(t, h.login(t, eve()).Token)
}

func TestSweepDeletesWhatHasExpiredOnly(t *testing.T) {
	h := start(t, Options{SessionTTL: time.Hour})
	for range 20 {
		h.login(t, eve())
	}
	h.clock.pass(30 * time.Minute)
	s := h.login(t, eve())
	h.clock.pass(30 * time.Minute)
	must(t, h.Sweep(t.Context()))
	left := 0
	for _, err := range h.cat.Sessions.All(t.Context()) {
		must(t, err)
		left++
	}
	if left != 1 {
		t.Fatalf("%d sessions are left, want 1", left)
	}
	h.accepted(t, s.Token)
	must(t, h.Sweep(t.Context()))
	h.accepted(t, s.Token)
}

func TestACallTokenActsAsTheCallerForAWhile(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	first, err := h.MintToken(t.Context(), s.Caller)
	must(t, err)
	if c := h.accepted(t, first); c.UserID != s.Caller.UserID || c.SessionID != s.Record.ID {
		t.Fatalf("the token acts as %+v", c)
	}
	for range 10_000 {
		again, err := h.MintToken(t.Context(), s.Caller)
		if err != nil || again != first {
			t.Fatalf("another token within the same moment (%v)", err)
		}
	}
	h.clock.pass(5*time.Minute/4 + time.Second)
	second, err := h.MintToken(t.Context(), s.Caller)
	must(t, err)
	if second == first {
		t.Fatal("an old token was handed out")
	}
	h.clock.pass(5*time.Minute - 5*time.Minute/4 + leeway)
	h.refused(t, first)
	h.accepted(t, second)
	h.accepted(t, s.Token)

	other := h.login(t, eve())
	third, err := h.MintToken(t.Context(), other.Caller)
	must(t, err)
	if third == second {
		t.Fatal("two sessions share a token")
	}

	t.Run("one without a session dies with the user", func(t *testing.T) {
		bare := s.Caller
		bare.SessionID = ""
		token, err := h.MintToken(t.Context(), bare)
		must(t, err)
		if c := h.accepted(t, token); c.SessionID != "" || c.UserID != s.Caller.UserID {
			t.Fatalf("the token acts as %+v", c)
		}
		must(t, h.RevokeUserSessions(t.Context(), s.Caller.UserID))
		h.accepted(t, token)
		h.changeUser(t, s.Caller.UserID, func(u *core.User) { u.Enabled = false })
		h.refused(t, token)
	})
	t.Run("there is none for nobody", func(t *testing.T) {
		_, err := h.MintToken(t.Context(), core.Caller{})
		wantCode(t, err, core.Unauthenticated)
		_, err = h.SignIdentity(t.Context(), core.Caller{}, "x", "")
		wantCode(t, err, core.Unauthenticated)
	})
}

func TestASignedIdentityTellsWhoCallsAndIsCheckedWithThePublicKeys(t *testing.T) {
	h := start(t, Options{Issuer: "https://gw.example"})
	right, err := h.cat.Rights.Create(t.Context(), "", core.Right{Name: "{acme}read"})
	must(t, err)
	role, err := h.cat.Roles.Create(t.Context(), "", core.Role{Name: "reader", RightIDs: []string{right.ID}})
	must(t, err)
	s := h.login(t, eve())
	h.changeUser(t, s.Caller.UserID, func(u *core.User) { u.RoleIDs = []string{role.ID} })
	c := h.accepted(t, s.Token)
	const audience = "urn:vcloud:extensionEndpoint:acme:ui:1.0.0"
	token, err := h.SignIdentity(t.Context(), c, audience, "acme")
	must(t, err)

	keys := jwks(t, h)
	claims := jwt.MapClaims{}
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience), jwt.WithIssuer("https://gw.example"),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(h.clock.Now)).ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		return keys[t.Header["kid"].(string)].public, nil
	})
	must(t, err)
	want := map[string]string{
		"user": "eve", "org": "acme", "org_id": c.OrgID, "sub": c.UserID, "tenant": "acme",
		"roles": "[reader]", "rights": "[{acme}read]", "purpose": "identity",
	}
	for name, v := range want {
		if fmt.Sprint(claims[name]) != v {
			t.Errorf("claim %s is %v, want %s", name, claims[name], v)
		}
	}
	if claims["exp"].(float64)-claims["iat"].(float64) != 60 || claims["sid"] != nil {
		t.Errorf("the claims are %v", claims)
	}

	same, err := h.SignIdentity(t.Context(), h.accepted(t, s.Token), audience, "acme")
	must(t, err)
	if same != token {
		t.Error("the same identity was signed twice at once")
	}
	for name, change := range map[string]func() (string, error){
		"another audience": func() (string, error) { return h.SignIdentity(t.Context(), c, audience+"x", "acme") },
		"another tenant":   func() (string, error) { return h.SignIdentity(t.Context(), c, audience, "") },
		"a caller who lost a role": func() (string, error) {
			h.changeUser(t, c.UserID, func(u *core.User) { u.RoleIDs = nil })
			return h.SignIdentity(t.Context(), h.accepted(t, s.Token), audience, "acme")
		},
		"twenty seconds": func() (string, error) {
			h.clock.pass(20 * time.Second)
			return h.SignIdentity(t.Context(), c, audience, "acme")
		},
	} {
		other, err := change()
		must(t, err)
		if other == token {
			t.Errorf("%s gave the same token", name)
		}
	}
}

func TestAnExtensionTokenAdmitsItsServiceOnly(t *testing.T) {
	h := start(t, Options{})
	a, b := h.addService(t, "backup"), h.addService(t, "clip")
	token, secret, err := h.IssueExtensionToken(t.Context(), "urn:vcloud:user:x", "any name", a.ID)
	must(t, err)
	if token.Type != core.TokenExtension || token.CreatedBy != "urn:vcloud:user:x" || len(secret) < 27 {
		t.Fatalf("issued %+v with a secret of %d characters", token, len(secret))
	}
	_, other, err := h.IssueExtensionToken(t.Context(), "", "any name", a.ID)
	must(t, err)
	if other == secret {
		t.Fatal("two tokens have one secret")
	}
	sys, id, err := h.Admit(t.Context(), "acme/backup/1.0.0", secret)
	must(t, err)
	if sys.ID != a.ID || id != token.ID {
		t.Fatalf("admitted %s by %s", sys.ID, id)
	}
	for name, c := range map[string][2]string{
		"another service":                 {b.Triplet(), secret},
		"a service in another case":       {"ACME/backup/1.0.0", secret},
		"the id in place of the name":     {a.ID, secret},
		"no user":                         {"", secret},
		"no secret":                       {a.Triplet(), ""},
		"a wrong secret":                  {a.Triplet(), secret[:len(secret)-1] + "!"},
		"an overlong secret":              {a.Triplet(), strings.Repeat("x", 1<<20)},
		"the hash in place of the secret": {a.Triplet(), string(token.SecretHash)},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			sys, _, err := h.Admit(t.Context(), c[0], c[1])
			wantCode(t, err, core.Unauthenticated)
			if sys.ID != "" {
				t.Fatal("a system was given")
			}
		})
	}
	t.Run("a token for nothing is not issued", func(t *testing.T) {
		_, secret, err := h.IssueExtensionToken(t.Context(), "", "x", core.ServicePrefix+"no:such:1.0.0")
		wantCode(t, err, core.Invalid)
		if secret != "" {
			t.Fatal("a secret was given")
		}
	})
	t.Run("the store holds no usable secret", func(t *testing.T) {
		for e, err := range h.store.List(t.Context(), "") {
			must(t, err)
			for _, s := range []string{secret, other, password} {
				if strings.Contains(string(e.Value), s) || strings.Contains(e.Key, s) {
					t.Fatalf("%s holds a secret", e.Key)
				}
			}
		}
	})
	t.Run("a deleted token is refused and the other still good", func(t *testing.T) {
		must(t, h.cat.Tokens.Delete(t.Context(), token.ID, nil))
		_, _, err := h.Admit(t.Context(), a.Triplet(), secret)
		wantCode(t, err, core.Unauthenticated)
		_, _, err = h.Admit(t.Context(), a.Triplet(), other)
		must(t, err)
	})
	t.Run("a disabled service is refused", func(t *testing.T) {
		_, err := h.cat.Systems.Update(t.Context(), "", a.ID, nil, func(s core.System) (core.System, error) {
			s.Enabled = false
			return s, nil
		})
		must(t, err)
		_, _, err = h.Admit(t.Context(), a.Triplet(), other)
		wantCode(t, err, core.Unauthenticated)
	})
}

func TestCachesAreBounded(t *testing.T) {
	c := newCache[int](1000)
	count := func() (n int) {
		g := c.gen.Load()
		all := map[any]bool{}
		g.young.Range(func(k, _ any) bool { all[k] = true; return true })
		g.old.Range(func(k, _ any) bool { all[k] = true; return true })
		return len(all)
	}
	for i := range 100_000 {
		c.put(fmt.Sprint(i), &i)
		if _, ok := c.get("0"); !ok {
			t.Fatalf("what is asked for all the time was forgotten after %d", i)
		}
	}
	if n := count(); n > 1000 {
		t.Fatalf("%d values are remembered, want at most 1000", n)
	}
	if _, ok := c.get("5"); ok {
		t.Fatal("what nobody asks for is still remembered")
	}
	t.Run("by many goroutines at once too", func(t *testing.T) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 5000 {
					c.put(fmt.Sprint(g, i), &i)
					c.get(fmt.Sprint(g, rand.IntN(5000)))
				}
			})
		}
		wg.Wait()
		// Each goroutine may put one more while another ages the cache.
		if n := count(); n > 1000+2*8 {
			t.Fatalf("%d values are remembered", n)
		}
	})
	t.Run("refused tokens are not remembered", func(t *testing.T) {
		h := start(t, Options{})
		s := h.login(t, eve())
		f := newForge(t, h, s)
		for i := range 100 {
			h.refused(t, f.with("sid", fmt.Sprintf(`"urn:vcloud:session:%d"`, i)))
		}
		if n := h.verified.gen.Load().size.Load(); n != 0 {
			t.Fatalf("%d refused tokens are remembered", n)
		}
	})
}

func TestHammerCallersComeAndGo(t *testing.T) {
	h := start(t, Options{CacheSize: 16})
	const workers, rounds = 8, 40
	users := make([]core.User, workers)
	for i := range users {
		users[i] = h.addUser(t, "acme", fmt.Sprint("user", i))
	}
	stop := make(chan struct{})
	var side, wg sync.WaitGroup
	side.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := h.RotateKey(t.Context(), ""); err != nil {
				t.Error(err)
			}
			if err := h.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			h.JWKS()
		}
	})
	for i := range workers {
		wg.Go(func() {
			for range rounds {
				s, err := h.Login(t.Context(), Credentials{User: users[i].Name, Org: "acme", Password: password, Remote: faraway})
				if err != nil {
					t.Error(err)
					return
				}
				call, err := h.MintToken(t.Context(), s.Caller)
				if err != nil {
					t.Error(err)
				}
				for _, token := range []string{s.Token, call, s.Token, call} {
					c, err := h.Identify(t.Context(), bearerOf(token))
					if err != nil || c.UserID != users[i].ID {
						t.Errorf("%s was taken for %s (%v)", users[i].ID, c.UserID, err)
					}
				}
				if _, err := h.SignIdentity(t.Context(), s.Caller, "x", ""); err != nil {
					t.Error(err)
				}
				if err := h.Logout(t.Context(), s.Caller); err != nil {
					t.Error(err)
				}
				for _, token := range []string{s.Token, call} {
					if _, err := h.Identify(t.Context(), bearerOf(token)); core.ErrorCode(err) != core.Unauthenticated {
						t.Errorf("after the logout: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	side.Wait()
}

func kidOf(tb testing.TB, token string) string {
	tb.Helper()
	p, ok := split(token)
	if !ok {
		tb.Fatalf("%q is no token", token)
	}
	return p.header.KeyID
}

// jwks gives the published keys by kid, with their points checked against the
// stored ones.
func jwks(tb testing.TB, h *house) map[string]*keyPair {
	tb.Helper()
	var set struct{ Keys []jwk }
	must(tb, json.Unmarshal(h.JWKS(), &set))
	out := map[string]*keyPair{}
	for _, k := range set.Keys {
		stored, ok := h.live.View().Directory.Key(k.KeyID)
		if !ok || k.Type != "EC" || k.Algorithm != "ES256" || k.Curve != "P-256" || len(k.X) != 43 || len(k.Y) != 43 {
			tb.Fatalf("the published key %+v is not a stored one", k)
		}
		pair, err := h.keys.pair(stored)
		must(tb, err)
		out[k.KeyID] = pair
	}
	if strings.Contains(string(h.JWKS()), `"d"`) {
		tb.Fatal("a private key is published")
	}
	return out
}
