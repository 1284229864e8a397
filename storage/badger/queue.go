package badger

import (
	"slices"
	"sync"

	"github.com/annex-gateway/annex/storage"
)

// The limits of one group. They keep it well inside what Badger takes in one
// transaction; a commit over them goes alone.
const (
	groupCommits    = 1024
	groupEntries    = 8192
	groupTableBytes = 1 << 20
	groupLogBytes   = 4 << 20
)

// request is a commit on its way to the writer. Until done is closed the writer
// alone sets its outcome.
type request struct {
	commit storage.Commit
	values [][]byte // of the writes, with room for the revision; nil deletes
	cost   cost
	taken  bool // guarded by queue.mu

	revision storage.Revision
	err      error
	done     chan struct{}
}

// cost is what a commit takes up in the database.
type cost struct {
	entries    int64
	tableBytes int64
	logBytes   int64
}

func (c *cost) add(d cost) {
	c.entries += d.entries
	c.tableBytes += d.tableBytes
	c.logBytes += d.logBytes
}

func (c cost) exceedsGroup() bool {
	return c.entries > groupEntries || c.tableBytes > groupTableBytes || c.logBytes > groupLogBytes
}

// queue holds the commits that wait for the writer. Everyone in it has a caller
// that waits, so it needs no limit of its own.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	closed  bool
	wake    chan struct{} // holds a token when there is something to do
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return storage.ErrClosed
	}
	q.waiting = append(q.waiting, r)
	q.signal()
	return nil
}

// withdraw takes r back unless the writer has it already.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.taken {
		return false
	}
	r.taken = true
	q.waiting = slices.DeleteFunc(q.waiting, func(o *request) bool { return o == r })
	return true
}

// take waits for commits and returns those that go together, oldest first;
// none when the queue is closed.
func (q *queue) take() []*request {
	for {
		if group, closed := q.tryTake(); closed || len(group) > 0 {
			return group
		}
		<-q.wake
	}
}

func (q *queue) tryTake() (group []*request, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var sum cost
	n := 0
	for n < len(q.waiting) && n < groupCommits {
		sum.add(q.waiting[n].cost)
		if n > 0 && sum.exceedsGroup() {
			break
		}
		q.waiting[n].taken = true
		n++
	}
	group = q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	return group, q.closed
}

// close refuses new commits and gives ErrClosed to those that wait.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, r := range q.waiting {
		r.taken = true
		r.err = storage.ErrClosed
		close(r.done)
	}
	q.waiting = nil
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
