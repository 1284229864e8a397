package identity

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// register begins an API token of the session's user.
func (h *house) register(tb testing.TB, s Session) (core.Token, string) {
	tb.Helper()
	t, err := h.RegisterAPIToken(tb.Context(), s.Caller, s.Caller.OrgName, "terraform")
	must(tb, err)
	return t, strings.TrimPrefix(t.ID, core.TokenPrefix)
}

// apiToken makes an API token that is ready for use.
func (h *house) apiToken(tb testing.TB, c Credentials) (core.Token, Grant) {
	tb.Helper()
	s := h.login(tb, c)
	t, client := h.register(tb, s)
	g, err := h.ActivateAPIToken(tb.Context(), c.Org, s.Token, client)
	must(tb, err)
	return t, g
}

func TestAnAPITokenOpensSessionsOfItsUser(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	token, client := h.register(t, s)
	if token.Type != core.TokenRefresh || token.UserID != s.Caller.UserID || token.CreatedBy != s.Caller.UserID ||
		token.Name != "terraform" || !core.IsUUID(client) || len(token.SecretHash) != 0 {
		t.Fatalf("registered %+v", token)
	}
	g, err := h.ActivateAPIToken(t.Context(), "ACME", s.Token, client)
	must(t, err)
	if g.ExpiresIn != 24*time.Hour || len(g.RefreshToken) < 43 || len(g.Token) <= 32 {
		t.Fatalf("granted %+v", g)
	}
	again, err := h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken)
	must(t, err)
	if again.RefreshToken != g.RefreshToken || again.Token == g.Token {
		t.Fatal("the API token changed, or the session did not")
	}
	for _, access := range []string{g.Token, again.Token} {
		c := h.accepted(t, access)
		if c.UserName != "eve" || c.TokenID != token.ID || c.SessionID == "" {
			t.Fatalf("it acts as %+v", c)
		}
	}
	if c := h.accepted(t, s.Token); c.TokenID != "" {
		t.Fatalf("a login belongs to the API token %q", c.TokenID)
	}
	stored, err := h.cat.Tokens.Get(t.Context(), token.ID)
	must(t, err)
	if !stored.Expires.IsZero() || len(stored.SecretHash) != 32 || bytes.Contains(fmt.Append(nil, stored), []byte(g.RefreshToken)) {
		t.Fatalf("stored %+v", stored)
	}
	h.refused(t, g.RefreshToken)
}

