package mqtt

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// Ten thousand calls with 64 in flight against a client that does everything
// at QoS 2: none is lost, and none gets another's reply.
func TestTenThousandCallsAtQoS2AreNeitherLostNorSwapped(t *testing.T) {
	const calls, inFlight = 10_000, 64
	r := newRig(t, Options{Timeout: time.Minute})
	sys := r.system("clock")
	conn := r.open(t, sys)
	r.service(t, sys, "cseMQTT", 2, echo)
	var next, wrong atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range inFlight {
		workers.Go(func() {
			for {
				n := next.Add(1)
				if n > calls {
					return
				}
				body := binary.BigEndian.AppendUint64(nil, uint64(n))
				path := fmt.Sprintf("/api/%d", n)
				m, err := conn.Do(context.Background(), message(path, body))
				if err != nil {
					t.Errorf("call %d: %v", n, err)
					continue
				}
				got, _ := m.Response.Body.Bytes(100)
				if string(got) != string(body) || m.Response.Header.Get("X-Path") != path {
					wrong.Add(1)
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	if wrong.Load() != 0 {
		t.Errorf("%d replies were swapped", wrong.Load())
	}
	s := r.Stats()
	if s.Replies != calls || s.Requests != calls || s.Waiting != 0 || s.Late != 0 || s.Timeouts != 0 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d calls in %v: %.0f a second", calls, took, calls/took.Seconds())
}

// A service that stops reading delays nobody: its queue fills, further calls
// fail at once, and another service does not notice.
func TestASlowConsumerDelaysNobody(t *testing.T) {
	r := newPlainRig(t, Options{QueueLength: 4, WriteTimeout: time.Hour, Timeout: time.Hour})
	slow, other := r.system("slow"), r.system("other")
	slowConn, otherConn := r.open(t, slow), r.open(t, other)
	r.service(t, other, "", 0, echo)
	r.stuck(t, slow)

	const n = 14
	body := make([]byte, 1<<20)
	var full, lost atomic.Int64
	var calls sync.WaitGroup
	for range n {
		calls.Go(func() {
			_, err := slowConn.Do(context.Background(), message("/a", body))
			switch {
			case core.ErrorCode(err) != core.Unavailable:
				t.Errorf("a call to the slow service: %v", err)
			case strings.Contains(err.Error(), "does not keep up"):
				full.Add(1)
			default:
				lost.Add(1)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return int64(r.Stats().Waiting)+full.Load() == n && full.Load() > 0 })
	for range 100 {
		if _, err := otherConn.Do(t.Context(), message("/a", nil)); err != nil {
			t.Fatal(err)
		}
	}
	r.Revoke(slow.ID, nil)
	calls.Wait() // the hour of the time limits would not end
	if full.Load()+lost.Load() != n || lost.Load() == 0 {
		t.Errorf("%d calls found the queue full, %d were lost with the session", full.Load(), lost.Load())
	}
}

func TestASessionThatDoesNotReadIsDropped(t *testing.T) {
	r := newPlainRig(t, Options{WriteTimeout: 100 * time.Millisecond, Timeout: time.Hour})
	sys := r.system("slow")
	conn := r.open(t, sys)
	r.stuck(t, sys)
	body := make([]byte, 6<<20)
	if _, err := conn.Do(t.Context(), message("/a", body)); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("got %v", err)
	}
	eventually(t, "the session is gone", func() bool { return r.Stats().Sessions == 0 })
}

// stuck connects a client that subscribes and then reads nothing more.
func (r *rig) stuck(t *testing.T, sys core.System) {
	t.Helper()
	c := r.dial(t)
	if tcp, ok := c.ws.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	c.login(4, sys.Triplet(), "")
	monitor, _ := Topics(sys)
	c.subscribe(4, monitor, 0)
}

func TestTheQueueOfASessionIsLimitedInBytes(t *testing.T) {
	k := &Kind{opts: Options{QueueLength: 10, QueueBytes: 100}}
	s := &session{kind: k, queue: make(chan delivery, 10), done: make(chan struct{})}
	item := func(n int) delivery { return delivery{buf: &buffer{data: make([]byte, n)}} }
	if !s.enqueue(item(500)) {
		t.Error("a single message over the limit was refused by an empty queue")
	}
	if s.enqueue(item(1)) {
		t.Error("a message was taken by a queue over its limit")
	}
	d := <-s.queue
	s.queued.Add(-int64(len(d.buf.data)))
	for i := range 10 {
		if !s.enqueue(item(10)) {
			t.Errorf("message %d was refused", i)
		}
	}
	if s.enqueue(item(0)) {
		t.Error("a full queue took a message")
	}
	if s.queued.Load() != 100 {
		t.Errorf("%d bytes are counted", s.queued.Load())
	}
	close(s.done)
	if s.enqueue(item(0)) {
		t.Error("an ended session took a message")
	}
}

// Everything that can happen to a waiter, at once: exactly one outcome each.
func TestHammerWaiters(t *testing.T) {
	table := newWaiters()
	sessions := []*session{{system: "a"}, {system: "a"}, {system: "b"}}
	workers := 2 * runtime.GOMAXPROCS(0)
	outcomes, removed, group := atomic.Int64{}, atomic.Int64{}, sync.WaitGroup{}
	const each = 3000
	ids := make(chan string, 64)
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case id := <-ids:
				table.deliver("b", id, nil)
				table.deliver("a", id, []byte("reply"))
				if i%100 == 0 {
					table.failSession(sessions[i/100%3], context.Canceled)
				}
			}
		}
	})
	for n := range workers {
		group.Go(func() {
			for i := range each {
				s := sessions[(n+i)%3]
				w := table.add(newID(), s)
				select {
				case ids <- w.id:
				default:
				}
				switch i % 3 {
				case 0:
					table.fail(w, context.DeadlineExceeded)
				case 1:
					if table.remove(w) {
						removed.Add(1)
						continue
					}
				case 2:
					go table.fail(w, context.Canceled)
				}
				out := <-w.done
				if (out.err == nil) == (out.reply == nil) && s.system == "a" {
					t.Errorf("outcome %+v", out)
				}
				outcomes.Add(1)
			}
		})
	}
	group.Wait()
	close(stop)
	noise.Wait()
	if total := outcomes.Load() + removed.Load(); total != int64(workers*each) || table.len() != 0 {
		t.Errorf("%d outcomes, %d removed, %d left", outcomes.Load(), removed.Load(), table.len())
	}
}

// Clients come, go, subscribe, answer and are revoked while calls are made:
// every call ends, and nothing is left behind.
func TestHammerSessions(t *testing.T) {
	r := newPlainRig(t, Options{Timeout: 5 * time.Second})
	systems := []core.System{r.system("a"), r.system("b")}
	stop := make(chan struct{})
	var churn, calls sync.WaitGroup
	for n := range 4 {
		sys := systems[n%2]
		churn.Go(func() {
			monitor, respond := Topics(sys)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c := r.dial(t)
				// Two of the clients share an id and take it over from each other.
				c.login(5, sys.Triplet(), fmt.Sprintf("shared-%s", sys.Name))
				c.answerSome(monitor, respond, 1+i%7)
				if i%5 == 0 {
					r.Revoke(sys.ID, nil)
				}
				_ = c.ws.NetConn().Close()
			}
		})
	}
	var ok, failed atomic.Int64
	end := time.Now().Add(guard)
	for n := range 4 {
		conn := r.open(t, systems[n%2])
		calls.Go(func() {
			for ok.Load() < 200 && time.Now().Before(end) {
				m, err := conn.Do(context.Background(), message("/a", []byte("x")))
				switch {
				case err == nil && m.Response.Status == 200:
					ok.Add(1)
				case core.ErrorCode(err) == core.Unavailable:
					failed.Add(1)
					time.Sleep(time.Millisecond)
				default:
					t.Errorf("a call gave %v", err)
				}
			}
		})
	}
	calls.Wait()
	close(stop)
	churned := make(chan struct{})
	go func() { churn.Wait(); close(churned) }()
	eventually(t, "the clients end", func() bool {
		for _, sys := range systems {
			r.Revoke(sys.ID, nil) // they wait for requests
		}
		select {
		case <-churned:
			return true
		default:
			return false
		}
	})
	if ok.Load() < 200 {
		t.Errorf("only %d calls were answered", ok.Load())
	}
	eventually(t, "nothing is left", func() bool {
		s := r.Stats()
		return s.Waiting == 0 && s.Sessions == 0 && s.Connections == 0 && r.broker.Clients.Len() == 0 && len(r.subscribers) == 0
	})
	t.Logf("%d calls answered, %d failed, %+v", ok.Load(), failed.Load(), r.Stats())
}

// answerSome subscribes and answers up to n requests, or until it is thrown out.
func (c *raw) answerSome(monitor, respond string, n int) {
	c.send(subscribePacket(5, monitor)...)
	for n > 0 {
		frame := c.packet()
		if frame == nil {
			return
		}
		if frame[0]>>4 != 3 {
			continue
		}
		at := slices.Index(frame, '{')
		req, err := wire.DecodeRequest(frame[at:])
		if err != nil {
			c.t.Error(err)
			return
		}
		c.publish(5, respond, wire.AppendResponse(nil, echo(req)), nil)
		n--
	}
}

func BenchmarkCall1KiB(b *testing.B) {
	for name, start := range map[string]func(testing.TB, Options) *rig{"plain": newPlainRig, "TLS": newRig} {
		b.Run(name, func(b *testing.B) {
			r := start(b, Options{})
			sys := r.system("clock")
			conn := r.open(b, sys)
			r.service(b, sys, "", 0, echo)
			m := message("/api/x", make([]byte, 1024))
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := conn.Do(context.Background(), m); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// A thousand services at once: each is admitted, each gets its own calls and
// nobody else's, and when they have gone nothing of them is left.
func TestAThousandServicesAnswerTheirOwnCalls(t *testing.T) {
	const services, callers = 1_000, 32
	r := newPlainRig(t, Options{})
	conns := make([]core.Conn, services)
	clients := make([]interface{ Disconnect(uint) }, services)
	for i := range services {
		sys := r.system(fmt.Sprintf("service%d", i))
		conns[i] = r.open(t, sys)
		clients[i] = r.service(t, sys, "", 0, func(req wire.Request) *wire.Response {
			reply := echo(req)
			reply.Message.Body = append([]byte(sys.Name+" "), reply.Message.Body...)
			return reply
		})
	}
	if n := r.Stats().Sessions; n != services {
		t.Fatalf("%d services are connected", n)
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range callers {
		workers.Go(func() {
			for n := next.Add(1) - 1; n < 2*services; n = next.Add(1) - 1 {
				i := int(n) % services
				m, err := conns[i].Do(context.Background(), message("/api/x", fmt.Append(nil, n)))
				if err != nil {
					t.Errorf("call %d: %v", n, err)
					continue
				}
				if got, _ := m.Response.Body.Bytes(100); string(got) != fmt.Sprintf("service%d %d", i, n) {
					t.Errorf("call %d was answered %q", n, got)
				}
			}
		})
	}
	workers.Wait()
	for _, c := range clients {
		c.Disconnect(0)
	}
	eventually(t, "all services have gone", func() bool { s := r.Stats(); return s.Sessions == 0 && s.Connections == 0 })
}
