package oidc

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/annex-gateway/annex/core"
)

// maxDocument bounds what is read of an issuer's answer.
const maxDocument = 1 << 20

// source is one issuer and the keys that it was seen with. What readers need
// they read without a lock.
type source struct {
	v      *Verifier
	issuer core.Issuer
	held   atomic.Pointer[held]
	next   atomic.Int64 // no fetch before; Unix nanoseconds

	mu      sync.Mutex
	flight  chan struct{} // closed when the fetch that runs now ends; nil: none runs
	waiters int
	fails   int
	client  *http.Client
}

// held are keys with the time at which they were fetched.
type held struct {
	set  *keySet
	body []byte
	at   time.Time
}

// source returns what is known of the issuer as it is registered now.
func (v *Verifier) source(is core.Issuer) *source {
	if s, ok := v.sources.Load(is.ID); ok && s.(*source).issuer.Revision >= is.Revision {
		return s.(*source)
	}
	fresh := &source{v: v, issuer: is}
	for {
		old, had := v.sources.LoadOrStore(is.ID, fresh)
		if !had {
			return fresh
		}
		if s := old.(*source); s.issuer.Revision >= is.Revision {
			return s
		}
		if v.sources.CompareAndSwap(is.ID, old, fresh) {
			old.(*source).drop()
			return fresh
		}
	}
}

// fresh returns the keys, or nil when there are none young enough. Keys that
// grow old are fetched anew in the background.
func (s *source) fresh(now time.Time) *keySet {
	h := s.held.Load()
	if h == nil {
		return nil
	}
	age := now.Sub(h.at)
	if age >= refreshAfter && now.UnixNano() >= s.next.Load() {
		s.mu.Lock()
		s.start(now)
		s.mu.Unlock()
	}
	if age >= maxAge {
		return nil
	}
	return h.set
}

// start begins a fetch unless one runs or it is too early. The caller holds
// s.mu.
func (s *source) start(now time.Time) {
	if s.flight != nil || now.UnixNano() < s.next.Load() {
		return
	}
	done := make(chan struct{})
	if s.v.background(func(ctx context.Context) { s.fetch(ctx, done) }) {
		s.flight = done
	}
}

// wait gives keys other than have, which did not serve, as soon as there may
// be some.
func (s *source) wait(ctx context.Context, now time.Time, have *keySet) (*keySet, error) {
	s.mu.Lock()
	s.start(now)
	flight := s.flight
	if flight == nil || s.waiters >= maxWaiters {
		s.mu.Unlock()
		return s.settle(now, have, flight == nil)
	}
	s.waiters++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.waiters--
		s.mu.Unlock()
	}()
	limit := time.NewTimer(maxWait)
	defer limit.Stop()
	select {
	case <-flight:
		return s.settle(now, have, true)
	case <-limit.C:
	case <-ctx.Done():
	}
	return nil, s.unavailable()
}

// settle takes what there is. Whoever had keys and could ask for others in
// time gets no other answer than that.
func (s *source) settle(now time.Time, have *keySet, asked bool) (*keySet, error) {
	switch h := s.held.Load(); {
	case h != nil && now.Sub(h.at) < maxAge && (asked || h.set != have):
		return h.set, nil
	default:
		return nil, s.unavailable()
	}
}

func (s *source) unavailable() error {
	return core.Errorf(core.Unavailable, "the keys of the identity provider %q cannot be had at the moment: try again later", s.issuer.Name)
}

// fetch gets the keys and decides when to do so again.
func (s *source) fetch(ctx context.Context, done chan struct{}) {
	limited, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	body, set, err := s.keys(limited)
	now := s.v.opts.Now()
	if err == nil {
		h := &held{set, body, now}
		if old := s.held.Load(); old != nil && bytes.Equal(old.body, body) {
			h.set = old.set // what was checked under it stays checked
		}
		s.held.Store(h)
	} else if ctx.Err() == nil {
		s.v.opts.Log.Warn("the keys of an identity provider could not be fetched", "issuer", s.issuer.ID, "url", s.issuer.URL, "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.fails = 0
		s.next.Store(now.Add(pause).UnixNano())
	} else {
		s.next.Store(now.Add(min(firstRetry<<min(s.fails, 30), maxRetry)).UnixNano())
		s.fails++
	}
	s.flight = nil
	close(done)
}

// keys asks the issuer where its keys are, and then for them.
func (s *source) keys(ctx context.Context) ([]byte, *keySet, error) {
	client, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	body, err := get(ctx, client, strings.TrimSuffix(s.issuer.URL, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, nil, fmt.Errorf("discovery: %w", err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, nil, fmt.Errorf("discovery: %w", err)
	}
	if doc.Issuer != s.issuer.URL {
		return nil, nil, fmt.Errorf("discovery: the document is that of the issuer %q", doc.Issuer)
	}
	if body, err = get(ctx, client, doc.Keys); err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	set, err := parseKeys(body)
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	return body, set, nil
}

// open makes the issuer's client on first use.
func (s *source) open() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	var roots *x509.CertPool
	if s.issuer.CA != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(s.issuer.CA)) {
			return nil, errors.New("the issuer's certificate authority is no PEM certificate")
		}
	}
	c := *s.v.opts.Client(roots)
	c.Jar, c.Timeout = nil, requestLimit
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.client = &c
	return s.client, nil
}

// drop lets go of connections that nobody uses any more.
func (s *source) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
}

// get reads a document of bounded size over https.
func get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("the address %q is not one of https", address)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxDocument)
	}
	return body, err
}
