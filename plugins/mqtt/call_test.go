package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

func TestACallIsAnsweredByTheServiceAtEveryQoS(t *testing.T) {
	r := newRig(t, Options{})
	for qos := range byte(3) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			sys := r.system(fmt.Sprintf("echo%d", qos))
			conn := r.open(t, sys)
			c := r.service(t, sys, "", qos, echo)
			for i := range 20 {
				body := bytes.Repeat([]byte{byte(i)}, i*997)
				m, err := conn.Do(t.Context(), message("/api/x", body))
				if err != nil {
					t.Fatal(err)
				}
				got, _ := m.Response.Body.Bytes(1 << 20)
				if m.Response.Status != 200 || !bytes.Equal(got, body) || m.Response.Header.Get("X-Path") != "/api/x" {
					t.Fatalf("call %d: %+v", i, m.Response)
				}
			}
			c.Disconnect(100)
		})
	}
}

func TestEveryProtocolVersionIsServed(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		t.Run(fmt.Sprintf("level %d", version), func(t *testing.T) {
			r := newRig(t, Options{})
			sys := r.system("clock")
			conn := r.open(t, sys)
			monitor, respond := Topics(sys)
			c := r.dial(t)
			ack := c.login(version, sys.Triplet(), "id")
			if version == 5 {
				for name, property := range map[string][]byte{
					"retain not available": {packets.PropRetainAvailable, 0}, "wildcards not available": {packets.PropWildcardSubAvailable, 0},
					"shared not available": {packets.PropSharedSubAvailable, 0}, "packet size": {packets.PropMaximumPacketSize, 1, 0, 0, 0},
				} {
					if !bytes.Contains(ack, property) {
						t.Errorf("CONNACK does not say: %s", name)
					}
				}
			}
			if got := c.subscribe(version, monitor, 2); got != 0 {
				t.Fatalf("granted QoS %d, want 0", got)
			}
			done := make(chan error, 1)
			go func() {
				m, err := conn.Do(t.Context(), message("/api/x", []byte("hi")))
				if err == nil && m.Response.Status != 201 {
					err = fmt.Errorf("status %d", m.Response.Status)
				}
				done <- err
			}()
			pk := packets.Packet{ProtocolVersion: version}
			frame := c.packet()
			if frame[0] != packets.Publish<<4 {
				t.Fatalf("not a PUBLISH with QoS 0: % x", frame[:2])
			}
			if err := pk.PublishDecode(frame[1+lengthBytes(frame):]); err != nil {
				t.Fatal(err)
			}
			req, err := wire.DecodeRequest(pk.Payload)
			if err != nil || pk.TopicName != monitor {
				t.Fatalf("%s: %v", pk.TopicName, err)
			}
			c.publish(version, respond, wire.AppendResponse(nil, &wire.Response{ID: req.ID, Message: wire.Message{Status: 201}}), nil)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// lengthBytes is how many bytes the length of the packet takes.
func lengthBytes(frame []byte) int {
	n := 1
	for frame[n]&0x80 != 0 {
		n++
	}
	return n
}

func TestPacketsMayBeSplitAndJoinedAcrossFrames(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	monitor, _ := Topics(sys)
	c := r.dial(t)
	hello := connectPacket(4, func(pk *packets.Packet) { pk.Connect.Username = []byte(sys.Triplet()) })
	for _, b := range hello[:len(hello)-1] {
		c.send(b)
	}
	c.send()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: monitor}},
	}
	tail := append(hello[len(hello)-1:], encode(pk.SubscribeEncode)...)
	c.send(append(tail, packets.Pingreq<<4, 0)...)
	for _, want := range []byte{packets.Connack, packets.Suback, packets.Pingresp} {
		if p := c.packet(); p == nil || p[0]>>4 != want {
			t.Fatalf("got % x, %v; want type %d", p, c.gone, want)
		}
	}
}

