package mqtt

import (
	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/sdk/wire"
)

// hook is where the broker asks us.
type hook struct {
	broker.HookBase
	kind *Kind
}

// ID names the hook.
func (h *hook) ID() string { return "annex" }

// Provides lists the questions that the hook answers.
func (h *hook) Provides(b byte) bool {
	switch b {
	case broker.OnConnect, broker.OnConnectAuthenticate, broker.OnSessionEstablished, broker.OnACLCheck, broker.OnSubscribe,
		broker.OnSubscribed, broker.OnUnsubscribed, broker.OnPublish, broker.OnPacketEncode:
		return true
	}
	return false
}

// sessionOf gives the session of a client that has logged in and still may
// speak, or nil.
func sessionOf(cl *broker.Client) *session {
	sock, ok := cl.Net.Conn.(*socket)
	if !ok {
		return nil
	}
	s := sock.session.Load()
	if s == nil || s.closed() {
		return nil
	}
	return s
}

// OnConnect judges a login. The broker says nothing to whom we refuse here,
// so we do.
func (h *hook) OnConnect(cl *broker.Client, pk packets.Packet) error {
	k := h.kind
	code, reason := k.login(cl, pk)
	if code == packets.CodeSuccess {
		return nil
	}
	k.stats.refused.Add(1)
	k.log.Warn("mqtt: login refused", "user", clip(pk.Connect.Username), "client", clip([]byte(pk.Connect.ClientIdentifier)),
		"remote", cl.Net.Remote, "reason", reason)
	if err := k.broker.SendConnack(cl, codeFor(pk.ProtocolVersion, code), false, nil); err != nil {
		return err
	}
	return code
}

// clip keeps what a stranger sent from flooding the log.
func clip(b []byte) string { return string(b[:min(len(b), 400)]) }

// OnConnectAuthenticate confirms what OnConnect found. A session that ended
// meanwhile is greeted all the same: its client is to hear why it ended, not
// that its password was wrong.
func (h *hook) OnConnectAuthenticate(cl *broker.Client, _ packets.Packet) bool {
	sock, ok := cl.Net.Conn.(*socket)
	return ok && sock.session.Load() != nil
}

// OnSessionEstablished comes after the CONNACK, once for each session.
func (h *hook) OnSessionEstablished(cl *broker.Client, _ packets.Packet) {
	if sock, ok := cl.Net.Conn.(*socket); ok {
		close(sock.session.Load().greeted)
	}
}

// OnACLCheck allows reading the service's own monitor topic and writing its
// own respond topic, letter by letter, and nothing else.
func (h *hook) OnACLCheck(cl *broker.Client, topic string, write bool) bool {
	if s := sessionOf(cl); s != nil {
		if write && topic == s.respond || !write && topic == s.monitor {
			return true
		}
		h.kind.stats.denied.Add(1)
		s.warn("mqtt: topic refused", "topic", clip([]byte(topic)), "write", write)
	}
	return false
}

// OnSubscribe grants QoS 0: a lost connection fails the call anyway, and the
// broker can lose deliveries of QoS 2.
func (h *hook) OnSubscribe(_ *broker.Client, pk packets.Packet) packets.Packet {
	for i := range pk.Filters {
		pk.Filters[i].Qos = 0
	}
	return pk
}

// OnSubscribed opens the session for requests.
func (h *hook) OnSubscribed(cl *broker.Client, pk packets.Packet, reasons []byte) {
	s := sessionOf(cl)
	if s == nil {
		return
	}
	for i, f := range pk.Filters {
		if f.Filter == s.monitor && i < len(reasons) && reasons[i] == packets.CodeGrantedQos0.Code {
			s.identifier.Store(int64(f.Identifier))
			h.kind.subscribe(s)
		}
	}
}

// OnUnsubscribed closes the session for requests.
func (h *hook) OnUnsubscribed(cl *broker.Client, pk packets.Packet) {
	s := sessionOf(cl)
	if s == nil {
		return
	}
	for _, f := range pk.Filters {
		if f.Filter == s.monitor {
			h.kind.unsubscribe(s)
		}
	}
}

// OnPublish hands a reply to the call that waits for it. It runs where the
// client's packets are read, so it looks for the id only; the call decodes
// the rest itself. The broker distributes nothing.
func (h *hook) OnPublish(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	s := sessionOf(cl)
	if s == nil || pk.TopicName != s.respond {
		return pk, packets.ErrRejectPacket
	}
	if pk.FixedHeader.Retain {
		h.kind.stats.denied.Add(1)
		s.end(packets.ErrRetainNotSupported)
		return pk, packets.ErrRejectPacket
	}
	h.kind.accept(s, pk.Payload)
	return pk, packets.CodeSuccessIgnore
}

// accept looks at a reply of s.
func (k *Kind) accept(s *session, payload []byte) {
	id, err := wire.ReplyID(payload)
	if err != nil {
		k.stats.malformed.Add(1)
		k.log.Debug("mqtt: a reply that cannot be read", "user", s.from.user, "cause", err)
		return
	}
	switch k.waiters.deliver(s.system, id, payload) {
	case delivered:
		k.stats.replies.Add(1)
	case unknown:
		k.stats.late.Add(1)
	case foreign:
		k.stats.forged.Add(1)
		s.warn("mqtt: a reply to another service's call was dropped")
	}
}

// OnPacketEncode tells version 5 clients what the broker does not do.
func (h *hook) OnPacketEncode(_ *broker.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode == packets.CodeSuccess.Code {
		p := &pk.Properties
		p.RetainAvailableFlag, p.RetainAvailable = true, 0
		p.WildcardSubAvailableFlag, p.WildcardSubAvailable = true, 0
		p.SharedSubAvailableFlag, p.SharedSubAvailable = true, 0
		p.MaximumPacketSize = clientPacket
	}
	return pk
}
