package main

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
)

// allowance is how much garbage may gather before it is collected, however
// little else there is; less where the memory is small. By itself Go collects
// when the heap has doubled, and a gateway that keeps 20 MB would spend a fifth
// of its time on looking at the same 20 MB again.
const allowance = 128 << 20

// collector sets, after every collection, when the next one is due.
type collector struct {
	allowance uint64

	mu      sync.Mutex
	percent int // that is set
	before  int // that was set
	stopped bool
}

// mark is garbage from the start. To find it is to be told of a collection.
type mark struct{ of *collector }

// collectSeldom has garbage collected less often until it is taken back. What
// the environment says about it is obeyed.
func collectSeldom() (back func() error) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() error { return nil }
	}
	limit, _ := os.ReadFile("/sys/fs/cgroup/memory.max") // there may be none
	c := &collector{allowance: allowanceWithin(limit)}
	// What a start reads it keeps; looking through it again and again is a
	// third of the work with 100,000 registrations.
	c.percent = 400
	c.before = debug.SetGCPercent(c.percent)
	runtime.SetFinalizer(&mark{c}, (*mark).found)
	return c.stop
}

// allowanceWithin is the allowance in a container with that limit.
func allowanceWithin(limit []byte) uint64 {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(limit)), 10, 64)
	if err != nil {
		return allowance // "max", or not such a system
	}
	return min(allowance, n/16)
}

func (m *mark) found() {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if m.of.due(s[0].Value.Uint64()) {
		runtime.SetFinalizer(m, (*mark).found)
	}
}

// due sets how far the heap may grow beyond what is live. It reports whether
// it wants to be told again.
func (c *collector) due(live uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	percent := c.percentAt(live)
	if d := percent - c.percent; d > percent/8 || -d > percent/8 { // setting it stops the world for a moment
		c.percent = percent
		debug.SetGCPercent(percent)
	}
	return true
}

// percentAt is the growth that makes the allowance, and at least what is usual.
func (c *collector) percentAt(live uint64) int {
	const usual, most = 100, 10_000
	return int(min(max(c.allowance*100/max(live, 1), usual), most))
}

func (c *collector) stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	debug.SetGCPercent(c.before)
	return nil
}
