// Package identity tells who is calling: it checks passwords and tokens,
// keeps sessions and signing keys, and vouches for callers towards external
// systems. What it decides on the request path it decides by the newest view,
// so that a credential taken back is refused on the next call.
package identity

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity/oidc"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Options are what an Identity can be told. The zero Options works.
type Options struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	Log *slog.Logger
	// Issuer names the gateway in its tokens. Nodes that share a store share
	// it; tokens of another issuer are refused.
	Issuer string
	// SessionTTL is how long a login lasts; 24 hours by default.
	SessionTTL time.Duration
	// SessionsPerUser is how many sessions one user may have; one more ends the
	// oldest. 2,000 by default.
	SessionsPerUser int
	// TokensPerUser is how many API tokens one user may have; 1,000 by default.
	TokensPerUser int
	// KeyPeriod is how long a signing key signs before Sweep makes the next;
	// 30 days by default, and for ever when it is negative.
	KeyPeriod time.Duration
	// CallTTL is how long a token lives that acts as a caller towards the
	// gateway; 5 minutes by default.
	CallTTL time.Duration
	// CacheSize is how many tokens are remembered per cache; 20,000 by default.
	CacheSize int
	Cost      Cost
	BackOff   BackOff
	// HTTPClient gives the client that asks identity providers for their keys:
	// those whose server certificates roots has signed, nil for the machine's.
	// By default connections are made directly, and to no link-local, multicast
	// or unspecified address. Redirects are never followed.
	HTTPClient func(roots *x509.CertPool) *http.Client
}

// Times of tokens.
const (
	// leeway is what the clocks of two nodes may differ: so long is a token
	// still good after its end, and so far may it lie in the future. A session
	// itself ends on time.
	leeway = 30 * time.Second
	// identityTTL is how long a signed identity is good.
	identityTTL = time.Minute
	// identityReuse is how long one is handed out again.
	identityReuse = 20 * time.Second
	// callReusePart is which part of CallTTL a token is handed out again: a
	// quarter, so that who gets it last has the rest.
	callReusePart = 4
)

// Identity knows callers by their credentials. It is safe for concurrent use.
type Identity struct {
	cat  *catalog.Catalog
	view func() *live.View
	opts Options

	passwords *hasher
	failures  *failures
	keys      keyring
	verified  *cache[verified]
	issued    *cache[issued]

	providers *oidc.Verifier
	guests    *cache[guest]
	creating  chan struct{} // held by who makes a user on first sight
}

// New makes an Identity that writes to cat and decides by view.
func New(cat *catalog.Catalog, view func() *live.View, opts Options) *Identity {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Issuer == "" {
		opts.Issuer = "annex"
	}
	if opts.SessionTTL <= 0 {
		opts.SessionTTL = 24 * time.Hour
	}
	if opts.SessionsPerUser <= 0 {
		opts.SessionsPerUser = 2_000
	}
	if opts.CallTTL <= 0 {
		opts.CallTTL = 5 * time.Minute
	}
	if opts.CacheSize <= 0 {
		opts.CacheSize = 20_000
	}
	if opts.TokensPerUser <= 0 {
		opts.TokensPerUser = 1_000
	}
	if opts.KeyPeriod == 0 {
		opts.KeyPeriod = 30 * 24 * time.Hour
	}
	return &Identity{
		cat: cat, view: view, opts: opts,
		passwords: newHasher(opts.Cost.orDefault(runtime.GOMAXPROCS(0))),
		failures:  newFailures(opts.BackOff.orDefault(), opts.Now),
		verified:  newCache[verified](opts.CacheSize),
		issued:    newCache[issued](opts.CacheSize),
		providers: oidc.New(oidc.Options{Now: opts.Now, Log: opts.Log, Client: opts.HTTPClient}),
		guests:    newCache[guest](opts.CacheSize / guestCacheShare),
		creating:  make(chan struct{}, 1),
	}
}

// Close ends what the Identity does in the background: asking identity
// providers for their keys.
func (m *Identity) Close() { m.providers.Close() }

// refuse is the error of a credential that nobody is known by.
func refuse(text string) error { return core.Errorf(core.Unauthenticated, "%s", text) }

// What callers are told. Why a token is no good is told only as far as it
// helps its owner.
const (
	noCredential  = "no credential was sent: log in and send the token as \"Authorization: Bearer <token>\""
	noCookie      = "no credential was sent: log in, so that the cookie vcloud_jwt is sent"
	twoTokens     = "the request holds different credentials: send one token"
	badCredential = "the credential cannot be read: send one token as \"Authorization: Bearer <token>\""
	badToken      = "the token is not valid: log in again"
	endedSession  = "the session has ended: log in again"
	badGrant      = "the token is not valid for this organisation: it may have been deleted, or its user disabled"
	wrongLogin    = "the user name, the organisation or the password is wrong"

	noTokenByToken = "an API token is made with a login of its own user: log in with name and password, and use the token of that session"
)