func TestAnAPITokenIsGivenOutOnce(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	_, client := h.register(t, s)
	g, err := h.ActivateAPIToken(t.Context(), "acme", s.Token, client)
	must(t, err)
	_, err = h.ActivateAPIToken(t.Context(), "acme", s.Token, client)
	wantCode(t, err, core.Invalid)
	h.accepted(t, g.Token)
	granted(h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken))(t)

	t.Run("to one of many who ask at once", func(t *testing.T) {
		_, client := h.register(t, s)
		var wg sync.WaitGroup
		var won atomic.Int32
		var secret atomic.Value
		for range 16 {
			wg.Go(func() {
				g, err := h.ActivateAPIToken(t.Context(), "acme", s.Token, client)
				if err == nil {
					won.Add(1)
					secret.Store(g.RefreshToken)
				} else if core.ErrorCode(err) != core.Invalid && core.ErrorCode(err) != core.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d got the secret, want 1", won.Load())
		}
		granted(h.RefreshAPIToken(t.Context(), "acme", secret.Load().(string)))(t)
		left := 0
		for _, err := range h.cat.Sessions.Under(t.Context(), s.Caller.UserID) {
			must(t, err)
			left++
		}
		if left != 5 { // the login, two of each API token
			t.Errorf("%d sessions are left, want 5", left)
		}
	})
}

func granted(_ Grant, err error) func(testing.TB) {
	return func(tb testing.TB) {
		tb.Helper()
		must(tb, err)
	}
}

func TestWhoMayRegisterAndActivate(t *testing.T) {
	h := start(t, Options{TokensPerUser: 1000})
	s, boss := h.login(t, eve()), h.login(t, admin())
	token, client := h.register(t, s)
	lent, err := h.MintToken(t.Context(), s.Caller)
	must(t, err)
	_, byToken := h.apiToken(t, eve())
	sys := h.addService(t, "backup")
	ext, _, err := h.IssueExtensionToken(t.Context(), "", "x", sys.ID)
	must(t, err)

	t.Run("nobody registers", func(t *testing.T) {
		_, err := h.RegisterAPIToken(t.Context(), core.Caller{}, "", "x")
		wantCode(t, err, core.Unauthenticated)
	})
	for org, caller := range map[string]core.Caller{"acme": boss.Caller, "System": s.Caller, "": s.Caller} {
		t.Run("a member of another organisation than "+org+" registers", func(t *testing.T) {
			_, err := h.RegisterAPIToken(t.Context(), caller, org, "x")
			wantCode(t, err, core.Forbidden)
		})
	}
	t.Run("a session of an API token registers", func(t *testing.T) {
		_, err := h.RegisterAPIToken(t.Context(), byToken.Caller, "acme", "x")
		wantCode(t, err, core.Forbidden)
	})
	for name, n := range map[string]string{"without a name": "", "with an endless name": strings.Repeat("x", 256)} {
		t.Run(name, func(t *testing.T) {
			_, err := h.RegisterAPIToken(t.Context(), s.Caller, "acme", n)
			wantCode(t, err, core.Invalid)
		})
	}
	for _, c := range []struct {
		name, org, assertion, client string
		code                         core.Code
	}{
		{"another organisation", "System", s.Token, client, core.Unauthenticated},
		{"no organisation", "", s.Token, client, core.Unauthenticated},
		{"another user", "System", boss.Token, client, core.Invalid},
		{"nonsense for an assertion", "acme", "x.y.z", client, core.Unauthenticated},
		{"no assertion", "acme", "", client, core.Unauthenticated},
		{"an endless assertion", "acme", strings.Repeat("x", 1<<20), client, core.Unauthenticated},
		{"a token that a service was lent", "acme", lent, client, core.Forbidden},
		{"a session of an API token", "acme", byToken.Token, client, core.Forbidden},
		{"an API token itself", "acme", byToken.RefreshToken, client, core.Unauthenticated},
		{"no client", "acme", s.Token, "", core.Invalid},
		{"an unknown client", "acme", s.Token, core.NewUUID(), core.Invalid},
		{"a client that is no uuid", "acme", s.Token, "../key/x", core.Invalid},
		{"the whole id for the client", "acme", s.Token, token.ID, core.Invalid},
		{"a service's token for the client", "System", boss.Token, strings.TrimPrefix(ext.ID, core.TokenPrefix), core.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // cold and warm
				g, err := h.ActivateAPIToken(t.Context(), c.org, c.assertion, c.client)
				wantCode(t, err, c.code)
				if g.Token != "" || g.RefreshToken != "" {
					t.Fatal("something was granted")
				}
			}
		})
	}
	granted(h.ActivateAPIToken(t.Context(), "acme", s.Token, client))(t)
}

func TestALentTokenIsNoLoginHoweverLittleIsRemembered(t *testing.T) {
	h := start(t, Options{CacheSize: 2})
	s := h.login(t, eve())
	_, client := h.register(t, s)
	lent, err := h.MintToken(t.Context(), s.Caller)
	must(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				_, err := h.ActivateAPIToken(t.Context(), "acme", lent, client)
				if core.ErrorCode(err) != core.Forbidden {
					t.Errorf("got %v", err)
				}
				_, _ = h.Identify(t.Context(), bearerOf(s.Token))
			}
		})
	}
	wg.Wait()
}

