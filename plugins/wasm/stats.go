package wasm

import "github.com/annex-gateway/annex/core"

// Stats counts what happened since a system was opened.
type Stats struct {
	Calls       uint64 // that reached a guest
	Failures    uint64 // traps, deadlines and other ends of a guest
	Timeouts    uint64 // of these, the deadlines
	Refused     uint64 // changes that a guest asked for and may not make
	Passed      uint64 // calls that went on without a guest that failed
	Refills     uint64 // times that guests asked whether they may go on, each after much the same work
	Guests      int    // there are now, busy and idle
	MemoryBytes int64  // of their memories together
	Dropped     uint64 // lines of the log that were too many
	Quarantined bool   // no guest is asked for the time being
}

// Stats gives the counts.
func (c *Conn) Stats() Stats {
	c.pool.mu.Lock()
	guests := c.pool.live
	c.pool.mu.Unlock()
	_, quarantined := c.breaker.tripped()
	return Stats{
		Calls: c.calls.Load(), Failures: c.failures.Load(), Timeouts: c.timeouts.Load(),
		Refused: c.refused.Load(), Passed: c.passed.Load(), Refills: c.pool.refills.Load(),
		Guests: guests, MemoryBytes: c.pool.memory.Load(), Dropped: c.pool.log.allDropped.Load(), Quarantined: quarantined,
	}
}

// Report gives the counts, and the limits that hold.
func (c *Conn) Report() core.Report {
	s, set, opts := c.Stats(), c.pool.set, c.pool.kind.opts
	quarantined := int64(0)
	if s.Quarantined {
		quarantined = 1
	}
	return core.Report{
		Limits: map[string]int64{
			"memoryBytes": set.memory, "deadlineMs": set.deadline.Milliseconds(), "startMs": set.start.Milliseconds(), "concurrency": int64(set.concurrency),
			"bodyBytes": set.bodyBytes, "stateBytes": set.stateBytes, "sharedBytes": opts.SharedBytes,
			"logLinesPerSecond": int64(set.logLines), "failuresToQuarantine": int64(opts.BreakAfter),
		},
		Counts: map[string]int64{
			"calls": int64(s.Calls), "failures": int64(s.Failures), "timeouts": int64(s.Timeouts), "refused": int64(s.Refused),
			"passed": int64(s.Passed), "guests": int64(s.Guests), "quarantined": quarantined,
			"logLinesDropped": int64(s.Dropped), "memoryBytes": s.MemoryBytes,
		},
	}
}

func (s Stats) plus(o Stats) Stats {
	s.Calls += o.Calls
	s.Failures += o.Failures
	s.Timeouts += o.Timeouts
	s.Refused += o.Refused
	s.Passed += o.Passed
	s.Refills += o.Refills
	s.Guests += o.Guests
	s.Dropped += o.Dropped
	s.MemoryBytes += o.MemoryBytes
	s.Quarantined = s.Quarantined || o.Quarantined
	return s
}

// Stats gives the counts of every open system, by "vendor/name/version". While
// a system is replaced the counts of both are added.
func (k *Kind) Stats() map[string]Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[string]Stats, len(k.conns))
	for c := range k.conns {
		name := c.pool.set.triplet
		all[name] = all[name].plus(c.Stats())
	}
	return all
}
