package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// guard is how long a test waits for what must happen.
const guard = 20 * time.Second

// fakeHost admits whoever knows the password "secret" of a system it knows.
type fakeHost struct {
	log *slog.Logger

	mu      sync.Mutex
	systems map[string]core.System // by user name
	admit   func(user string) error
	minted  int
	mintErr error
}

func (h *fakeHost) Admit(_ context.Context, user, secret string) (core.System, string, error) {
	h.mu.Lock()
	sys, ok := h.systems[user]
	admit := h.admit
	h.mu.Unlock()
	if admit != nil {
		if err := admit(user); err != nil {
			return core.System{}, "", err
		}
	}
	if !ok || !strings.HasPrefix(secret, "secret") {
		return core.System{}, "", core.Errorf(core.Unauthenticated, "unknown user or token")
	}
	return sys, "credential-" + secret, nil
}

func (h *fakeHost) State(string) core.State { return nil }
func (h *fakeHost) Log() *slog.Logger       { return h.log }

func (h *fakeHost) MintToken(_ context.Context, c core.Caller) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.minted++
	return "minted-for-" + c.UserName, h.mintErr
}

// rig is a broker behind a TLS server, and what tests need around it.
type rig struct {
	*Kind
	host *fakeHost
	srv  *httptest.Server
}

func newRig(tb testing.TB, opts Options) *rig {
	tb.Helper()
	return startRig(tb, opts, httptest.NewTLSServer)
}

// newPlainRig is for tests with hundreds of connections: handshakes are slow.
func newPlainRig(tb testing.TB, opts Options) *rig {
	tb.Helper()
	return startRig(tb, opts, httptest.NewServer)
}

func startRig(tb testing.TB, opts Options, start func(http.Handler) *httptest.Server) *rig {
	tb.Helper()
	host := &fakeHost{log: slog.New(slog.DiscardHandler), systems: map[string]core.System{}}
	if opts.FlapLimit == 0 {
		opts.FlapLimit = -1
	}
	if opts.Timeout == 0 {
		opts.Timeout = time.Minute // the neighbours may be slow
	}
	k := New(host, opts)
	mux := http.NewServeMux()
	path, h := k.Mount()
	mux.Handle(path, h)
	r := &rig{Kind: k, host: host, srv: start(mux)}
	tb.Cleanup(func() {
		if err := k.Close(); err != nil {
			tb.Error(err)
		}
		r.srv.Close()
	})
	return r
}

func (r *rig) url() string { return "ws" + strings.TrimPrefix(r.srv.URL, "http") + Path }

func (r *rig) tls() *tls.Config {
	if r.srv.TLS == nil {
		return nil
	}
	return r.srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
}

// system registers acme/<name>/1.0.0.
func (r *rig) system(name string) core.System {
	sys := core.System{
		ID:   core.SystemID(core.KindMQTT, "acme", name, "1.0.0"),
		Kind: core.KindMQTT, Vendor: "acme", Name: name, Version: "1.0.0", Enabled: true,
		Settings: core.EncodeSettings(core.MQTTSettings{}),
	}
	r.host.mu.Lock()
	r.host.systems[sys.Triplet()] = sys
	r.host.mu.Unlock()
	return sys
}

func (r *rig) open(tb testing.TB, sys core.System) core.Conn {
	tb.Helper()
	c, err := r.Open(tb.Context(), sys)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func (r *rig) clientOptions(user, clientID string) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker(r.url()).SetTLSConfig(r.tls()).
		SetUsername(user).SetPassword("secret").SetClientID(clientID).
		SetProtocolVersion(4).SetCleanSession(true).SetKeepAlive(60 * time.Second).
		SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).
		SetConnectTimeout(guard)
	o.HTTPHeaders = http.Header{"Origin": {"https://elsewhere:443"}}
	return o
}

func connect(tb testing.TB, o *paho.ClientOptions) paho.Client {
	tb.Helper()
	c := paho.NewClient(o)
	wait(tb, c.Connect())
	tb.Cleanup(func() { c.Disconnect(0) })
	return c
}

func wait(tb testing.TB, token paho.Token) {
	tb.Helper()
	if !token.WaitTimeout(guard) {
		tb.Fatal("the broker does not answer")
	}
	if token.Error() != nil {
		tb.Fatal(token.Error())
	}
}

// service connects sys and answers every request with handle's reply; a nil
// reply is none. Replies go out with the given QoS.
func (r *rig) service(tb testing.TB, sys core.System, clientID string, qos byte, handle func(wire.Request) *wire.Response) paho.Client {
	tb.Helper()
	monitor, respond := Topics(sys)
	c := connect(tb, r.clientOptions(sys.Triplet(), clientID))
	tok := c.Subscribe(monitor, qos, func(c paho.Client, m paho.Message) {
		req, err := wire.DecodeRequest(m.Payload())
		if err != nil {
			tb.Errorf("a request that cannot be read: %v", err)
			return
		}
		if reply := handle(req); reply != nil {
			c.Publish(respond, qos, false, wire.AppendResponse(nil, reply))
		}
	})
	wait(tb, tok)
	return c
}

