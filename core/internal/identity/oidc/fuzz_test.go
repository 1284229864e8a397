package oidc

import (
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"1","use":"sig"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RS256"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[null,7,[],{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := parseKeys(body)
		if err != nil {
			return
		}
		for _, k := range set.keys {
			for _, m := range k.algorithms {
				if _, method := set.find(header{Algorithm: m.Alg(), KeyID: k.id}); k.id != "" && method == nil {
					t.Fatalf("the key %q is not found", k.id)
				}
				if strings.HasPrefix(m.Alg(), "HS") || m.Verify("x.y", []byte("z"), k.public) == nil {
					t.Fatalf("the key %q verifies anything", k.id)
				}
			}
		}
	})
}

func FuzzClaims(f *testing.F) {
	is := core.Issuer{URL: "https://idp.example", Audience: "annex"}
	now := time.Unix(1_800_000_000, 0)
	f.Add("a.b.c", `{"iss":"https://idp.example","aud":["annex"],"exp":1800000060,"nbf":1,"iat":1.5,"sub":"x"}`)
	f.Add("eyJhbGciOiJFUzI1NiJ9.e30.AA", `{"iss":"https://idp.example","aud":"annex","exp":1e9}`)
	f.Fuzz(func(t *testing.T, token, claims string) {
		if p, ok := split(token); ok && (p.header.Critical != nil || len(p.signature) == 0) {
			t.Fatalf("%q was taken apart", token)
		}
		IssuerOf(token)
		c, ok := judge(is, []byte(claims))
		if !ok {
			return
		}
		if c.Text("iss") != is.URL || c.expires.Unix() < 0 || c.has("cnf") {
			t.Fatalf("%q is accepted", claims)
		}
		if c.Receipt().timely(now) && c.expires.Before(now.Add(-leeway)) {
			t.Fatalf("%q is timely", claims)
		}
		c.Texts("sub")
		c.False("email_verified")
	})
}

func TestGuardRefusesAddressesOfNoIdentityProvider(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:443": true, "10.1.2.3:443": true, "[::1]:443": true, "192.0.2.1:8443": true, "[2001:db8::1]:443": true,
		"169.254.169.254:443": false, "[::ffff:169.254.169.254]:443": false, "[fe80::1%eth0]:443": false, "0.0.0.0:443": false,
		"[::]:443": false, "224.0.0.1:443": false, "[ff02::1]:443": false, "[fd00:ec2::254]:443": false, "100.100.100.200:443": false, "x:443": false,
	} {
		if err := guard("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