func TestWhichSecretsAreRefused(t *testing.T) {
	h := start(t, Options{})
	_, g := h.apiToken(t, eve())
	sys := h.addService(t, "backup")
	_, bus, err := h.IssueExtensionToken(t.Context(), "", "x", sys.ID)
	must(t, err)
	h.register(t, h.login(t, eve())) // one without a secret
	for name, c := range map[string]struct{ org, secret string }{
		"none":                        {"acme", ""},
		"an endless one":              {"acme", strings.Repeat("x", 1<<20)},
		"a guess":                     {"acme", strings.Repeat("A", 43)},
		"one with a space":            {"acme", g.RefreshToken + " "},
		"one cut short":               {"acme", g.RefreshToken[:42]},
		"a service's":                 {"System", bus},
		"an access token":             {"acme", g.Token},
		"one of another organisation": {"System", g.RefreshToken},
		"one of no organisation":      {"", g.RefreshToken},
		"one of an unknown one":       {"nowhere", g.RefreshToken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.RefreshAPIToken(t.Context(), c.org, c.secret)
			wantCode(t, err, core.Unauthenticated)
			if core.ErrorMessage(err) != badGrant {
				t.Errorf("told %q", core.ErrorMessage(err))
			}
		})
	}
	t.Run("an API token is no extension token", func(t *testing.T) {
		_, _, err := h.Admit(t.Context(), sys.Triplet(), g.RefreshToken)
		wantCode(t, err, core.Unauthenticated)
	})
}

func TestAllAccessEndsWithTheAPIToken(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *house, core.Token){
		"when it is deleted": func(t *testing.T, h *house, k core.Token) {
			t.Helper()
			must(t, h.cat.Tokens.Delete(t.Context(), k.ID, nil))
		},
		"when its user is disabled": func(t *testing.T, h *house, k core.Token) {
			t.Helper()
			h.changeUser(t, k.UserID, func(u *core.User) { u.Enabled = false })
		},
		"when its organisation is disabled": func(t *testing.T, h *house, k core.Token) {
			t.Helper()
			u, err := h.cat.Users.Get(t.Context(), k.UserID)
			must(t, err)
			h.changeOrg(t, u.OrgID, func(o *core.Org) { o.Enabled = false })
		},
		"when its user is deleted": func(t *testing.T, h *house, k core.Token) {
			t.Helper()
			must(t, h.cat.Users.Delete(t.Context(), k.UserID, nil))
		},
		"when it gets an end that has passed": func(t *testing.T, h *house, k core.Token) {
			t.Helper()
			_, err := h.cat.Tokens.Update(t.Context(), "", k.ID, nil, func(k core.Token) (core.Token, error) {
				k.Expires = h.clock.Now()
				return k, nil
			})
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, Options{})
			token, g := h.apiToken(t, eve())
			second, err := h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken)
			must(t, err)
			lent, err := h.MintToken(t.Context(), h.accepted(t, g.Token))
			must(t, err)
			all := []string{g.Token, second.Token, lent}
			for range 2 { // the second time from memory
				for _, access := range all {
					if c := h.accepted(t, access); c.TokenID != token.ID {
						t.Fatalf("it belongs to the API token %q", c.TokenID)
					}
				}
			}
			end(t, h, token)
			for _, access := range all {
				h.refused(t, access)
			}
			_, err = h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken)
			wantCode(t, err, core.Unauthenticated)
		})
	}
}

func TestLoggingOutEndsOneSessionOfAnAPIToken(t *testing.T) {
	h := start(t, Options{})
	_, g := h.apiToken(t, eve())
	other, err := h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken)
	must(t, err)
	must(t, h.Logout(t.Context(), h.accepted(t, g.Token)))
	h.refused(t, g.Token)
	h.accepted(t, other.Token)
	granted(h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken))(t)

	t.Run("and deleting the API token leaves the user's other sessions", func(t *testing.T) {
		s := h.login(t, eve())
		second, g := h.apiToken(t, eve())
		must(t, h.cat.Tokens.Delete(t.Context(), second.ID, nil))
		h.refused(t, g.Token)
		h.accepted(t, s.Token)
		h.accepted(t, other.Token)
	})
}

func TestAnAPITokenSurvivesARestartAndEndsAfterIt(t *testing.T) {
	h := start(t, Options{})
	token, g := h.apiToken(t, eve())
	gone, dead := h.apiToken(t, eve())
	must(t, h.cat.Tokens.Delete(t.Context(), gone.ID, nil))
	h.live.Close()

	again := build(t, h.store, h.clock, Options{})
	if c := again.accepted(t, g.Token); c.TokenID != token.ID {
		t.Fatalf("after the restart it acts as %+v", c)
	}
	again.refused(t, dead.Token)
	fresh, err := again.RefreshAPIToken(t.Context(), "acme", g.RefreshToken)
	must(t, err)
	must(t, again.cat.Tokens.Delete(t.Context(), token.ID, nil))
	again.refused(t, g.Token)
	again.refused(t, fresh.Token)
}

