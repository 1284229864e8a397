package mqtt

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
)

// waiters is the table of calls that wait for a reply. A reply is handed to
// the call with its id if it comes from that call's service, and once only.
type waiters struct {
	mu   sync.Mutex
	byID map[string]*waiter
}

// waiter is one call's place in the table.
type waiter struct {
	id      string
	session *session     // where the request went; it knows the service
	done    chan outcome // takes exactly one
}

// outcome is the reply as it came, or why there will be none.
type outcome struct {
	reply []byte
	err   error
}

func newWaiters() *waiters { return &waiters{byID: map[string]*waiter{}} }

func (t *waiters) add(id string, s *session) *waiter {
	w := &waiter{id: id, session: s, done: make(chan outcome, 1)}
	t.mu.Lock()
	t.byID[id] = w
	t.mu.Unlock()
	return w
}

// remove takes w out, and reports whether it was still there.
func (t *waiters) remove(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[w.id] != w {
		return false
	}
	delete(t.byID, w.id)
	return true
}

func (t *waiters) waits(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[w.id] == w
}

// fail ends the wait of w, if it still waits.
func (t *waiters) fail(w *waiter, err error) {
	if t.remove(w) {
		w.done <- outcome{err: err}
	}
}

// failSession ends the wait of every call that went to s, and reports how
// many those were.
func (t *waiters) failSession(s *session, err error) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for id, w := range t.byID {
		if w.session == s {
			delete(t.byID, id)
			w.done <- outcome{err: err}
			n++
		}
	}
	return n
}

// verdict is what became of a reply.
type verdict int

const (
	delivered verdict = iota
	unknown           // nobody waits for it
	foreign           // somebody waits for it, from another service
)

// deliver hands a reply that came from system to the call that waits for it.
func (t *waiters) deliver(system, id string, reply []byte) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.byID[id]
	switch {
	case !ok:
		return unknown
	case w.session.system != system:
		return foreign
	}
	delete(t.byID, id)
	w.done <- outcome{reply: reply}
	return delivered
}

func (t *waiters) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

// newID makes an id that nobody can guess, in the form of a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program first
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
