package identity

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/identity/oidc/oidctest"
)

// trust registers an identity provider for acme.
func (h *house) trust(tb testing.TB, p *oidctest.Issuer, change func(*core.Issuer)) core.Issuer {
	tb.Helper()
	org, _ := h.live.View().Directory.OrgByName("acme")
	is := p.Registration(org.ID)
	if change != nil {
		change(&is)
	}
	is, err := h.cat.Issuers.Create(tb.Context(), "", is)
	must(tb, err)
	tb.Cleanup(h.Close)
	return is
}

func (h *house) changeIssuer(tb testing.TB, id string, change func(*core.Issuer)) {
	tb.Helper()
	_, err := h.cat.Issuers.Update(tb.Context(), "", id, nil, func(i core.Issuer) (core.Issuer, error) {
		change(&i)
		return i, nil
	})
	must(tb, err)
}

// outside makes a provider's token about user, with claims changed by pairs.
func (h *house) outside(tb testing.TB, p *oidctest.Issuer, user string, pairs ...any) string {
	tb.Helper()
	claims := p.Claims(user, h.clock.Now())
	for i := 0; i+1 < len(pairs); i += 2 {
		claims[pairs[i].(string)] = pairs[i+1]
	}
	return p.Key().Sign(tb, nil, claims)
}

func TestATokenOfAnIdentityProviderIsACredentialOfItsOrganisationsUser(t *testing.T) {
	h, p := start(t, Options{}), oidctest.Start(t)
	h.addOrg(t, "other")
	h.addUser(t, "other", "bob")
	token := h.outside(t, p, "Eve")
	h.refused(t, token) // nobody trusts the provider yet
	h.trust(t, p, nil)
	for range 3 {
		c := h.accepted(t, token)
		if c.UserName != "eve" || c.OrgName != "acme" || c.SessionID != "" || c.TokenID != "" {
			t.Fatalf("it acts as %+v", c)
		}
	}
	if n := p.Requests(oidctest.Keys); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	h.refused(t, h.outside(t, p, "bob"))
	h.refused(t, h.outside(t, p, "administrator"))
	h.refused(t, h.outside(t, p, "mallory"))
	h.refused(t, h.outside(t, p, "eve", "aud", "other"))
	h.refused(t, h.outside(t, p, "eve", "iss", "annex"))
	h.refused(t, h.outside(t, oidctest.Start(t), "eve"))
	h.refused(t, h.outside(t, oidctest.Start(t), "eve", "iss", p.URL()))
	h.accepted(t, h.login(t, eve()).Token)

	t.Run("on pages by the cookie", func(t *testing.T) {
		c, err := h.Identify(t.Context(), get("/ext-ui/tenant/acme/x", "Cookie", "vcloud_jwt="+token))
		must(t, err)
		if c.UserName != "eve" {
			t.Fatalf("it acts as %+v", c)
		}
	})
	t.Run("and for a call that a service makes", func(t *testing.T) {
		lent, err := h.MintToken(t.Context(), h.accepted(t, token))
		must(t, err)
		h.accepted(t, lent)
	})
	t.Run("and for an API token", func(t *testing.T) {
		k, err := h.RegisterAPIToken(t.Context(), h.accepted(t, token), "acme", "x")
		must(t, err)
		g, err := h.ActivateAPIToken(t.Context(), "acme", token, strings.TrimPrefix(k.ID, core.TokenPrefix))
		must(t, err)
		h.accepted(t, g.Token)
	})
	t.Run("but no extension token", func(t *testing.T) {
		sys := h.addService(t, "backup")
		_, _, err := h.Admit(t.Context(), sys.Triplet(), token)
		wantCode(t, err, core.Unauthenticated)
	})
}

