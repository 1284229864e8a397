package mqtt

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

const (
	pingTime  = 30 * time.Second // between WebSocket pings
	byeTime   = time.Second      // for a client to take our DISCONNECT
	shortLife = 10 * time.Second // a session that breaks earlier counts as flapping
)

// session is one logged-in client of a service.
type session struct {
	kind       *Kind
	cl         *broker.Client
	sock       *socket
	system     string // id
	name       string // of the service, for texts
	credential string
	client     string // client id
	from       source
	monitor    string
	respond    string
	began      time.Time

	identifier atomic.Int64 // of the subscription (version 5), or 0
	queue      chan delivery
	queued     atomic.Int64 // bytes in queue
	once       sync.Once
	greeted    chan struct{} // closed when the client knows that it is in
	done       chan struct{} // closed when the session has ended
	ours       atomic.Bool   // we ended it
	warned     atomic.Bool   // its first offence is in the log
	writing    sync.WaitGroup
}

// delivery is a request on its way to a session.
type delivery struct {
	waiter *waiter
	buf    *buffer
}

// buffer holds an encoded request, and what encoding it needs.
type buffer struct {
	enc  wire.Encoder
	data []byte
}

// keptBuffer is the size up to which a buffer is used again.
const keptBuffer = 1 << 20

func (k *Kind) release(b *buffer) {
	if cap(b.data) <= keptBuffer {
		k.buffers.Put(b)
	}
}

func newSession(k *Kind, cl *broker.Client, sock *socket, a admission, from source) *session {
	s := &session{
		kind:       k,
		cl:         cl,
		sock:       sock,
		system:     a.system.ID,
		name:       a.system.Name,
		credential: a.credential,
		client:     cl.ID,
		from:       from,
		began:      time.Now(),
		queue:      make(chan delivery, k.opts.QueueLength),
		greeted:    make(chan struct{}),
		done:       make(chan struct{}),
	}
	s.monitor, s.respond = Topics(a.system)
	return s
}

func (s *session) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// warn logs the first offence of a session. The others are only counted: a
// client cannot fill the log.
func (s *session) warn(text string, args ...any) {
	if s.warned.CompareAndSwap(false, true) {
		s.kind.log.Warn(text, append(args, "user", s.from.user, "client", s.client, "remote", s.sock.remote)...)
	}
}

// start begins to write what is queued.
func (s *session) start() {
	s.kind.log.Info("mqtt: service connected", "user", s.from.user, "client", s.client, "remote", s.sock.remote)
	s.writing.Go(s.write)
}

// enqueue takes a request if there is room for it. It never waits.
func (s *session) enqueue(d delivery) bool {
	if s.closed() {
		return false
	}
	size := int64(len(d.buf.data))
	if total := s.queued.Add(size); total > s.kind.opts.QueueBytes && total != size {
		s.queued.Add(-size)
		return false
	}
	select {
	case s.queue <- d:
		return true
	default:
		s.queued.Add(-size)
		return false
	}
}

// write sends what is queued until the session ends.
func (s *session) write() {
	tick := time.NewTicker(pingTime)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case d := <-s.queue:
			s.drain(d)
		case <-tick.C:
			if s.sock.ping() != nil {
				s.sock.abort()
			}
		}
	}
}

// drain sends a request and those that wait behind it, in as few messages as
// they fit into.
func (s *session) drain(d delivery) {
	for {
		s.queued.Add(-int64(len(d.buf.data)))
		s.sock.more.Store(len(s.queue) > 0)
		s.send(d)
		select {
		case d = <-s.queue:
			continue
		default:
		}
		break
	}
	s.sock.more.Store(false)
	s.cl.Lock() // that of the broker on writing
	err := s.sock.flush()
	s.cl.Unlock()
	if err != nil {
		s.sock.abort()
	}
}

// send writes one request, unless its caller has given up.
func (s *session) send(d delivery) {
	defer s.kind.release(d.buf)
	if !s.kind.waiters.waits(d.waiter) {
		return
	}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish},
		TopicName:   s.monitor,
		Payload:     d.buf.data,
	}
	if id := s.identifier.Load(); id > 0 {
		pk.Properties.SubscriptionIdentifier = []int{int(id)}
	}
	s.kind.stats.requests.Add(1)
	err := s.cl.WritePacket(pk)
	switch {
	case errors.Is(err, packets.ErrPacketTooLarge):
		s.kind.waiters.fail(d.waiter, core.Errorf(core.TooLarge,
			"the request is larger than external service '%s' takes", s.name))
	case err != nil:
		s.sock.abort() // the broker notices, and the session ends
	}
}

// close takes the session out of service: no request goes to it, no reply of
// it counts, and the calls that wait for it fail. The connection stays.
func (s *session) close() bool {
	first := false
	s.once.Do(func() {
		first = true
		close(s.done)
		s.kind.remove(s)
		lost := s.kind.waiters.failSession(s, core.Errorf(core.Unavailable,
			"external service '%s' disconnected before it answered", s.name))
		s.kind.stats.lost.Add(uint64(lost))
	})
	return first
}

// end closes the session and tells the client why, without waiting for it.
func (s *session) end(code packets.Code) {
	s.ours.Store(code != packets.ErrSessionTakenOver)
	if !s.close() {
		return
	}
	k := s.kind
	k.log.Info("mqtt: service disconnected by the gateway", "user", s.from.user, "client", s.client, "reason", code.Reason)
	hurry := time.AfterFunc(byeTime, s.sock.abort)
	k.running.Go(func() {
		defer hurry.Stop()
		select {
		case <-s.greeted:
		case <-time.After(byeTime): // the connection went meanwhile
		}
		if s.cl.Properties.ProtocolVersion < 5 { // version 3 servers say nothing
			s.cl.Stop(code)
			return
		}
		_ = k.broker.DisconnectClient(s.cl, code) // it gives back the code
	})
}

// finish cleans up after the connection of s has ended, for whatever reason.
func (k *Kind) finish(s *session) {
	if s.close() {
		k.log.Info("mqtt: service disconnected", "user", s.from.user, "client", s.client)
	}
	orderly := errors.Is(s.cl.StopCause(), packets.CodeDisconnect) || s.ours.Load()
	if !orderly && time.Since(s.began) < shortLife {
		k.bans.strike(s.from)
	}
	s.writing.Wait()
	// After a panic the broker has not cleaned up by itself.
	k.broker.UnsubscribeClient(s.cl)
	k.broker.Clients.Delete(s.cl.ID)
}

// remove takes s out of the tables.
func (k *Kind) remove(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sessions[s.client] == s {
		delete(k.sessions, s.client)
	}
	k.withoutLocked(s)
}

// subscribe lets requests go to s.
func (k *Kind) subscribe(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sessions[s.client] != s || slices.Contains(k.subscribers[s.system], s) {
		return
	}
	k.subscribers[s.system] = append(slices.Clip(k.subscribers[s.system]), s)
}

func (k *Kind) unsubscribe(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.withoutLocked(s)
}

// withoutLocked replaces the list that holds s. Readers keep the old one.
func (k *Kind) withoutLocked(s *session) {
	list := k.subscribers[s.system]
	i := slices.Index(list, s)
	switch {
	case i < 0:
	case len(list) == 1:
		delete(k.subscribers, s.system)
	default:
		k.subscribers[s.system] = slices.Concat(list[:i], list[i+1:])
	}
}

// ready returns the sessions that take requests for a system.
func (k *Kind) ready(system string) []*session {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.subscribers[system]
}
