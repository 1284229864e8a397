package mqtt

import (
	"net/netip"
	"sync"
	"time"
)

// bans keeps a user at one address away for a while after too many failed
// logins or sessions that broke right away. A user at another address is not
// touched by it.
type bans struct {
	limit int // negative: never ban
	time  time.Duration
	now   func() time.Time

	mu      sync.Mutex
	records map[source]record
}

// source is who is banned.
type source struct {
	user string
	addr netip.Addr
}

type record struct {
	strikes int
	since   time.Time // of the first strike
	until   time.Time // of the ban
}

const (
	strikeWindow = time.Minute
	maxRecords   = 8192
)

func newBans(limit int, d time.Duration, now func() time.Time) *bans {
	return &bans{limit: limit, time: d, now: now, records: map[source]record{}}
}

func (b *bans) banned(s source) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now().Before(b.records[s].until)
}

// strike notes a failure of s.
func (b *bans) strike(s source) {
	if b.limit < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	r, known := b.records[s]
	if !known {
		b.makeRoom(now)
	}
	if now.Sub(r.since) > strikeWindow {
		r.strikes, r.since = 0, now
	}
	if r.strikes++; r.strikes >= b.limit {
		r.until = now.Add(b.time)
	}
	b.records[s] = r
}

// makeRoom forgets what has run out, and half of the rest if that is not
// enough: who makes up names by the thousand is not stopped by a ban on a
// name, and must not make every strike costly.
func (b *bans) makeRoom(now time.Time) {
	if len(b.records) < maxRecords {
		return
	}
	for s, r := range b.records {
		if now.Sub(r.since) > strikeWindow && !now.Before(r.until) {
			delete(b.records, s)
		}
	}
	for s := range b.records {
		if len(b.records) <= maxRecords/2 {
			return
		}
		delete(b.records, s)
	}
}
