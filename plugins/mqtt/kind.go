package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/core"
)

// Path is where the broker is mounted in the gateway's listener.
const Path = "/messaging/mqtt"

// Options are the settings of the kind. The zero value works.
type Options struct {
	Timeout        time.Duration // for a reply; default 10 s
	BodyLimit      int64         // of a forwarded body in bytes; default 10 MiB
	MaxInFlight    int           // calls of one service at once; default 1,024
	SendRights     bool          // tell services the names of the caller's rights
	MaxConnections int           // default 8,192
	MaxPending     int           // connections that have not logged in yet; default 1,024
	ConnectTimeout time.Duration // from the WebSocket handshake to the login; default 10 s
	WriteTimeout   time.Duration // for a client that does not read; default 10 s
	QueueLength    int           // messages that wait for one session; default 1,024
	QueueBytes     int64         // their size together; default 64 MiB
	FlapLimit      int           // failed logins and broken short sessions in a minute before a ban; default 15, negative: never
	BanTime        time.Duration // default 5 min
}

func (o Options) withDefaults() Options {
	set(&o.Timeout, 10*time.Second)
	set(&o.BodyLimit, 10<<20)
	set(&o.MaxInFlight, 1024)
	set(&o.MaxConnections, 8192)
	set(&o.MaxPending, 1024)
	set(&o.ConnectTimeout, 10*time.Second)
	set(&o.WriteTimeout, 10*time.Second)
	set(&o.QueueLength, 1024)
	set(&o.QueueBytes, 64<<20)
	set(&o.FlapLimit, 15)
	set(&o.BanTime, 5*time.Minute)
	return o
}

func set[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Kind is the MQTT way of reaching services, and the broker. It runs from New
// until Close.
type Kind struct {
	host    core.Host
	minter  core.TokenMinter // nil: the host has none
	opts    Options
	log     *slog.Logger
	broker  *broker.Server
	waiters *waiters
	bans    *bans
	buffers sync.Pool // of *buffer
	frames  sync.Pool // of WebSocket write buffers
	stats   counters

	running sync.WaitGroup // connections and what ends them
	revokes atomic.Uint64  // how often Revoke ran

	mu          sync.RWMutex
	closed      bool
	connections int
	sockets     map[*socket]struct{}
	pending     pendingList
	sessions    map[string]*session   // by client id
	subscribers map[string][]*session // by system id; the slices never change
}

var (
	_ core.Kind    = (*Kind)(nil)
	_ core.Mounter = (*Kind)(nil)
	_ core.Revoker = (*Kind)(nil)
	_ core.Prober  = (*Kind)(nil)
)

// New starts a broker. Close ends it.
func New(host core.Host, opts Options) *Kind {
	opts = opts.withDefaults()
	k := &Kind{
		host:        host,
		opts:        opts,
		log:         host.Log(),
		waiters:     newWaiters(),
		bans:        newBans(opts.FlapLimit, opts.BanTime, time.Now),
		sockets:     map[*socket]struct{}{},
		sessions:    map[string]*session{},
		subscribers: map[string][]*session{},
	}
	k.minter, _ = host.(core.TokenMinter)
	k.buffers.New = func() any { return &buffer{} }
	k.broker = newBroker(&hook{kind: k})
	return k
}

// newBroker starts a broker that has no listener: connections are handed to
// it one by one.
func newBroker(h *hook) *broker.Server {
	caps := broker.NewDefaultServerCapabilities()
	caps.MaximumSessionExpiryInterval = 0
	caps.MaximumClientWritesPending = 1 // our own queues are used instead
	caps.ReceiveMaximum = 4096          // a version 3 client is not told, and must not run into it
	caps.TopicAliasMaximum = 0          // the broker checks access before it resolves an alias
	caps.RetainAvailable = 0
	caps.WildcardSubAvailable = 0
	caps.SharedSubAvailable = 0
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	b := broker.New(&broker.Options{
		Capabilities: caps,
		// Its log would hold whole packets, tokens included.
		Logger: slog.New(slog.DiscardHandler),
		// A tick stops the world to read memory statistics: practically never.
		SysTopicResendInterval: 1 << 30,
	})
	err := b.AddHook(h, nil)
	if err == nil {
		err = b.Serve()
	}
	if err != nil {
		panic("mqtt: a broker without listeners and stores must start: " + err.Error())
	}
	return b
}

// Name returns the word in System.Kind.
func (k *Kind) Name() string { return core.KindMQTT }

// Stages returns where services on MQTT may stand.
func (k *Kind) Stages() []core.Stage { return []core.Stage{core.OnDispatch, core.OnResponse} }

// Check reports whether the triplet of sys forms a topic.
func (k *Kind) Check(_ context.Context, sys core.System) error {
	if sys.Kind != core.KindMQTT {
		return core.Errorf(core.Invalid, "kind %q: this is the kind %q", sys.Kind, core.KindMQTT)
	}
	if _, err := core.DecodeSettings[core.MQTTSettings](sys); err != nil {
		return err
	}
	for _, word := range []string{sys.Vendor, sys.Name, sys.Version} {
		if word == "" || len(word) > maxWord || strings.ContainsAny(word, "/+#$\x00") {
			return core.Errorf(core.Invalid, "%q cannot be part of a topic: 1 to %d characters without / + # $ are needed", word, maxWord)
		}
	}
	return nil
}

// Open makes a Conn for sys. Whether the service is connected shows when it
// is called.
func (k *Kind) Open(_ context.Context, sys core.System) (core.Conn, error) {
	if err := k.Ready(); err != nil {
		return nil, err
	}
	return newConn(k, sys), nil
}

// Mount returns the path of the broker and its handler.
func (k *Kind) Mount() (path string, h http.Handler) { return Path, http.HandlerFunc(k.serve) }

// Ready reports whether the broker runs.
func (k *Kind) Ready() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return core.Errorf(core.Unavailable, "the message broker is stopping")
	}
	return nil
}