func TestAnAPITokenThatNobodyFetchesIsSweptAway(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	late, client := h.register(t, s)
	token, g := h.apiToken(t, eve())
	h.clock.pass(registrationTTL)
	s = h.login(t, eve())
	_, err := h.ActivateAPIToken(t.Context(), "acme", s.Token, client)
	wantCode(t, err, core.Invalid)
	fresh, _ := h.register(t, s)
	must(t, h.Sweep(t.Context()))
	_, err = h.cat.Tokens.Get(t.Context(), late.ID)
	wantCode(t, err, core.NotFound)
	for _, id := range []string{token.ID, fresh.ID} {
		_, err = h.cat.Tokens.Get(t.Context(), id)
		must(t, err)
	}
	granted(h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken))(t)
}

func TestAUsersAPITokensAreCountedAndGoWithTheUser(t *testing.T) {
	h := start(t, Options{TokensPerUser: 3})
	s, boss := h.login(t, eve()), h.login(t, admin())
	var all []core.Token
	for range 3 {
		k, _ := h.register(t, s)
		all = append(all, k)
	}
	_, err := h.RegisterAPIToken(t.Context(), s.Caller, "acme", "one too many")
	wantCode(t, err, core.Conflict)
	kept, _ := h.register(t, boss)
	must(t, h.cat.Tokens.Delete(t.Context(), all[0].ID, nil))
	h.register(t, s)
	must(t, h.cat.Users.Delete(t.Context(), s.Caller.UserID, nil))
	for k, err := range h.cat.Tokens.All(t.Context()) {
		must(t, err)
		if k.ID != kept.ID {
			t.Errorf("the token %s of a deleted user is left", k.ID)
		}
	}
}

func TestASigningKeyRotatesWhenItIsDue(t *testing.T) {
	for _, c := range []struct {
		name     string
		period   time.Duration
		age      time.Duration
		rotation bool
	}{
		{"a young key stays", 0, 29 * 24 * time.Hour, false},
		{"a key of a month does not", 0, 30 * 24 * time.Hour, true},
		{"an hour, where that was said", time.Hour, time.Hour, true},
		{"never, where that was said", -1, 3000 * 24 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, Options{KeyPeriod: c.period})
			before := kidOf(t, h.login(t, eve()).Token)
			h.clock.pass(c.age)
			s := h.login(t, eve())
			must(t, h.Sweep(t.Context()))
			must(t, h.Sweep(t.Context()))
			h.accepted(t, s.Token)
			if after := kidOf(t, h.login(t, eve()).Token); (after != before) != c.rotation {
				t.Fatalf("the key was %s and is %s", before, after)
			}
			if n := len(h.live.View().Directory.Keys()); c.rotation && n != 2 {
				t.Fatalf("%d keys, want 2: two sweeps rotate once", n)
			}
		})
	}
}

// TestHammerAPITokens makes, uses and deletes API tokens from many sides: none
// works once its deletion has returned.
func TestHammerAPITokens(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	const sides, rounds = 8, 12
	var wg sync.WaitGroup
	for range sides {
		wg.Go(func() {
			for range rounds {
				token, client := h.register(t, s)
				g, err := h.ActivateAPIToken(t.Context(), "acme", s.Token, client)
				if err != nil {
					t.Error(err)
					return
				}
				var users sync.WaitGroup
				var deleted atomic.Bool
				for range 2 {
					users.Go(func() {
						for range 20 {
							over := deleted.Load()
							r, err := h.RefreshAPIToken(t.Context(), "acme", g.RefreshToken)
							if err == nil && over {
								t.Error("a deleted API token opened a session")
							}
							if err != nil {
								continue
							}
							over = deleted.Load()
							if _, err := h.Identify(t.Context(), bearerOf(r.Token)); err == nil && over {
								t.Error("a session outlived its API token")
							}
						}
					})
				}
				if err := h.cat.Tokens.Delete(t.Context(), token.ID, nil); err != nil {
					t.Error(err)
				}
				deleted.Store(true)
				users.Wait()
			}
		})
	}
	wg.Wait()
}
