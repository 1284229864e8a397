package mqtt

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// connack gives the code with which a CONNECT is answered; 0xff when the
// broker closes the connection without a word.
func (c *raw) connack(version byte, edit func(*packets.Packet)) byte {
	c.t.Helper()
	c.send(connectPacket(version, edit)...)
	p := c.packet()
	if p == nil {
		return 0xff
	}
	if len(p) < 4 || p[0] != packets.Connack<<4 {
		c.t.Fatalf("no CONNACK: % x, %v", p, c.gone)
	}
	return p[3]
}

func TestLoginsAreRefusedWithTheRightCode(t *testing.T) {
	r := newPlainRig(t, Options{})
	sys := r.system("clock")
	other := r.system("wasm")
	other.Kind = core.KindWASM
	r.host.systems[other.Triplet()] = other
	tests := []struct {
		name   string
		edit   func(*packets.Packet)
		v3, v5 byte
	}{
		{"a wrong token", func(pk *packets.Packet) { pk.Connect.Password = []byte("x") }, 5, 0x86},
		{"no token", func(pk *packets.Packet) { pk.Connect.Password, pk.Connect.PasswordFlag = nil, false }, 5, 0x86},
		{"no user", func(pk *packets.Packet) {
			pk.Connect.Username, pk.Connect.UsernameFlag, pk.Connect.Password, pk.Connect.PasswordFlag = nil, false, nil, false
		}, 5, 0x86},
		{"an unknown service", func(pk *packets.Packet) { pk.Connect.Username = []byte("acme/none/1.0.0") }, 5, 0x86},
		{"a notification user", func(pk *packets.Packet) { pk.Connect.Username = []byte("alice@org") }, 5, 0x86},
		{"a triplet with a user sign", func(pk *packets.Packet) { pk.Connect.Username = []byte("a/b/c@d") }, 5, 0x86},
		{"a system of another kind", func(pk *packets.Packet) { pk.Connect.Username = []byte(other.Triplet()) }, 5, 0x86},
		{"a Will", func(pk *packets.Packet) {
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "topic/extension/acme/clock/1.0.0/vcd", []byte("x")
		}, 5, 0x87},
		{"the host is down", func(pk *packets.Packet) { pk.Connect.ClientIdentifier = "down" }, 3, 0x88},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Contains(tt.name, "down") {
				r.host.mu.Lock()
				r.host.admit = func(string) error { return core.Errorf(core.Unavailable, "down") }
				r.host.mu.Unlock()
			}
			for version, want := range map[byte]byte{3: tt.v3, 4: tt.v3, 5: tt.v5} {
				c := r.dial(t)
				got := c.connack(version, func(pk *packets.Packet) {
					pk.Connect.Username, pk.Connect.ClientIdentifier = []byte(sys.Triplet()), "id"
					tt.edit(pk)
				})
				if got != want {
					t.Errorf("level %d: code %#x, want %#x", version, got, want)
				}
				if err := c.ended(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if s := r.Stats(); s.Admitted != 0 || s.Refused != uint64(3*len(tests)) || s.Sessions != 0 {
		t.Errorf("%+v", s)
	}
	r.host.admit = nil
	c := r.dial(t)
	if got := c.connack(5, func(pk *packets.Packet) {
		pk.Connect.Username, pk.Properties.AuthenticationMethod = []byte(sys.Triplet()), "SCRAM"
	}); got != 0x8c {
		t.Errorf("another authentication method: %#x", got)
	}
}

// T5: every extension against every topic, by every means.
func TestAnExtensionReachesItsOwnTwoTopicsOnly(t *testing.T) {
	r := newPlainRig(t, Options{Timeout: time.Hour})
	const n = 3
	var systems [n]core.System
	var watching [n]atomic.Int64
	for i := range systems {
		systems[i] = r.system(fmt.Sprintf("ext%d", i))
		r.service(t, systems[i], "", 0, func(wire.Request) *wire.Response { watching[i].Add(1); return nil })
	}
	strange := []string{
		"#", "+", "topic/#", "topic/extension/#", "topic/extension/+/+/+/ext", "topic/extension/acme/ext0/1.0.0/#", "topic/extension/acme/ext0/1.0.0/+",
		"$SYS/#", "$SYS/broker/version", "$share/g/#", "", "/", "topic/extension/acme/ext0/1.0.0/ext/", "TOPIC/extension/acme/ext0/1.0.0/ext", "x",
	}
	var topics []string
	for _, sys := range systems {
		monitor, respond := Topics(sys)
		topics = append(topics, monitor, respond, "$share/g/"+monitor, "$SHARE/g/"+monitor, "$share/g/"+respond, monitor+"\x00")
	}
	for i, sys := range systems {
		own, answerTo := Topics(sys)
		switch i {
		case 0:
			topics = append(topics, strange...)
		case 1:
			topics = topics[:len(topics)-len(strange)]
		}
		for _, version := range []byte{4, 5} {
			for _, topic := range topics {
				name := fmt.Sprintf("extension %d at level %d and topic %q", i, version, topic)
				c := r.dial(t)
				c.login(version, sys.Triplet(), "")
				pk := packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: version, PacketID: 1,
					Filters: packets.Subscriptions{{Filter: topic, Qos: 1}},
				}
				c.send(encode(pk.SubscribeEncode)...)
				ack := c.packet() // the connection may also be closed
				if granted := ack != nil && ack[len(ack)-1] < 0x80; granted != (topic == own) {
					t.Errorf("%s: subscribed: %v", name, granted)
				}
				_ = c.ws.Close()
				r.tryToPublish(t, name, sys, version, topic, topic == answerTo)
			}
		}
	}
	eventually(t, "only the services are left", func() bool { return r.Stats().Sessions == n })
	for i := range watching {
		if watching[i].Load() != 0 {
			t.Errorf("extension %d received something", i)
		}
	}
	if kept := r.broker.Topics.Messages("topic/#"); len(kept) != 0 {
		t.Errorf("%d messages are retained", len(kept))
	}
}

// tryToPublish publishes at every QoS, retained and as a Will. A publish has
// arrived when it was counted as a stray reply.
func (r *rig) tryToPublish(t *testing.T, name string, sys core.System, version byte, topic string, allowed bool) {
	t.Helper()
	for qos := range byte(3) {
		for _, retain := range []bool{false, true} {
			before := r.Stats().Late
			c := r.dial(t)
			c.login(version, sys.Triplet(), "")
			c.publish(version, topic, []byte(`{"headers":{"requestId":"none"}}`), func(pk *packets.Packet) {
				pk.FixedHeader.Qos, pk.FixedHeader.Retain = qos, retain
				if qos > 0 {
					pk.PacketID = 9
				}
			})
			c.send(packets.Disconnect<<4, 0)
			if err := c.ended(); err != nil {
				t.Fatal(err)
			}
			if arrived := r.Stats().Late != before; arrived != (allowed && !retain) {
				t.Errorf("%s: QoS %d, retained %v: arrived %v", name, qos, retain, arrived)
			}
		}
	}
	c := r.dial(t)
	if code := c.connack(version, func(pk *packets.Packet) {
		pk.Connect.Username, pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = []byte(sys.Triplet()), true, topic, []byte("x")
	}); code == 0 {
		t.Errorf("%s: a Will was taken", name)
	}
	_ = c.ws.Close()
}

// T6: ten thousand replies by a service that was not asked.
func TestForgedRepliesAreNotAccepted(t *testing.T) {
	r := newRig(t, Options{Timeout: time.Hour})
	victim, attacker := r.system("victim"), r.system("attacker")
	conn := r.open(t, victim)
	asked := make(chan wire.Request, 1)
	good := r.service(t, victim, "", 1, func(req wire.Request) *wire.Response { asked <- req; return nil })
	bad := r.service(t, attacker, "", 0, func(wire.Request) *wire.Response { return nil })
	type result struct {
		m   core.Message
		err error
	}
	done := make(chan result, 1)
	go func() {
		m, err := conn.Do(context.Background(), message("/a", nil))
		done <- result{m, err}
	}()
	req := <-asked
	_, badTopic := Topics(attacker)
	forged := wire.AppendResponse(nil, &wire.Response{ID: req.ID, Message: wire.Message{Status: 200, Body: []byte("forged")}})
	const n = 10_000
	for i := range n {
		payload := forged
		if i%2 == 1 {
			payload = wire.AppendResponse(nil, &wire.Response{ID: newID(), Message: wire.Message{Status: 200}})
		}
		bad.Publish(badTopic, 0, false, payload)
	}
	eventually(t, "all forged replies are counted", func() bool { s := r.Stats(); return s.Forged == n/2 && s.Late == n/2 })
	_, topic := Topics(victim)
	good.Publish(topic, 1, false, wire.AppendResponse(nil, &wire.Response{ID: req.ID, Message: wire.Message{Status: 200, Body: []byte("true")}}))
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	if body, _ := got.m.Response.Body.Bytes(100); string(body) != "true" {
		t.Errorf("the reply is %q", body)
	}
}

// T7: a Will never reaches anybody, not even the one who may write there.
func TestAWillIsNeverPublished(t *testing.T) {
	r := newRig(t, Options{})
	victim, attacker := r.system("victim"), r.system("attacker")
	var got atomic.Int64
	r.service(t, victim, "", 2, func(wire.Request) *wire.Response { got.Add(1); return nil })
	monitor, _ := Topics(victim)
	for _, version := range []byte{3, 4, 5} {
		c := r.dial(t)
		if code := c.connack(version, func(pk *packets.Packet) {
			pk.Connect.Username, pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = []byte(attacker.Triplet()), true, monitor, []byte("x")
		}); code == 0 {
			t.Error("a Will was taken")
		}
		_ = c.ws.NetConn().Close()
	}
	eventually(t, "the attackers are gone", func() bool { return r.Stats().Connections == 1 })
	if got.Load() != 0 {
		t.Error("a Will arrived")
	}
}

// T8: a client id belongs to the user that holds it.
func TestAClientIDCannotBeStolen(t *testing.T) {
	r := newRig(t, Options{})
	owner, thief := r.system("owner"), r.system("thief")
	conn := r.open(t, owner)
	first := r.service(t, owner, "cseMQTT", 2, echo)
	for _, version := range []byte{4, 5} {
		c := r.dial(t)
		want := map[byte]byte{4: 2, 5: 0x85}[version]
		if code := c.connack(version, func(pk *packets.Packet) {
			pk.Connect.Username, pk.Connect.ClientIdentifier, pk.Connect.Clean = []byte(thief.Triplet()), "cseMQTT", false
		}); code != want {
			t.Errorf("level %d: code %#x, want %#x", version, code, want)
		}
	}
	if _, err := conn.Do(t.Context(), message("/a", nil)); err != nil || !first.IsConnectionOpen() {
		t.Errorf("the owner is disturbed: %v", err)
	}
	// The same user takes it over, and nothing is left of the first session.
	c := r.dial(t)
	ack := c.login(4, owner.Triplet(), "cseMQTT")
	if ack[2] != 0 {
		t.Error("a stored session was found")
	}
	eventually(t, "the first client is disconnected", func() bool { return !first.IsConnectionOpen() })
	if _, err := conn.Do(t.Context(), message("/a", nil)); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("the new session has subscribed to nothing, and yet: %v", err)
	}
	monitor, _ := Topics(owner)
	c.subscribe(4, monitor, 1)
	if s := r.Stats(); s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
}

func TestNoSessionOutlivesItsConnection(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	monitor, _ := Topics(sys)
	for range 2 {
		for _, version := range []byte{4, 5} {
			c := r.dial(t)
			c.send(connectPacket(version, func(pk *packets.Packet) {
				pk.Connect.Username, pk.Connect.ClientIdentifier, pk.Connect.Clean = []byte(sys.Triplet()), "keep", false
				pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
			})...)
			ack := c.packet()
			if ack[3] != 0 || ack[2] != 0 {
				t.Fatalf("% x", ack)
			}
			if version == 5 && !strings.Contains(string(ack), string([]byte{packets.PropSessionExpiryInterval, 0, 0, 0, 0})) {
				t.Errorf("the client is not told that its session ends: % x", ack)
			}
			c.subscribe(version, monitor, 2)
			_ = c.ws.NetConn().Close()
			eventually(t, "everything is gone", func() bool {
				return r.Stats().Sessions == 0 && r.Stats().Connections == 0 && r.broker.Clients.Len() == 0
			})
		}
	}
}

// T9: the packet that makes the broker panic.
func TestAPacketThatMakesTheBrokerPanicEndsOneConnection(t *testing.T) {
	r := newPlainRig(t, Options{})
	sys := r.system("clock")
	conn := r.open(t, sys)
	r.service(t, sys, "good", 0, echo)
	for i := range 50 {
		c := r.dial(t)
		c.login(5, sys.Triplet(), fmt.Sprintf("bad%d", i))
		c.send(packets.Subscribe<<4|2, 6, 0, 1, 0, 0, 1, 'a')
		if err := c.ended(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one session is left", func() bool { s := r.Stats(); return s.Panics == 50 && s.Sessions == 1 && s.Connections == 1 })
	if n := r.broker.Clients.Len(); n != 1 {
		t.Errorf("the broker knows %d clients", n)
	}
	if _, err := conn.Do(t.Context(), message("/a", nil)); err != nil {
		t.Error(err)
	}
}

// T10: what a stranger may make the gateway hold.
func TestStrangersCannotMakeTheBrokerAllocate(t *testing.T) {
	r := newPlainRig(t, Options{MaxPending: 300, ConnectTimeout: time.Minute})
	sys := r.system("clock")
	for name, announced := range map[string][]byte{
		"256 MiB": {0xff, 0xff, 0xff, 0x7f}, "64 KiB and one": {0x81, 0x80, 0x04}, "a length of five bytes": {0xff, 0xff, 0xff, 0xff, 0x01},
	} {
		c := r.dial(t)
		c.send(append([]byte{packets.Connect << 4}, announced...)...)
		if err := c.ended(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	half := func() *raw {
		c := r.dial(t)
		c.send(packets.Connect<<4, 0x80, 0x80, 0x04, 0, 4) // the beginning of 64 KiB
		return c
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 300 {
		half()
	}
	eventually(t, "all are pending", func() bool {
		r.mu.RLock()
		defer r.mu.RUnlock()
		return r.pending.order.Len() == 300
	})
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	// One more stranger costs the oldest its place, and a client gets in.
	c := r.dial(t)
	c.login(5, sys.Triplet(), "")
	eventually(t, "one stranger is gone", func() bool { return r.Stats().Connections == 300 })
	if s := r.Stats(); s.Shed != 1 || s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAClientMaySendLargePacketsOnceItIsIn(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	conn := r.open(t, sys)
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * i)
	}
	r.service(t, sys, "", 1, echo)
	m, err := conn.Do(t.Context(), message("/a", big))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := m.Response.Body.Bytes(10 << 20); string(got) != string(big) {
		t.Error("the body changed on its way")
	}
	c := r.dial(t)
	c.login(5, sys.Triplet(), "")
	c.send(packets.Publish<<4, 0x81, 0x80, 0x80, 0x08) // 16 MiB and one
	if err := c.ended(); err != nil {
		t.Error(err)
	}
}

func TestWhoDoesNotLogInInTimeIsDisconnected(t *testing.T) {
	r := newRig(t, Options{ConnectTimeout: 50 * time.Millisecond})
	sys := r.system("clock")
	silent, slow := r.dial(t), r.dial(t)
	slow.send(packets.Connect << 4)
	in := r.dial(t)
	in.login(4, sys.Triplet(), "")
	for _, c := range []*raw{silent, slow} {
		if err := c.ended(); err != nil {
			t.Error(err)
		}
	}
	in.send(packets.Pingreq<<4, 0)
	if p := in.packet(); p == nil {
		t.Error("the time limit of logins ended a session")
	}
}

func TestTheNumberOfConnectionsIsLimited(t *testing.T) {
	r := newRig(t, Options{MaxConnections: 2})
	r.dial(t)
	r.dial(t)
	d := websocket.Dialer{TLSClientConfig: r.tls()}
	_, res, err := d.DialContext(t.Context(), r.url(), nil)
	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestTextFramesAndOtherFirstPacketsEndTheConnection(t *testing.T) {
	r := newRig(t, Options{})
	text := r.dial(t)
	_ = text.ws.WriteMessage(websocket.TextMessage, []byte("hello"))
	if err := text.ended(); err != nil {
		t.Error(err)
	}
	ping := r.dial(t)
	ping.send(packets.Pingreq<<4, 0)
	if err := ping.ended(); err != nil {
		t.Error(err)
	}
	res, err := r.srv.Client().Get(r.srv.URL + Path)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a plain GET gives %d", res.StatusCode)
	}
}

func TestTheSubprotocolIsConfirmed(t *testing.T) {
	r := newRig(t, Options{})
	for asked, want := range map[string]string{"mqtt": "mqtt", "mqttv3.1": "mqttv3.1", "mqttv3.1, mqtt": "mqtt", "": ""} {
		d := websocket.Dialer{TLSClientConfig: r.tls()}
		header := http.Header{"Origin": {"https://evil"}}
		if asked != "" {
			header.Set("Sec-WebSocket-Protocol", asked)
		}
		ws, res, err := d.DialContext(t.Context(), r.url(), header)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Sec-WebSocket-Protocol"); got != want {
			t.Errorf("asked for %q, got %q", asked, got)
		}
		_ = ws.Close()
	}
}

func TestRevokingACredentialEndsItsSessionsAtOnce(t *testing.T) {
	r := newRig(t, Options{Timeout: time.Hour})
	sys, other := r.system("clock"), r.system("other")
	conn := r.open(t, sys)
	monitor, _ := Topics(sys)
	in := func(s core.System, version byte, secret string) *raw {
		c := r.dial(t)
		if code := c.connack(version, func(pk *packets.Packet) {
			pk.Connect.Username, pk.Connect.Password = []byte(s.Triplet()), []byte(secret)
		}); code != 0 {
			t.Fatalf("not let in: %d", code)
		}
		return c
	}
	old4, old5, kept, untouched := in(sys, 4, "secret-old"), in(sys, 5, "secret-old"), in(sys, 4, "secret-new"), in(other, 4, "secret-old")
	old4.subscribe(4, monitor, 0)
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Do(context.Background(), message("/a", nil))
		failed <- err
	}()
	old4.packet()
	r.Revoke(sys.ID, func(credential string) bool { return credential == "credential-secret-new" })
	if err := <-failed; core.ErrorCode(err) != core.Unavailable {
		t.Errorf("the waiting call: %v", err)
	}
	if p := old5.packet(); p == nil || p[0] != packets.Disconnect<<4 || p[2] != packets.ErrNotAuthorized.Code {
		t.Errorf("version 5 was told % x", p)
	}
	for _, c := range []*raw{old4, old5} {
		if err := c.ended(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []*raw{kept, untouched} {
		c.send(packets.Pingreq<<4, 0)
		if c.packet() == nil {
			t.Error("another session ended too")
		}
	}
	r.Revoke(sys.ID, nil)
	if err := kept.ended(); err != nil {
		t.Error(err)
	}
}

func TestACredentialRevokedDuringTheLoginDoesNotGetIn(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	var calls atomic.Int64
	r.host.admit = func(string) error {
		if calls.Add(1) == 1 {
			r.Revoke(sys.ID, nil) // too early to see the session
			return nil
		}
		return core.Errorf(core.Unauthenticated, "revoked")
	}
	c := r.dial(t)
	if code := c.connack(4, func(pk *packets.Packet) { pk.Connect.Username = []byte(sys.Triplet()) }); code != 5 {
		t.Errorf("code %d", code)
	}
	eventually(t, "no session is left", func() bool { return r.Stats().Sessions == 0 })
}

func TestTheKeepaliveIsCapped(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	for _, asked := range []uint16{0, 60, 600} {
		c := r.dial(t)
		c.send(connectPacket(5, func(pk *packets.Packet) { pk.Connect.Username, pk.Connect.Keepalive = []byte(sys.Triplet()), asked })...)
		ack := c.packet()
		told := strings.Contains(string(ack), string([]byte{packets.PropServerKeepAlive, 0, 120}))
		if told != (asked != 60) {
			t.Errorf("asked for %d: % x", asked, ack)
		}
	}
	// A version 3 client cannot be told. Its WebSocket keeps it alive instead.
	c := r.dial(t)
	c.send(connectPacket(4, func(pk *packets.Packet) { pk.Connect.Username, pk.Connect.Keepalive = []byte(sys.Triplet()), 0 })...)
	c.packet()
	r.mu.RLock()
	defer r.mu.RUnlock()
	patient := 0
	for _, s := range r.sessions {
		if s.sock.patient.Load() {
			patient++
		}
	}
	if patient != 1 {
		t.Errorf("%d sessions live on pongs", patient)
	}
}

func TestFlappingLeadsToABanOfTheUserAtThatAddress(t *testing.T) {
	r := newRig(t, Options{FlapLimit: 3})
	sys, other := r.system("clock"), r.system("other")
	try := func(user, secret string) byte {
		c := r.dial(t)
		code := c.connack(5, func(pk *packets.Packet) { pk.Connect.Username, pk.Connect.Password = []byte(user), []byte(secret) })
		if code == 0 {
			c.send(packets.Disconnect<<4, 0)
		}
		if err := c.ended(); err != nil {
			t.Error(err)
		}
		return code
	}
	for range 5 { // leaving in good order is no failure
		if code := try(sys.Triplet(), "secret"); code != 0 {
			t.Fatalf("code %#x", code)
		}
	}
	try(sys.Triplet(), "wrong")
	try(sys.Triplet(), "wrong")
	c := r.dial(t)
	c.login(5, sys.Triplet(), "")
	_ = c.ws.NetConn().Close() // a session that breaks is the third failure
	eventually(t, "the session is gone", func() bool { return r.Stats().Connections == 0 })
	if code := try(sys.Triplet(), "secret"); code != packets.ErrBanned.Code {
		t.Errorf("the flapping user gets code %#x", code)
	}
	if code := try(other.Triplet(), "secret"); code != 0 {
		t.Errorf("another user gets code %#x", code)
	}
	if s := r.Stats(); s.Banned != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBansRunOutAndAreForgotten(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBans(2, 5*time.Minute, func() time.Time { return now })
	s := source{user: "a/b/c"}
	b.strike(s)
	now = now.Add(2 * time.Minute) // the first one is too old to count
	b.strike(s)
	if b.banned(s) {
		t.Error("banned too early")
	}
	b.strike(s)
	if !b.banned(s) {
		t.Error("not banned")
	}
	now = now.Add(5 * time.Minute)
	if b.banned(s) {
		t.Error("banned too long")
	}
	for i := range 3 * maxRecords {
		b.strike(source{user: fmt.Sprint(i)})
	}
	if len(b.records) > maxRecords {
		t.Errorf("%d records", len(b.records))
	}
	never := newBans(-1, time.Hour, time.Now)
	never.strike(s)
	if never.banned(s) || len(never.records) != 0 {
		t.Error("a negative limit bans")
	}
}

func TestCloseTellsClientsAndEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t, Options{})
	sys := r.system("clock")
	conn := newConn(r.Kind, sys)
	monitor, _ := Topics(sys)
	five := r.dial(t)
	five.login(5, sys.Triplet(), "five")
	four := r.service(t, sys, "four", 0, echo)
	stranger := r.dial(t)
	five.subscribe(5, monitor, 0)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if p := five.packet(); p == nil || p[0] != packets.Disconnect<<4 || p[2] != packets.ErrServerShuttingDown.Code {
		t.Errorf("version 5 was told % x", p)
	}
	if err := stranger.ended(); err != nil {
		t.Error(err)
	}
	eventually(t, "version 3 is disconnected", func() bool { return !four.IsConnectionOpen() })
	if r.Ready() == nil {
		t.Error("still ready")
	}
	if _, err := r.Open(t.Context(), sys); core.ErrorCode(err) != core.Unavailable {
		t.Error(err)
	}
	if _, err := conn.Do(t.Context(), message("/a", nil)); core.ErrorCode(err) != core.Unavailable {
		t.Error(err)
	}
	r.srv.Close()
	r.srv.Client().CloseIdleConnections()
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestCheckWantsATopic(t *testing.T) {
	r := newRig(t, Options{})
	good := r.system("clock")
	if err := r.Check(t.Context(), good); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*core.System){
		"another kind":     func(s *core.System) { s.Kind = core.KindAMQP },
		"a slash":          func(s *core.System) { s.Vendor = "a/b" },
		"a wildcard":       func(s *core.System) { s.Name = "a#" },
		"no version":       func(s *core.System) { s.Version = "" },
		"a long name":      func(s *core.System) { s.Name = strings.Repeat("a", maxWord+1) },
		"unknown settings": func(s *core.System) { s.Settings = []byte(`{"Exchange":"x"}`) },
	} {
		sys := good
		edit(&sys)
		if err := r.Check(t.Context(), sys); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	monitor, respond := Topics(good)
	if monitor != "topic/extension/acme/clock/1.0.0/ext" || respond != "topic/extension/acme/clock/1.0.0/vcd" {
		t.Errorf("%s, %s", monitor, respond)
	}
	if r.Name() != core.KindMQTT || fmt.Sprint(r.Stages()) != "[dispatch response]" {
		t.Error("name or stages")
	}
}

func FuzzPacketGuardFollowsThePackets(f *testing.F) {
	f.Add([]byte{0x30, 2, 'a', 'b', 0xc0, 0, 0x30, 0x80, 0x01}, 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		whole, split := packetGuard{limit: 1000}, packetGuard{limit: 1000}
		cut = max(0, min(cut, len(in)))
		err := whole.pass(in)
		if e := split.pass(in[:cut]); e != nil {
			if err == nil {
				t.Fatal("a part is refused, the whole is not")
			}
			return
		}
		if e := split.pass(in[cut:]); (e == nil) != (err == nil) || err == nil && whole != split {
			t.Fatalf("%+v and %+v, %v and %v", whole, split, err, e)
		}
	})
}