// Revoke ends the sessions of systemID but those whose credential keep still
// accepts. Calls that wait for them fail at once.
func (k *Kind) Revoke(systemID string, keep func(credentialID string) bool) {
	k.revokes.Add(1) // a login under way looks again
	k.mu.RLock()
	var gone []*session
	for _, s := range k.sessions {
		if s.system == systemID && (keep == nil || !keep(s.credential)) {
			gone = append(gone, s)
		}
	}
	k.mu.RUnlock()
	for _, s := range gone {
		s.end(packets.ErrNotAuthorized)
	}
}

// stopTime is how long Close waits for connections to end. Everything a
// connection may wait for is shorter.
const stopTime = admitTime + 10*time.Second

// Close tells all clients that the server is shutting down and ends the
// broker. Calls in flight fail; close the Conns first to let them end.
func (k *Kind) Close() error {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return nil
	}
	k.closed = true
	var open []*session
	for _, s := range k.sessions {
		open = append(open, s)
	}
	var rest []*socket
	for sock := range k.sockets {
		if sock.session.Load() == nil {
			rest = append(rest, sock)
		}
	}
	k.mu.Unlock()

	for _, s := range open {
		s.end(packets.ErrServerShuttingDown)
	}
	for _, sock := range rest {
		sock.abort()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.running.Wait()
		_ = k.broker.Close() // it has no listener that could fail
	}()
	select {
	case <-done:
		return nil
	case <-time.After(stopTime):
		return errors.New("mqtt: some connections did not end in time")
	}
}

// Topics returns the topic that the service sys listens to and the one that
// it answers on.
func Topics(sys core.System) (monitor, respond string) {
	prefix := "topic/extension/" + sys.Triplet()
	return prefix + "/ext", prefix + "/vcd"
}
