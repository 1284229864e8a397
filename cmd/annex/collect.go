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
	least   int // percent
	percent int // that is set
	before  int // that was set
	stopped bool
}

// mark is garbage from the start. To find it is to be told of a collection.
type mark struct{ of *collector }

// While it starts, a gateway keeps what it reads; looking through it again and
// again is a third of the work with 100,000 registrations.
const (
	leastAtStart = 400
	least        = 100 // as usual
)

// collectSeldom has garbage collected less often until it is stopped. What the
// environment says about it is obeyed.
func collectSeldom() *collector {
	c := &collector{least: leastAtStart, percent: leastAtStart}
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		c.stopped = true
		return c
	}
	limit, _ := os.ReadFile("/sys/fs/cgroup/memory.max") // there may be none
	c.allowance = allowanceWithin(limit)
	c.before = debug.SetGCPercent(c.percent)
	runtime.SetFinalizer(&mark{c}, (*mark).found)
	return c
}

// started ends what holds for the start.
func (c *collector) started() {
	c.mu.Lock()
	c.least = least
	c.mu.Unlock()
	c.due(live())
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
	if m.of.due(live()) {
		runtime.SetFinalizer(m, (*mark).found)
	}
}

// live is what the last collection left.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
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

// percentAt is the growth that makes the allowance, and at least the least.
func (c *collector) percentAt(live uint64) int {
	const smallest = 4 << 20 // Go takes a heap to be no smaller
	return max(int(c.allowance*100/max(live, smallest)), c.least)
}

func (c *collector) stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.stopped = true
		debug.SetGCPercent(c.before)
	}
	return nil
}
