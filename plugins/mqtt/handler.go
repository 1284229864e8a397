package mqtt

import (
	"context"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/gorilla/websocket"
)

// listenerID names us in the broker's books.
const listenerID = "annex"

// serve takes one WebSocket and lives as long as it does.
func (k *Kind) serve(w http.ResponseWriter, r *http.Request) {
	if !k.enter() {
		k.stats.shed.Add(1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the message broker takes no more connections", http.StatusServiceUnavailable)
		return
	}
	defer k.leave()
	up := websocket.Upgrader{
		HandshakeTimeout: k.opts.ConnectTimeout,
		Subprotocols:     []string{"mqtt", "mqttv3.1"},
		WriteBufferPool:  &k.frames,
		WriteBufferSize:  16 << 10,
		// Any origin will do: there is no cookie to borrow, the client logs
		// in inside MQTT.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	sock := &socket{ws: ws, writeTimeout: k.opts.WriteTimeout, guard: packetGuard{limit: strangerPacket}}
	sock.remote = remote(r)
	ws.SetPongHandler(sock.pong)
	_ = ws.SetReadDeadline(time.Now().Add(k.opts.ConnectTimeout)) // fails later if at all
	if !k.track(sock) {
		sock.abort()
		return
	}
	defer k.untrack(sock)
	k.establish(r.Context(), sock)
}

// remote is the client's address, with or without a port; the zero value is
// an address like any other.
func remote(r *http.Request) netip.AddrPort {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		addr, _ := netip.ParseAddr(r.RemoteAddr)
		return netip.AddrPortFrom(addr, 0)
	}
	return at
}

// enter counts a connection in, unless the broker is closed or full.
func (k *Kind) enter() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.connections >= k.opts.MaxConnections {
		return false
	}
	k.connections++
	k.running.Add(1)
	return true
}

func (k *Kind) leave() {
	k.mu.Lock()
	k.connections--
	k.mu.Unlock()
	k.running.Done()
}

// track notes a connection that has yet to log in. The oldest of too many
// such connections has to go: who means it logs in at once.
func (k *Kind) track(sock *socket) bool {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return false
	}
	k.sockets[sock] = struct{}{}
	oldest := k.pending.add(sock, k.opts.MaxPending)
	k.mu.Unlock()
	if oldest != nil {
		k.stats.shed.Add(1)
		oldest.abort()
	}
	return true
}

func (k *Kind) untrack(sock *socket) {
	k.mu.Lock()
	delete(k.sockets, sock)
	k.pending.remove(sock)
	k.mu.Unlock()
}

// establish lets the broker speak with the client until one of them ends it.
// A packet that makes the broker panic costs its sender the connection and
// nobody else anything.
func (k *Kind) establish(ctx context.Context, sock *socket) {
	sock.admit = func(user, secret string) (admission, error) { return k.admission(ctx, user, secret) }
	defer func() {
		_ = sock.Close()
		if s := sock.session.Load(); s != nil {
			k.finish(s)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			k.stats.panics.Add(1)
			k.log.WarnContext(ctx, "mqtt: a packet made the broker panic; its sender is disconnected",
				"remote", sock.remote, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if err := k.broker.EstablishConnection(listenerID, sock); err != nil {
		k.log.DebugContext(ctx, "mqtt: connection ended", "remote", sock.remote, "cause", err)
	}
}
