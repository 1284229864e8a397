package mqtt

import (
	"context"
	"strconv"
	"strings"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/annex-gateway/annex/core"
)

const (
	maxWord      = 128             // of a part of the triplet
	maxKeepalive = 2 * time.Minute // what a client may ask for at most
	admitTime    = 5 * time.Second // for the host to judge a login
)

// admission is what the host says about a login.
type admission struct {
	system     core.System
	credential string
}

func (k *Kind) admission(ctx context.Context, user, secret string) (admission, error) {
	ctx, cancel := context.WithTimeout(ctx, admitTime)
	defer cancel()
	sys, credential, err := k.host.Admit(ctx, user, secret)
	if err != nil {
		return admission{}, err
	}
	if sys.Kind != core.KindMQTT {
		return admission{}, core.Errorf(core.Unauthenticated, "%s is not a service on MQTT", sys.Triplet())
	}
	return admission{sys, credential}, nil
}

// login judges a CONNECT packet and opens the session. It gives the code for
// the client and, unless that is success, the reason for the log.
func (k *Kind) login(cl *broker.Client, pk packets.Packet) (code packets.Code, reason string) {
	sock, ok := cl.Net.Conn.(*socket)
	if !ok {
		return packets.ErrNotAuthorized, "not a connection of ours"
	}
	user, secret := string(pk.Connect.Username), string(pk.Connect.Password)
	from := source{user, sock.remote.Addr()}
	switch {
	case pk.Connect.WillFlag:
		return packets.ErrNotAuthorized, "a Will is not allowed"
	case pk.Properties.AuthenticationMethod != "":
		return packets.ErrBadAuthenticationMethod, "only user name and password are understood"
	case !isTriplet(user):
		return packets.ErrBadUsernameOrPassword, "the user name is not vendor/name/version"
	case k.bans.banned(from):
		k.stats.banned.Add(1)
		return packets.ErrBanned, "too many failures"
	}
	seen := k.revokes.Load()
	a, err := sock.admit(user, secret)
	if err != nil {
		return k.refusal(from, err)
	}
	s := newSession(k, cl, sock, a, from)
	if code := k.register(s); code != packets.CodeSuccess {
		return code, code.Reason
	}
	if k.revokes.Load() != seen { // the credential may have gone meanwhile
		if _, err := sock.admit(user, secret); err != nil {
			s.close()
			return k.refusal(from, err)
		}
	}
	s.prepare(pk)
	return packets.CodeSuccess, ""
}

// refusal tells bad credentials from our own trouble.
func (k *Kind) refusal(from source, err error) (packets.Code, string) {
	switch core.ErrorCode(err) {
	case core.Unauthenticated, core.Forbidden, core.NotFound, core.Invalid:
		k.bans.strike(from)
		return packets.ErrBadUsernameOrPassword, err.Error()
	}
	return packets.ErrServerUnavailable, err.Error()
}

// isTriplet reports whether user can be vendor/name/version. Whether there is
// such a service is for the host to say.
func isTriplet(user string) bool {
	words := strings.Split(user, "/")
	for _, w := range words {
		if w == "" || len(w) > maxWord || strings.ContainsAny(w, "@+#$\x00") {
			return false
		}
	}
	return len(words) == 3
}

// register makes s the session of its client id. A client id belongs to the
// user that holds it; the same user takes it over.
func (k *Kind) register(s *session) packets.Code {
	k.mu.Lock()
	old := k.sessions[s.client]
	switch {
	case k.closed:
		k.mu.Unlock()
		return packets.ErrServerShuttingDown
	case old != nil && old.from.user != s.from.user:
		k.mu.Unlock()
		return packets.ErrClientIdentifierNotValid
	}
	k.sessions[s.client] = s
	k.pending.remove(s.sock)
	s.sock.session.Store(s)
	k.mu.Unlock()
	if old != nil {
		old.end(packets.ErrSessionTakenOver)
	}
	return packets.CodeSuccess
}

// prepare sets the terms of the session on the broker's side.
func (s *session) prepare(pk packets.Packet) {
	cl := s.cl
	// An id that nobody else has keeps the broker's own way of inheriting
	// and replacing sessions out of play: ours is register.
	cl.ID = "session-" + strconv.FormatUint(s.kind.stats.admitted.Add(1), 10)
	cl.Properties.Clean = true // nothing outlives the connection
	if asked := time.Duration(pk.Connect.Keepalive) * time.Second; asked == 0 || asked > maxKeepalive {
		cl.State.Keepalive = uint16(maxKeepalive / time.Second)
		cl.State.ServerKeepalive = true // version 5 is told
		s.sock.patient.Store(pk.ProtocolVersion < 5)
	}
	s.sock.guard.limit = clientPacket
	s.start()
}

// codeFor gives the code that a client of that protocol version understands.
func codeFor(version byte, code packets.Code) packets.Code {
	if version >= 5 {
		return code
	}
	switch code {
	case packets.ErrServerShuttingDown, packets.ErrServerBusy:
		return packets.ErrServerUnavailable
	case packets.ErrNotAuthorized, packets.ErrBanned, packets.ErrBadAuthenticationMethod:
		return packets.ErrBadUsernameOrPassword // "not authorized" in version 3
	}
	return code
}
