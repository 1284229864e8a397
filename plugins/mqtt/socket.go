package mqtt

import (
	"container/list"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// The greatest MQTT packet before and after a client has logged in.
const (
	strangerPacket = 64 << 10
	clientPacket   = 16 << 20
)

var (
	errPacketSize = errors.New("mqtt: a packet over its size limit")
	errNotBinary  = errors.New("mqtt: a WebSocket message that is not binary")
)

// socket is one WebSocket as the broker sees it: a net.Conn. Packets over the
// limit never reach the broker, which would allocate whatever a stranger
// announces.
type socket struct {
	ws           *websocket.Conn
	remote       netip.AddrPort // the client, as the gateway knows it
	writeTimeout time.Duration

	admit func(user, secret string) (admission, error)

	more atomic.Bool // what is written next is not the last: it may wait
	held []byte      // packets that wait; guarded like writing

	frame io.Reader // what is left of the current message
	guard packetGuard

	session atomic.Pointer[session] // nil until the client has logged in
	patient atomic.Bool             // a WebSocket pong counts as a sign of life
	once    sync.Once
}

// Read gives what has arrived, across the borders of WebSocket messages.
func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.frame == nil {
			kind, r, err := s.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errNotBinary
			}
			s.frame = r
		}
		n, err := s.frame.Read(p)
		if err != nil {
			s.frame = nil
			if !errors.Is(err, io.EOF) {
				return 0, err
			}
		}
		if n > 0 {
			if err := s.guard.pass(p[:n]); err != nil {
				return 0, err
			}
			return n, nil
		}
	}
}

// heldMost is how many bytes of packets wait for others at most: what goes in
// one write.
const heldMost = 15 << 10

// Write sends p, and what waits in front of it, as one message; or lets it
// wait if more comes at once. The broker never writes twice at a time.
func (s *socket) Write(p []byte) (int, error) {
	if len(s.held)+len(p) > heldMost {
		if err := s.flush(); err != nil {
			return 0, err
		}
		return len(p), s.message(p)
	}
	if s.more.Load() {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	if len(s.held) == 0 {
		return len(p), s.message(p)
	}
	s.held = append(s.held, p...)
	return len(p), s.flush()
}

// flush sends what waits.
func (s *socket) flush() error {
	if len(s.held) == 0 {
		return nil
	}
	p := s.held
	s.held = s.held[:0]
	return s.message(p)
}

func (s *socket) message(p []byte) error {
	_ = s.ws.SetWriteDeadline(time.Now().Add(s.writeTimeout)) // it only notes the time
	return s.ws.WriteMessage(websocket.BinaryMessage, p)
}

// Close says goodbye if that does not wait, and closes the connection.
func (s *socket) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = s.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(50*time.Millisecond))
		err = s.ws.NetConn().Close()
	})
	return err
}

// abort closes the connection without a word.
func (s *socket) abort() { _ = s.ws.NetConn().Close() }

func (s *socket) LocalAddr() net.Addr  { return s.ws.LocalAddr() }
func (s *socket) RemoteAddr() net.Addr { return s.ws.RemoteAddr() }

// SetDeadline is how the broker demands signs of life. It does not touch
// writing, which has its own, shorter limit.
func (s *socket) SetDeadline(t time.Time) error      { return s.ws.SetReadDeadline(t) }
func (s *socket) SetReadDeadline(t time.Time) error  { return s.ws.SetReadDeadline(t) }
func (s *socket) SetWriteDeadline(t time.Time) error { return s.ws.SetWriteDeadline(t) }

// pong is called for the answer to a WebSocket ping.
func (s *socket) pong(string) error {
	if s.patient.Load() {
		return s.ws.SetReadDeadline(time.Now().Add(maxKeepalive * 3 / 2))
	}
	return nil
}

func (s *socket) ping() error {
	return s.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
}

// packetGuard follows the borders of MQTT packets in a byte stream.
type packetGuard struct {
	limit    int
	left     int // bytes to the end of the packet
	inLength bool
	length   int
	shift    int
}

// pass looks at what is about to reach the broker.
func (g *packetGuard) pass(p []byte) error {
	for len(p) > 0 {
		switch {
		case g.left > 0:
			n := min(g.left, len(p))
			g.left -= n
			p = p[n:]
			continue
		case !g.inLength: // the byte with the packet's type
			g.inLength, g.length, g.shift = true, 0, 0
		case g.shift > 21: // a length has at most four bytes
			return errPacketSize
		default:
			g.length |= int(p[0]&0x7f) << g.shift
			g.shift += 7
			if p[0]&0x80 != 0 {
				break
			}
			if g.length > g.limit {
				return errPacketSize
			}
			g.inLength, g.left = false, g.length
		}
		p = p[1:]
	}
	return nil
}

// pendingList holds the connections that have not logged in, oldest first.
type pendingList struct {
	order list.List
	at    map[*socket]*list.Element
}

// add appends s and, if there are more than limit, takes out and returns the
// oldest one.
func (l *pendingList) add(s *socket, limit int) *socket {
	if l.at == nil {
		l.at = map[*socket]*list.Element{}
	}
	l.at[s] = l.order.PushBack(s)
	if l.order.Len() <= limit {
		return nil
	}
	oldest, _ := l.order.Front().Value.(*socket)
	l.remove(oldest)
	return oldest
}

func (l *pendingList) remove(s *socket) {
	if e, ok := l.at[s]; ok {
		l.order.Remove(e)
		delete(l.at, s)
	}
}
