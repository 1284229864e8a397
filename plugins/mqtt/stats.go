package mqtt

import "sync/atomic"

// Stats is what the kind has counted since it started, and how it stands now.
type Stats struct {
	Connections int // now
	Sessions    int // now: logged in
	Waiting     int // now: calls that wait for a reply

	Admitted  uint64 // logins
	Refused   uint64 // logins refused, bans included
	Banned    uint64 // logins refused because of a ban
	Shed      uint64 // connections dropped over a limit before they logged in
	Panics    uint64 // packets that made the broker panic
	Denied    uint64 // topics refused
	Requests  uint64 // sent to services
	Replies   uint64 // handed to a waiting call
	Late      uint64 // replies with an unknown or no id: too late, twice, or made up
	Forged    uint64 // replies to another service's call
	Malformed uint64 // replies without a readable id
	Unusable  uint64 // replies to a waiting call that could not be used
	Timeouts  uint64 // calls without a reply in time
	Unserved  uint64 // calls that found nobody, or only full queues
	Lost      uint64 // calls whose session ended while they waited
}

type counters struct {
	admitted, refused, banned, shed, panics, denied                atomic.Uint64
	requests, replies, late, forged, malformed, unusable, timeouts atomic.Uint64
	unserved, lost                                                 atomic.Uint64
}

// Stats returns the counters.
func (k *Kind) Stats() Stats {
	c := &k.stats
	k.mu.RLock()
	defer k.mu.RUnlock()
	return Stats{
		Connections: k.connections,
		Sessions:    len(k.sessions),
		Waiting:     k.waiters.len(),
		Admitted:    c.admitted.Load(),
		Refused:     c.refused.Load(),
		Banned:      c.banned.Load(),
		Shed:        c.shed.Load(),
		Panics:      c.panics.Load(),
		Denied:      c.denied.Load(),
		Requests:    c.requests.Load(),
		Replies:     c.replies.Load(),
		Late:        c.late.Load(),
		Forged:      c.forged.Load(),
		Malformed:   c.malformed.Load(),
		Unusable:    c.unusable.Load(),
		Timeouts:    c.timeouts.Load(),
		Unserved:    c.unserved.Load(),
		Lost:        c.lost.Load(),
	}
}