func TestATokenOfAnIdentityProviderEndsAtOnce(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *house, core.Issuer){
		"when the provider is disabled": func(t *testing.T, h *house, i core.Issuer) {
			t.Helper()
			h.changeIssuer(t, i.ID, func(i *core.Issuer) { i.Enabled = false })
		},
		"when the provider is deleted": func(t *testing.T, h *house, i core.Issuer) {
			t.Helper()
			must(t, h.cat.Issuers.Delete(t.Context(), i.ID, nil))
		},
		"when another audience is asked for": func(t *testing.T, h *house, i core.Issuer) {
			t.Helper()
			h.changeIssuer(t, i.ID, func(i *core.Issuer) { i.Audience = "other" })
		},
		"when its time is over": func(t *testing.T, h *house, _ core.Issuer) {
			t.Helper()
			h.clock.pass(time.Hour + leeway)
		},
		"when the user is disabled": func(t *testing.T, h *house, i core.Issuer) {
			t.Helper()
			u, _ := h.live.View().Directory.UserByName(i.OrgID, "eve")
			h.changeUser(t, u.ID, func(u *core.User) { u.Enabled = false })
		},
		"when the user is deleted": func(t *testing.T, h *house, i core.Issuer) {
			t.Helper()
			u, _ := h.live.View().Directory.UserByName(i.OrgID, "eve")
			must(t, h.cat.Users.Delete(t.Context(), u.ID, nil))
		},
		"when the organisation is disabled": func(t *testing.T, h *house, i core.Issuer) {
			t.Helper()
			h.changeOrg(t, i.OrgID, func(o *core.Org) { o.Enabled = false })
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, p := start(t, Options{}), oidctest.Start(t)
			is := h.trust(t, p, nil)
			token := h.outside(t, p, "eve")
			h.accepted(t, token)
			h.accepted(t, token)
			end(t, h, is)
			h.refused(t, token)
		})
	}
	t.Run("when the organisation is disabled and users are made on first sight", func(t *testing.T) {
		h, p := start(t, Options{}), oidctest.Start(t)
		is := h.trust(t, p, func(i *core.Issuer) { i.AutoCreate = true })
		h.accepted(t, h.outside(t, p, "zoe"))
		h.changeOrg(t, is.OrgID, func(o *core.Org) { o.Enabled = false })
		h.refused(t, h.outside(t, p, "zoe"))
		h.refused(t, h.outside(t, p, "yan"))
		if _, ok := h.live.View().Directory.UserByName(is.OrgID, "yan"); ok {
			t.Fatal("a user was made in a disabled organisation")
		}
	})
	t.Run("and stands for the user who has the name now", func(t *testing.T) {
		h, p := start(t, Options{}), oidctest.Start(t)
		is := h.trust(t, p, nil)
		token := h.outside(t, p, "eve")
		u, _ := h.live.View().Directory.UserByName(is.OrgID, "eve")
		h.accepted(t, token)
		h.changeUser(t, u.ID, func(u *core.User) { u.Name = "eva" })
		h.refused(t, token)
		fresh := h.addUser(t, "acme", "eve")
		if c := h.accepted(t, token); c.UserID != fresh.ID {
			t.Fatalf("it acts as %+v", c)
		}
	})
}

func TestWhichClaimNamesTheUser(t *testing.T) {
	h, p := start(t, Options{}), oidctest.Start(t)
	is := h.trust(t, p, func(i *core.Issuer) { i.AutoCreate = true })
	for _, c := range []struct {
		name, claim string
		pairs       []any
		want        string // empty: refused
	}{
		{"the preferred name", "", []any{"email", "a@x.example"}, "eve"},
		{"else the address", "", []any{"preferred_username", "", "email", "a@x.example"}, "a@x.example"},
		{"else the subject", "", []any{"preferred_username", ""}, "subject-eve"},
		{"but no address that is not verified", "", []any{"preferred_username", "", "email", "eve", "email_verified", false}, "subject-eve"},
		{"the claim that was said", "upn", []any{"upn", "carl"}, "carl"},
		{"the address, where that was said", "email", []any{"email", "a@x.example", "email_verified", true}, "a@x.example"},
		{"not one unverified, as text", "email", []any{"email", "eve", "email_verified", "false"}, ""},
		{"nobody, without the claim that was said", "upn", nil, ""},
		{"nobody, if it is no text", "upn", []any{"upn", []string{"eve"}}, ""},
		{"nobody, if it is too long", "upn", []any{"upn", strings.Repeat("x", 129)}, ""},
		{"nobody whose name cannot be", "upn", []any{"upn", "a/b"}, ""},
		{"nobody whose name hides a line break", "upn", []any{"upn", "a\nb"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.changeIssuer(t, is.ID, func(i *core.Issuer) { i.UserClaim = c.claim })
			token := h.outside(t, p, "eve", c.pairs...)
			if c.want == "" {
				h.refused(t, token)
				return
			}
			if got := h.accepted(t, token); got.UserName != c.want || got.OrgName != "acme" {
				t.Fatalf("it acts as %q", got.UserName)
			}
		})
	}
}

