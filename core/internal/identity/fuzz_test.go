package identity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// FuzzToken feeds strangers' tokens, and well-signed claims of any content, to
// a gateway with one session.
func FuzzToken(f *testing.F) {
	h := start(f, Options{})
	s := h.login(f, eve())
	forged := newForge(f, h, s)
	f.Add(s.Token, forged.claims())
	f.Add("a.b.c", `{}`)
	f.Add(forged.with("exp", "1e400"), strings.Replace(forged.claims(), `"exp"`, `"\u0065xp":1,"exp"`, 1))
	f.Fuzz(func(t *testing.T, token, claims string) {
		if p, ok := split(token); ok {
			again := token[:strings.IndexByte(token, '.')+1] +
				base64.RawURLEncoding.EncodeToString(p.payload) + "." + base64.RawURLEncoding.EncodeToString(p.signature)
			if again != token {
				t.Fatalf("two forms of one token: %q and %q", token, again)
			}
		}
		if c, err := h.Identify(t.Context(), bearerOf(token)); err == nil && c.UserName != "eve" {
			t.Fatalf("%q names %q", token, c.UserName)
		}
		if len(claims) > maxToken/2 {
			return
		}
		c, err := h.holder(t.Context(), forged.sign(forged.header(), claims))
		if err != nil {
			if core.ErrorCode(err) != core.Unauthenticated {
				t.Fatalf("claims %q: %v", claims, err)
			}
			return
		}
		var plain map[string]any
		must(t, json.Unmarshal([]byte(claims), &plain))
		if plain["iss"] != "annex" || plain["aud"] != "annex" || plain["sub"] != c.UserID || c.UserName != "eve" && c.UserName != "administrator" {
			t.Fatalf("claims %q name %+v", claims, c)
		}
	})
}

// FuzzCredential looks for headers and cookies that crash or name anybody but
// the holder of the token in them.
func FuzzCredential(f *testing.F) {
	h := start(f, Options{})
	token := h.login(f, eve()).Token
	f.Add("Bearer T", "T", "", "vcloud_jwt=T; a=b", "null")
	f.Add("bearer  T, T", "", "T", "vcloud_jwt=T;vcloud_jwt=T", "https://gw.example:8443")
	f.Fuzz(func(t *testing.T, auth, access, legacy, cookie, origin string) {
		in := func(s string) string { return strings.ReplaceAll(s, "T", token) }
		for _, path := range []string{"/api/x", "/ext-ui/x"} {
			r := get(path, "Authorization", in(auth), "X-Vmware-Vcloud-Access-Token", in(access), "X-Vcloud-Authorization", in(legacy), "Cookie", in(cookie), "Origin", origin)
			r.Method = "POST"
			c, err := h.Identify(t.Context(), r)
			switch {
			case err == nil && c.UserName != "eve":
				t.Fatalf("%v names %q", r.Header.Names(), c.UserName)
			case err == nil && path == "/ext-ui/x" && !sameOrigin(origin, r):
				t.Fatalf("origin %q passed", origin)
			case err != nil && core.ErrorCode(err) != core.Unauthenticated && core.ErrorCode(err) != core.Forbidden:
				t.Fatal(err)
			}
		}
	})
}

func FuzzStoredHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add(fmt.Sprintf("$argon2id$v=19$m=%d,t=1,p=1$AAAA$AAAA", uint64(1)<<40))
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parsePHC(s); ok && (p.String() != s || p.MemoryKiB > 1<<20 || p.Passes == 0 || p.Lanes == 0) {
			t.Fatalf("%q was read as %v", s, p)
		}
	})
}
