package identity

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// BackOff says how failed logins slow down further ones of the same user from
// the same address. Zero fields mean the defaults: 5 failures are free, then
// the pause is 1 second and doubles up to 5 minutes; 20,000 pairs of user and
// address are remembered.
type BackOff struct {
	Free       int
	First, Max time.Duration
	Entries    int
}

func (b BackOff) orDefault() BackOff {
	if b.Free <= 0 {
		b.Free = 5
	}
	if b.First <= 0 {
		b.First = time.Second
	}
	if b.Max <= 0 {
		b.Max = 5 * time.Minute
	}
	if b.Entries <= 0 {
		b.Entries = 20_000
	}
	return b
}

// source is whose failures are counted together.
type source struct {
	user string
	from netip.Prefix
}

// sourceOf counts the addresses of one IPv6 network as one: whoever has one
// of them has them all.
func sourceOf(c Credentials) source {
	addr := c.Remote.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	from, _ := addr.Prefix(bits) // an unknown address counts as one, too
	return source{strings.ToLower(c.User) + "@" + strings.ToLower(c.Org), from}
}

// failures counts failed logins. An attempt counts as failed from its
// beginning, so that many at once are no way around.
type failures struct {
	rule BackOff
	now  func() time.Time
	mu   sync.Mutex
	of   map[source]failure
}

type failure struct {
	count int
	until time.Time // no attempt before
	last  time.Time
}

func newFailures(rule BackOff, now func() time.Time) *failures {
	return &failures{rule: rule, now: now, of: map[source]failure{}}
}

// begin counts an attempt, or tells how long to wait before the next.
func (f *failures) begin(s source) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	e := f.of[s]
	if f.forgotten(e, now) {
		e = failure{}
	}
	if now.Before(e.until) {
		return e.until.Sub(now)
	}
	e.count++
	e.last, e.until = now, now.Add(f.pause(e.count))
	f.makeRoom(s, now)
	f.of[s] = e
	return 0
}

func (f *failures) pause(count int) time.Duration {
	over := count - f.rule.Free
	if over < 0 {
		return 0
	}
	if over > 62 || f.rule.First > f.rule.Max>>over {
		return f.rule.Max
	}
	return f.rule.First << over
}

// forgotten reports whether a failure lies so far back that it no longer
// counts.
func (f *failures) forgotten(e failure, now time.Time) bool {
	return now.Sub(e.last) > 3*f.rule.Max
}

// makeRoom forgets the least of a few sources when the memory is full, so
// that filling it with single failures does not wash out many.
func (f *failures) makeRoom(s source, now time.Time) {
	if _, known := f.of[s]; known || len(f.of) < f.rule.Entries {
		return
	}
	const few = 16
	var least source
	seen := 0
	for k, e := range f.of {
		if seen == 0 || f.forgotten(e, now) || e.count < f.of[least].count {
			least = k
		}
		if seen++; seen == few || f.forgotten(e, now) {
			break
		}
	}
	delete(f.of, least)
}

// undo takes back an attempt that was never judged.
func (f *failures) undo(s source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.of[s]
	if !ok {
		return
	}
	if e.count--; e.count <= 0 {
		delete(f.of, s)
		return
	}
	e.until = time.Time{}
	f.of[s] = e
}

// forget is for a login that succeeded.
func (f *failures) forget(s source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, s)
}