// echo answers with the body and the path of the request.
func echo(req wire.Request) *wire.Response {
	return &wire.Response{ID: req.ID, Message: wire.Message{
		Status:  200,
		Headers: []wire.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Path", Value: req.Message.RequestURI}},
		Body:    req.Message.Body,
	}}
}

func message(path string, body []byte) core.Message {
	return core.Message{
		ID:     "m-1",
		Caller: core.Caller{UserID: "urn:vcloud:user:u", UserName: "alice", OrgID: "urn:vcloud:org:o", OrgName: "org"},
		Request: core.Request{
			Method: "POST", Path: path, RawPath: path, Proto: "HTTP/1.1", Scheme: "https", Host: "gw:8443",
			RemoteAddr: netip.MustParseAddrPort("192.0.2.1:1234"), LocalAddr: netip.MustParseAddrPort("192.0.2.2:8443"),
			Header: core.NewHeader("Content-Type", "text/plain"), Body: core.BytesBody(body),
		},
	}
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(guard); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal("never: " + what)
		}
	}
}

// raw is an MQTT client that sends what a test tells it to.
type raw struct {
	t    testing.TB
	ws   *websocket.Conn
	buf  []byte
	gone error
}

func (r *rig) dial(tb testing.TB) *raw {
	tb.Helper()
	d := websocket.Dialer{TLSClientConfig: r.tls(), Subprotocols: []string{"mqtt"}, HandshakeTimeout: guard}
	ws, res, err := d.DialContext(tb.Context(), r.url(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	_ = res.Body.Close()
	c := &raw{t: tb, ws: ws}
	tb.Cleanup(func() { _ = ws.Close() })
	return c
}

func (c *raw) send(b ...byte) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil && c.gone == nil {
		c.gone = err
	}
}

// packet reads the next packet; nil when the connection has ended.
func (c *raw) packet() []byte {
	for {
		if n := packetLength(c.buf); n > 0 && len(c.buf) >= n {
			p := c.buf[:n]
			c.buf = c.buf[n:]
			return p
		}
		_ = c.ws.SetReadDeadline(time.Now().Add(guard))
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			c.gone = err
			return nil
		}
		c.buf = append(c.buf, b...)
	}
}

// ended reads until the connection has ended, and fails if it does not.
func (c *raw) ended() error {
	for c.packet() != nil {
	}
	if strings.Contains(c.gone.Error(), "i/o timeout") {
		return fmt.Errorf("the connection is still open: %w", c.gone)
	}
	return nil
}

func packetLength(b []byte) int {
	n, shift := 0, 0
	for i := 1; i < len(b); i++ {
		n |= int(b[i]&0x7f) << shift
		if b[i]&0x80 == 0 {
			return n + i + 1
		}
		shift += 7
	}
	return 0
}

// connectPacket makes a CONNECT.
func connectPacket(version byte, edit func(*packets.Packet)) []byte {
	pk := packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Connect},
		ProtocolVersion: version,
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60,
			UsernameFlag: true, PasswordFlag: true, Password: []byte("secret"),
		},
	}
	if version == 3 {
		pk.Connect.ProtocolName = []byte("MQIsdp")
	}
	edit(&pk)
	return encode(pk.ConnectEncode)
}

// login connects and wants to be let in.
func (c *raw) login(version byte, user, clientID string) []byte {
	c.t.Helper()
	c.send(connectPacket(version, func(pk *packets.Packet) {
		pk.Connect.Username, pk.Connect.ClientIdentifier = []byte(user), clientID
	})...)
	ack := c.packet()
	if len(ack) < 4 || ack[0] != packets.Connack<<4 || ack[3] != 0 {
		c.t.Fatalf("not let in: % x, %v", ack, c.gone)
	}
	return ack
}

// subscribe gives the reason code of the SUBACK.
func (c *raw) subscribe(version byte, topic string, qos byte) byte {
	c.t.Helper()
	c.send(subscribePacket(version, topic, qos)...)
	ack := c.packet()
	if len(ack) < 5 || ack[0] != packets.Suback<<4 {
		c.t.Fatalf("no SUBACK: % x, %v", ack, c.gone)
	}
	return ack[len(ack)-1]
}

func (c *raw) publish(version byte, topic string, payload []byte, edit func(*packets.Packet)) {
	c.t.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: version, TopicName: topic, Payload: payload,
	}
	if edit != nil {
		edit(&pk)
	}
	c.send(encode(pk.PublishEncode)...)
}

func subscribePacket(version byte, topic string, qos ...byte) []byte {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: version, PacketID: 7,
		Filters: packets.Subscriptions{{Filter: topic, Qos: append(qos, 0)[0]}},
	}
	return encode(pk.SubscribeEncode)
}