func TestTheServiceSeesTheCallAndNoCredential(t *testing.T) {
	r := newRig(t, Options{SendRights: true})
	sys := r.system("clock")
	conn := r.open(t, sys)
	seen := make(chan wire.Request, 1)
	r.service(t, sys, "", 0, func(req wire.Request) *wire.Response {
		seen <- req
		return echo(req)
	})
	m := message("/api/a%20b", []byte("x=1&x=%C3%A4&y"))
	m.Caller.Rights = core.RightsOf(core.Ref{ID: "1", Name: "{ns}: B"}, core.Ref{ID: "2", Name: "{ns}: A"})
	m.Request.RawQuery = "q=1;2"
	m.Request.Path = "/api/a b"
	m.Request.Header = core.NewHeader(
		"Accept", "a/b", "Accept", "c/d", "Authorization", "Bearer me", "X-Vcloud-Authorization", "me",
		"X-Vmware-Vcloud-Access-Token", "me", "Cookie", "a=1; vcloud_jwt=me", "Cookie", "b=2", "Connection", "close",
		"Content-Type", "application/x-www-form-urlencoded", "Proxy-Authorization", "me")
	if _, err := conn.Do(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	req := <-seen
	msg := req.Message
	if req.ID == "" || msg.ID != req.ID || !msg.IsRequest || msg.Method != "POST" || msg.RequestURI != "/api/a%20b" || msg.Query != "q=1;2" ||
		msg.Protocol != "HTTP/1.1" || msg.Scheme != "https" || msg.Remote.String() != "192.0.2.1:1234" || msg.Local.String() != "192.0.2.2:8443" ||
		msg.Status != 0 || req.LinkBaseURL != "https://gw:8443/api/" {
		t.Errorf("the message is %+v", req)
	}
	want := map[string]string{
		"Accept": "a/b, c/d", "Cookie": "a=1; b=2", "Content-Type": "application/x-www-form-urlencoded", "Host": "gw:8443",
	}
	for _, f := range msg.Headers {
		if want[f.Name] != f.Value {
			t.Errorf("header %s: %s", f.Name, f.Value)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if fmt.Sprint(msg.Form) != "map[x:[1 ä] y:[]]" || msg.FormEncoding != "UTF-8" || string(msg.Body) != "x=1&x=%C3%A4&y" {
		t.Errorf("form %v in %s", msg.Form, msg.FormEncoding)
	}
	if s := req.Security; s.APIAccessToken != "minted-for-alice" || s.User != m.Caller.UserID || s.Org != m.Caller.OrgID || fmt.Sprint(s.Rights) != "[{ns}: A {ns}: B]" {
		t.Errorf("security context %+v", s)
	}
}

func TestFormsAreReadInTheirEncoding(t *testing.T) {
	tests := []struct{ name, kind, body, want, encoding string }{
		{"no form", "application/json", "a=1", "map[]", ""},
		{"no type", "", "a=1", "map[]", ""},
		{"a broken type", "a/b;;;=", "a=1", "map[]", ""},
		{"an empty form", "application/x-www-form-urlencoded", "", "map[]", "UTF-8"},
		{"plus and percent", "Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=b+c%26&a=&&d", "map[a:[b c& ] d:[]]", "UTF-8"},
		{"a broken escape stays", "application/x-www-form-urlencoded", "a=%zz;b", "map[a:[%zz;b]]", "UTF-8"},
		{"Latin-1", "application/x-www-form-urlencoded;charset=ISO-8859-1", "a=%E4", "map[a:[ä]]", "ISO-8859-1"},
		{"too many fields", "application/x-www-form-urlencoded", strings.Repeat("a&", wire.MaxFormFields+1), "map[]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, encoding := form(tt.kind, []byte(tt.body))
			if fmt.Sprint(got) != tt.want || encoding != tt.encoding {
				t.Errorf("got %v in %q", got, encoding)
			}
		})
	}
}

func TestAtTheResponseStageTheReplyReplacesTheAnswer(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("stamp")
	conn := r.open(t, sys)
	seen := make(chan wire.Request, 1)
	r.service(t, sys, "", 0, func(req wire.Request) *wire.Response {
		seen <- req
		return &wire.Response{ID: req.ID, Message: wire.Message{Status: 299, Headers: []wire.Field{
			{Name: "Vary", Value: "mine"}, {Name: "Set-Cookie", Value: "mine"}, {Name: "X", Value: "y"},
		}, Body: append(req.Message.Body, '!')}}
	})
	m := message("/api/x", []byte("request body")).Answer(core.Response{
		Status: 404,
		Header: core.NewHeader("Content-Type", "text/plain", "Set-Cookie", "a=1", "Vary", "Accept",
			"X-Vmware-Vcloud-Access-Token", "me"),
		Body: core.StreamBody(io.NopCloser(strings.NewReader("answer")), -1),
	})
	got, err := conn.Do(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	msg := (<-seen).Message
	if msg.IsRequest || msg.Status != 404 || string(msg.Body) != "answer" || msg.Method != "POST" || msg.RequestURI != "/api/x" ||
		len(msg.Headers) != 2 || msg.Header("Content-Type") != "text/plain" || msg.Header("Vary") != "Accept" || msg.Form != nil {
		t.Errorf("the service saw %+v", msg)
	}
	body, _ := got.Response.Body.Bytes(100)
	h := got.Response.Header
	if got.Response.Status != 299 || string(body) != "answer!" || h.Get("X") != "y" || h.Has("Content-Type") ||
		fmt.Sprint(h.Values("Set-Cookie"), h.Values("Vary"), h.Values("X-Vmware-Vcloud-Access-Token")) != "[a=1] [Accept] [me]" {
		t.Errorf("the answer is %d %q %v", got.Response.Status, body, h.Clone())
	}
}

func TestARequestInTheReplyReplacesTheRequest(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("rewrite")
	conn := r.open(t, sys)
	var reply atomic.Pointer[wire.Message]
	r.service(t, sys, "", 0, func(req wire.Request) *wire.Response {
		return &wire.Response{ID: req.ID, Message: *reply.Load()}
	})
	reply.Store(&wire.Message{IsRequest: true, Method: "put", RequestURI: "/api/b%20c", Query: "d=e", Body: []byte("new"), Headers: []wire.Field{
		{Name: "X", Value: "y"},
		{Name: "Authorization", Value: "Bearer other"},
		{Name: "X_vcloud_authorization", Value: "other"},
		{Name: "Cookie", Value: "c=3; vcloud_jwt=other"},
		{Name: "Host", Value: "evil"},
		{Name: "Content-Length", Value: "99"},
	}})
	m := message("/api/x", []byte("old"))
	m.Request.Header = core.NewHeader("Authorization", "Bearer me", "Cookie", "a=1; vcloud_jwt=me", "Accept", "*/*")
	got, err := conn.Do(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	q := got.Request
	body, _ := q.Body.Bytes(100)
	if got.Answered() || q.Method != "PUT" || q.Path != "/api/b%20c" || q.RawPath != "/api/b%20c" || q.RawQuery != "d=e" || string(body) != "new" || q.Host != "gw:8443" {
		t.Errorf("the request is %+v", q)
	}
	if h := q.Header.Clone(); fmt.Sprint(h) != "map[Authorization:[Bearer me] Cookie:[c=3; vcloud_jwt=me] X:[y]]" {
		t.Errorf("its header is %v", h)
	}
	if _, err := conn.Do(t.Context(), m.Answer(core.Response{Status: 200})); core.ErrorCode(err) != core.BadUpstream {
		t.Errorf("at the response stage a request is %v", err)
	}
}

func TestARequestWithoutHeadersKeepsThoseOfTheOldOne(t *testing.T) {
	old := core.Request{Method: "POST", Header: core.NewHeader("Authorization", "me", "Content-Length", "3", "X", "y"), Body: core.BytesBody([]byte("old"))}
	got := rewritten(&wire.Message{IsRequest: true, Method: "GET", RequestURI: "/a"}, old)
	if fmt.Sprint(got.Header.Clone()) != "map[Authorization:[me] X:[y]]" || got.Body.Size() != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestHeadersOfAReplyAreFiltered(t *testing.T) {
	res := answer(&wire.Message{Status: 204, Body: []byte("dropped"), Headers: []wire.Field{
		{Name: "Connection", Value: "close, x-own"},
		{Name: "X-Own", Value: "1"},
		{Name: "Content-Length", Value: "7"},
		{Name: "Transfer-Encoding", Value: "chunked"},
		{Name: "Set-Cookie", Value: "a=b"},
		{Name: "Authorization", Value: "x"},
		{Name: "X-Vcloud-Authorization", Value: "x"},
		{Name: "Vary", Value: "*"},
		{Name: "X-Kept", Value: " 1 "},
		{Name: "X-Kept", Value: "2"},
	}}, nil)
	if fmt.Sprint(res.Header.Clone()) != "map[X-Kept:[1 2]]" || res.Body.Size() != 0 {
		t.Errorf("got %+v", res)
	}
}

func TestFailuresHaveTheirCodeAndText(t *testing.T) {
	r := newRig(t, Options{Timeout: 50 * time.Millisecond, BodyLimit: 100, MaxInFlight: 2})
	sys := r.system("clock")
	conn := r.open(t, sys)
	fails := func(name string, m core.Message, code core.Code, text string) {
		t.Helper()
		got, err := conn.Do(t.Context(), m)
		if core.ErrorCode(err) != code || !strings.Contains(core.ErrorMessage(err), text) {
			t.Errorf("%s: %v (%s)", name, err, core.ErrorCode(err))
		}
		if got.Answered() != m.Answered() {
			t.Errorf("%s: the message changed", name)
		}
	}
	fails("nobody connected", message("/a", nil), core.Unavailable, "'clock' (acme/clock/1.0.0) is not connected")

	c := r.service(t, sys, "", 0, func(wire.Request) *wire.Response { return nil })
	fails("no reply", message("/a", nil), core.Timeout, "External service 'clock' failed to respond in the specified timeout (0.05 SECONDS)")
	_, err := conn.Do(t.Context(), message("/a", nil))
	var e *core.Error
	if !errors.As(err, &e) || e.Minor != "GATEWAY_TIMEOUT" {
		t.Errorf("the minor code is missing: %v", err)
	}
	fails("a body over the limit", message("/a", make([]byte, 101)), core.TooLarge, "100 bytes")
	fails("an answer over the limit", message("/a", nil).Answer(core.Response{Body: core.BytesBody(make([]byte, 101))}), core.BadUpstream, "too large")
	broken := message("/a", nil)
	broken.Request.Body = core.StreamBody(io.NopCloser(io.MultiReader(strings.NewReader("x"), errReader{})), -1)
	fails("a body that breaks off", broken, core.Invalid, "could not be read")
	r.host.mintErr = core.Errorf(core.Unavailable, "no keys")
	fails("no token", message("/a", nil), core.Unavailable, "no keys")
	r.host.mintErr = nil

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conn.Do(ctx, message("/a", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
	slow := message("/a", nil)
	slow.Request.Body = core.StreamBody(io.NopCloser(blockedReader(t)), -1)
	if _, err := conn.Do(ctx, slow); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call with a slow body: %v", err)
	}
	anonymous := message("/a", nil)
	anonymous.Caller = core.Caller{}
	minted := r.host.minted
	fails("an unknown caller", anonymous, core.Timeout, "clock")
	if r.host.minted != minted {
		t.Error("a token was made for nobody")
	}
	c.Unsubscribe(strings.TrimSuffix("topic/extension/acme/clock/1.0.0/ext", "")).WaitTimeout(guard)
	fails("unsubscribed", message("/a", nil), core.Unavailable, "not connected")
	eventually(t, "nobody waits", func() bool { return r.Stats().Waiting == 0 })
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("reset by a foreign library") }

func blockedReader(t *testing.T) io.Reader {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	return r
}

func TestTheTimeLimitOfTenSecondsIsWrittenAsInTheDocuments(t *testing.T) {
	r := newRig(t, Options{Timeout: 10 * time.Second})
	c := newConn(r.Kind, r.system("clock"))
	if got, want := c.timeout(nil).Error(), "External service 'clock' failed to respond in the specified timeout (10 SECONDS)"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestCallsOverTheLimitOfAServiceAreRefused(t *testing.T) {
	r := newRig(t, Options{MaxInFlight: 2})
	sys := r.system("clock")
	conn := r.open(t, sys)
	got := make(chan wire.Request, 10)
	c := r.service(t, sys, "", 0, func(req wire.Request) *wire.Response { got <- req; return nil })
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if _, err := conn.Do(context.Background(), message("/a", nil)); err != nil {
				t.Error(err)
			}
		})
	}
	first, second := <-got, <-got
	if _, err := conn.Do(t.Context(), message("/a", nil)); core.ErrorCode(err) != core.Unavailable || !strings.Contains(err.Error(), "2 calls in flight") {
		t.Errorf("got %v", err)
	}
	_, respond := Topics(sys)
	for _, req := range []wire.Request{first, second} {
		c.Publish(respond, 1, false, wire.AppendResponse(nil, echo(req)))
	}
	calls.Wait()
}

func TestABadReplyFailsTheCallAtOnceAndAStrayOneIsCounted(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	conn := r.open(t, sys)
	_, respond := Topics(sys)
	var bad atomic.Pointer[string]
	c := r.service(t, sys, "", 0, func(req wire.Request) *wire.Response { return nil })
	monitor, _ := Topics(sys)
	wait(t, c.Subscribe(monitor, 0, func(c paho.Client, m paho.Message) {
		id, _ := wire.ReplyID(m.Payload())
		c.Publish(respond, 1, false, strings.ReplaceAll(*bad.Load(), "ID", id))
	}))
	for _, text := range []string{
		`{"type":"API_RESPONSE","headers":{"requestId":"ID"}`,
		`{"type":"API_RESPONSE","headers":{"requestId":"ID"},"httpResponse":{"statusCode":101}}`,
		`{"type":"API_RESPONSE","headers":{"requestId":"ID"},"httpResponse":{"statusCode":200,"body":"***"}}`,
		`{"type":"API_RESPONSE","headers":{"requestId":"ID"},"httpResponse":{"statusCode":200,"headers":{"A":"b\r\nC: d"}}}`,
		`{"type":"OTHER","headers":{"requestId":"ID"},"httpResponse":{"statusCode":200}}`,
	} {
		bad.Store(&text)
		_, err := conn.Do(t.Context(), message("/a", nil))
		if core.ErrorCode(err) != core.BadUpstream || !strings.Contains(core.ErrorMessage(err), "'clock'") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		`not JSON`,
		`{"headers":{"requestId":null},"httpResponse":{"statusCode":200}}`,
		`{"headers":{"requestId":"made-up"},"httpResponse":{"statusCode":200}}`,
		``,
	} {
		wait(t, c.Publish(respond, 1, false, text))
	}
	eventually(t, "the stray replies are counted", func() bool {
		s := r.Stats()
		return s.Malformed == 2 && s.Late == 2 && s.Unusable == 5 && s.Waiting == 0
	})
}

func TestLateAndDoubleRepliesAreDropped(t *testing.T) {
	r := newRig(t, Options{Timeout: 30 * time.Millisecond})
	sys := r.system("clock")
	conn := r.open(t, sys)
	late := make(chan wire.Request, 1)
	c := r.service(t, sys, "", 0, func(req wire.Request) *wire.Response { late <- req; return nil })
	if _, err := conn.Do(t.Context(), message("/a", nil)); core.ErrorCode(err) != core.Timeout {
		t.Fatal(err)
	}
	_, respond := Topics(sys)
	reply := wire.AppendResponse(nil, echo(<-late))
	wait(t, c.Publish(respond, 1, false, reply))
	wait(t, c.Publish(respond, 2, false, reply))
	eventually(t, "two late replies", func() bool { return r.Stats().Late == 2 && r.Stats().Timeouts == 1 })
}

func TestALostSessionFailsItsCallsAtOnce(t *testing.T) {
	r := newRig(t, Options{Timeout: time.Hour})
	sys := r.system("clock")
	conn, err := r.Open(t.Context(), sys)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, 10)
	c := r.dial(t)
	c.login(4, sys.Triplet(), "id")
	monitor, _ := Topics(sys)
	c.subscribe(4, monitor, 0)
	errs := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := conn.Do(t.Context(), message("/a", nil))
			errs <- err
		}()
		c.packet()
		got <- struct{}{}
	}
	_ = c.ws.NetConn().Close()
	for range 3 {
		if err := <-errs; core.ErrorCode(err) != core.Unavailable || !strings.Contains(err.Error(), "disconnected before it answered") {
			t.Errorf("got %v", err)
		}
	}
	if s := r.Stats(); s.Waiting != 0 || s.Lost != 3 {
		t.Errorf("%+v", s)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestTwoSessionsShareTheLoadAndEachRequestGoesToOne(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	conn := r.open(t, sys)
	var counts [2]atomic.Int64
	var clients [2]paho.Client
	for i := range counts {
		clients[i] = r.service(t, sys, fmt.Sprintf("c%d", i), 0, func(req wire.Request) *wire.Response {
			counts[i].Add(1)
			return echo(req)
		})
	}
	for range 100 {
		if _, err := conn.Do(t.Context(), message("/a", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := counts[0].Load(), counts[1].Load(); a != 50 || b != 50 {
		t.Errorf("%d and %d", a, b)
	}
	clients[0].Disconnect(0)
	eventually(t, "one session is gone", func() bool { return r.Stats().Sessions == 1 })
	for range 10 {
		if _, err := conn.Do(t.Context(), message("/a", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := counts[1].Load(); n != 60 {
		t.Errorf("the session that is left saw %d", n)
	}
}

func TestClosingAConnLetsItsCallsEnd(t *testing.T) {
	r := newRig(t, Options{})
	sys := r.system("clock")
	service := newConn(r.Kind, sys)
	got := make(chan wire.Request, 1)
	c := r.service(t, sys, "", 0, func(req wire.Request) *wire.Response { got <- req; return nil })
	call := make(chan error, 1)
	go func() {
		_, err := service.Do(context.Background(), message("/a", nil))
		call <- err
	}()
	req := <-got
	closed := make(chan error, 1)
	go func() { closed <- service.Close() }()
	eventually(t, "the conn is closing", func() bool {
		service.mu.Lock()
		defer service.mu.Unlock()
		return service.closed
	})
	if _, err := service.Do(t.Context(), message("/a", nil)); core.ErrorCode(err) != core.Unavailable || !strings.Contains(err.Error(), "out of service") {
		t.Errorf("a new call: %v", err)
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait")
	default:
	}
	_, respond := Topics(sys)
	c.Publish(respond, 0, false, wire.AppendResponse(nil, echo(req)))
	if err := <-call; err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := service.Close(); err != nil {
		t.Error("a second Close:", err)
	}
}