func TestUsersAreMadeOnFirstSightWithTheRolesOfTheClaimOrTheDefaults(t *testing.T) {
	h, p := start(t, Options{}), oidctest.Start(t)
	org, _ := h.live.View().Directory.OrgByName("acme")
	h.addOrg(t, "other")
	other, _ := h.live.View().Directory.OrgByName("other")
	role := func(name, orgID string) core.Role {
		r, err := h.cat.Roles.Create(t.Context(), "", core.Role{Name: name, OrgID: orgID})
		must(t, err)
		return r
	}
	reader := role("Reader", org.ID)
	role("Global", "")
	role("Reader", "") // the organisation's own goes first
	role("Foreign", other.ID)
	h.trust(t, p, func(i *core.Issuer) {
		i.AutoCreate, i.RoleClaim, i.DefaultRoleIDs = true, "roles", []string{reader.ID}
	})
	for i, c := range []struct {
		roles any
		want  string
	}{
		{[]string{"global", "READER", "unknown", ""}, "[Global Reader]"},
		{"Global", "[Global]"},
		{nil, "[Reader]"},
		{[]string{"unknown", "Foreign", "System Administrator"}, "[Reader]"},
		{7, "[Reader]"},
	} {
		t.Run(fmt.Sprint(c.roles), func(t *testing.T) {
			user := fmt.Sprint("user-", i)
			token := h.outside(t, p, user, "roles", c.roles, "name", "User "+user, "email", strings.Repeat("x", 300))
			var roles []string
			caller := h.accepted(t, token)
			for _, r := range caller.Roles {
				roles = append(roles, r.Name)
			}
			if len(roles) == 2 && roles[0] > roles[1] {
				roles[0], roles[1] = roles[1], roles[0]
			}
			if fmt.Sprint(roles) != c.want || caller.Rights.All() {
				t.Fatalf("roles %v, want %s", roles, c.want)
			}
			u, ok := h.live.View().Directory.User(caller.UserID)
			if !ok || u.FullName != "User "+user || u.Email != "" || u.Password != "" || !u.Enabled || u.OrgID != org.ID {
				t.Fatalf("made %+v", u)
			}
			_, err := h.Login(t.Context(), Credentials{User: user, Org: "acme", Password: "x", Remote: here})
			wantCode(t, err, core.Unauthenticated)
		})
	}
	t.Run("those who are there keep theirs", func(t *testing.T) {
		if c := h.accepted(t, h.outside(t, p, "eve", "roles", "Global")); len(c.Roles) != 0 {
			t.Fatalf("eve got the roles %v", c.Roles)
		}
	})
	t.Run("many calls at once make one", func(t *testing.T) {
		token := h.outside(t, p, "zoe")
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if c, err := h.Identify(t.Context(), bearerOf(token)); err != nil || c.UserName != "zoe" {
					t.Errorf("got %q and %v", c.UserName, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestADeadIdentityProviderHarmsOnlyItsOwnTokens(t *testing.T) {
	h, p, slow := start(t, Options{}), oidctest.Start(t), oidctest.Start(t)
	asked := make(chan struct{}, 16)
	slow.Answer(oidctest.Keys, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	h.trust(t, p, nil)
	h.trust(t, slow, func(i *core.Issuer) { i.Name = "slow" })
	done := make(chan error, 1)
	go func() {
		_, err := h.Identify(t.Context(), bearerOf(h.outside(t, slow, "eve")))
		done <- err
	}()
	<-asked
	s := h.login(t, eve())
	h.accepted(t, s.Token)
	h.accepted(t, h.outside(t, p, "eve"))
	h.Close()
	wantCode(t, <-done, core.Unavailable)
	h.accepted(t, s.Token)
}

func TestATokenIsCheckedAgainWhenTheProvidersKeysChange(t *testing.T) {
	h, p := start(t, Options{}), oidctest.Start(t)
	h.trust(t, p, nil)
	token := h.outside(t, p, "eve")
	h.accepted(t, token)
	second := p.NewKey("second", "RS256")
	p.Publish(second, p.Key())
	h.clock.pass(11 * time.Second)
	h.accepted(t, second.Sign(t, nil, p.Claims("eve", h.clock.Now())))
	h.accepted(t, token)
	p.Publish(second)
	h.clock.pass(11 * time.Second)
	h.refused(t, second.Sign(t, map[string]any{"kid": "third"}, p.Claims("eve", h.clock.Now())))
	h.refused(t, token)
}

func TestSweepForgetsProvidersThatAreGone(t *testing.T) {
	h, p := start(t, Options{}), oidctest.Start(t)
	is := h.trust(t, p, nil)
	token := h.outside(t, p, "eve")
	h.accepted(t, token)
	must(t, h.Sweep(t.Context()))
	h.accepted(t, token)
	if n := p.Requests(oidctest.Keys); n != 1 {
		t.Fatalf("a sweep made the keys be fetched again: %d", n)
	}
	must(t, h.cat.Issuers.Delete(t.Context(), is.ID, nil))
	must(t, h.Sweep(t.Context()))
	h.trust(t, p, nil)
	h.accepted(t, token)
}

// FuzzGuest feeds claims of any content, signed by a trusted provider.
func FuzzGuest(f *testing.F) {
	h, p := start(f, Options{}), oidctest.Start(f)
	h.trust(f, p, nil)
	good, err := json.Marshal(p.Claims("eve", h.clock.Now()))
	must(f, err)
	f.Add(`{"alg":"ES256","kid":"first"}`, string(good))
	f.Add(`{"alg":"none"}`, strings.Replace(string(good), `"eve"`, `"administrator"`, 1))
	f.Fuzz(func(t *testing.T, header, claims string) {
		if len(header)+len(claims) > maxToken/2 {
			return
		}
		c, err := h.holder(t.Context(), p.Key().SignText(t, header, claims))
		switch {
		case err == nil && (c.UserName != "eve" || !strings.Contains(claims, "aud")):
			t.Fatalf("%s %s names %+v", header, claims, c)
		case err != nil && core.ErrorCode(err) != core.Unauthenticated && core.ErrorCode(err) != core.Unavailable:
			t.Fatal(err)
		}
	})
}

func BenchmarkGuest(b *testing.B) {
	h, p := start(b, Options{}), oidctest.Start(b)
	h.trust(b, p, nil)
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		key := p.NewKey(algorithm, algorithm)
		p.Publish(key)
		h.clock.pass(time.Minute)
		r := bearerOf(key.Sign(b, nil, p.Claims("eve", h.clock.Now())))
		b.Run(algorithm+"-cold", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.guests = newCache[guest](2)
				if _, err := h.Identify(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+"-warm", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Identify(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAPIToken(b *testing.B) {
	h := start(b, Options{})
	_, g := h.apiToken(b, eve())
	r := bearerOf(g.Token)
	b.Run("identify-warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.Identify(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g, err := h.RefreshAPIToken(b.Context(), "acme", g.RefreshToken)
			if err != nil {
				b.Fatal(err)
			}
			must(b, h.endSession(b.Context(), g.Record.ID))
		}
	})
}
