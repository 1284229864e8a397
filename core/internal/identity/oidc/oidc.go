// Package oidc checks tokens of OpenID Connect issuers against the keys that
// the issuers publish. It fetches those keys, keeps them fresh in the
// background, and never makes the tokens of one issuer wait for another.
package oidc

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Options are what a Verifier can be told. The zero Options works.
type Options struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	Log *slog.Logger
	// Client gives the client for issuers whose server certificates roots
	// has signed; nil roots are the machine's. By default connections are made
	// directly, and to no link-local, multicast or unspecified address.
	// Redirects are never followed, whatever the client says.
	Client func(roots *x509.CertPool) *http.Client
}

// Times of keys and tokens.
const (
	// leeway is what an issuer's clock may differ from ours.
	leeway = 30 * time.Second
	// refreshAfter is how old keys are fetched anew, while the old ones serve.
	refreshAfter = 15 * time.Minute
	// maxAge is how long keys serve when the issuer does not answer.
	maxAge = 24 * time.Hour
	// pause is the least time between two fetches that tokens with unknown
	// keys can cause.
	pause = 10 * time.Second
	// firstRetry is the pause after a failed fetch; it doubles up to maxRetry.
	firstRetry, maxRetry = time.Second, time.Minute
	// maxWait is how long a caller waits for the keys of the issuer.
	maxWait = 5 * time.Second
	// requestLimit and fetchLimit bound one request and one whole fetch.
	requestLimit, fetchLimit = 5 * time.Second, 10 * time.Second
)

// maxWaiters is how many callers wait for the keys of one issuer.
const maxWaiters = 256

// Verifier knows the keys of issuers. It is safe for concurrent use.
type Verifier struct {
	opts    Options
	ctx     context.Context //nolint:containedctx // of all fetches; Close ends it
	cancel  context.CancelFunc
	sources sync.Map // issuer id → *source

	mu      sync.Mutex
	closed  bool
	fetches sync.WaitGroup
}

// New makes a Verifier. Close ends what it does in the background.
func New(opts Options) *Verifier {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Client == nil {
		opts.Client = guardedClient
	}
	v := &Verifier{opts: opts}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

// Close ends all fetches. Tokens whose keys are known are still checked.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.cancel()
	v.fetches.Wait()
	v.Keep(func(string, string) bool { return false })
}

// background runs f unless the Verifier is closed, until it is. What f does
// serves all callers, so it depends on none of theirs.
func (v *Verifier) background(f func(context.Context)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.fetches.Go(func() { f(v.ctx) })
	return true
}

// Token is a token whose signature and claims were right.
type Token struct {
	Claims
	expires, notBefore time.Time
	keys               *keySet
}

// Receipt tells under which keys a token was checked, and when it is good. It
// keeps nothing else of the token.
type Receipt struct {
	expires, notBefore time.Time
	keys               *keySet
}

// Receipt returns what [Verifier.Current] needs to know of t later.
func (t Token) Receipt() Receipt { return Receipt{t.expires, t.notBefore, t.keys} }

func (r Receipt) timely(now time.Time) bool {
	return now.Before(r.expires.Add(leeway)) && !now.Add(leeway).Before(r.notBefore)
}

// Verify checks a token of the issuer. It fails with Unauthenticated when the
// token is no good, and with Unavailable when the issuer's keys cannot be had;
// it waits for them no longer than ctx lasts, nor than a few seconds.
func (v *Verifier) Verify(ctx context.Context, is core.Issuer, token string) (Token, error) {
	p, ok := split(token)
	if !ok {
		return Token{}, refuse()
	}
	s, now := v.source(is), v.opts.Now()
	set := s.fresh(now)
	if set == nil || !set.knows(p.header) {
		var err error
		if set, err = s.wait(ctx, now, set); err != nil {
			return Token{}, err
		}
	}
	if !set.verifies(p) {
		return Token{}, refuse()
	}
	t, ok := judge(is, p.payload)
	t.keys = set
	if !ok || !t.Receipt().timely(now) {
		return Token{}, refuse()
	}
	return t, nil
}

// Current reports whether a token that was checked before is still good: it
// has not expired, and the issuer publishes the same keys. If not, Verify
// decides anew.
func (v *Verifier) Current(is core.Issuer, r Receipt) bool {
	now := v.opts.Now()
	return r.timely(now) && v.source(is).fresh(now) == r.keys
}

// Keep forgets the issuers that keep does not want.
func (v *Verifier) Keep(keep func(id, url string) bool) {
	v.sources.Range(func(id, s any) bool {
		if s := s.(*source); !keep(id.(string), s.issuer.URL) {
			v.sources.Delete(id)
			s.drop()
		}
		return true
	})
}

func refuse() error {
	return core.Errorf(core.Unauthenticated, "the token is not valid here: get a new one from your identity provider, made for this gateway")
}

// knows reports whether a key of the set may have signed a token.
func (s *keySet) knows(h header) bool {
	keys, _ := s.find(h)
	return len(keys) > 0
}

func (s *keySet) verifies(p parts) bool {
	keys, method := s.find(p.header)
	for _, k := range keys {
		if method.Verify(p.signed, p.signature, k) == nil {
			return true
		}
	}
	return false
}
