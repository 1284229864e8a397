package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// The topics of the bare exchange.
const (
	requests = "bench/request"
	replies  = "bench/reply"
)

// broker starts the broker of the distribution with a program that replies.
func (b *bench) broker(ctx context.Context) (*subject, error) {
	const program = "mosquitto" //nolint:misspell // its name
	s := &subject{name: program + ": bare request and reply, QoS 0"}
	path, err := exec.LookPath(program)
	if err != nil {
		s.missing = "not installed"
		return s, nil
	}
	at, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.work, program+".conf")
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n", port(at))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if s.proc, err = b.spawn(program, nil, path, "-c", file); err != nil {
		return nil, err
	}
	if err := s.proc.await(ctx, at); err != nil {
		return nil, err
	}
	if _, err := b.own(ctx, "responder", target+"="+at); err != nil {
		return nil, err
	}
	s.load = func(ctx context.Context) (int, time.Duration, error) { return b.exchange(ctx, at) }
	return s, nil
}

func connect(at string) (paho.Client, error) {
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + at).SetOrderMatters(false))
	token := c.Connect()
	if !token.WaitTimeout(10 * time.Second) {
		return nil, errors.New("the broker does not answer")
	}
	return c, token.Error()
}

// respond replies to every request until ctx ends: with its number, and the
// body that everybody answers.
func respond(ctx context.Context) error {
	c, err := connect(os.Getenv(target))
	if err != nil {
		return err
	}
	token := c.Subscribe(requests, 0, func(c paho.Client, m paho.Message) {
		c.Publish(replies, 0, false, append(m.Payload()[:8:8], body()...))
	})
	if token.Wait(); token.Error() != nil {
		return token.Error()
	}
	<-ctx.Done()
	c.Disconnect(100)
	return nil
}

// exchange sends requests, as many at a time as other loads have connections.
func (b *bench) exchange(ctx context.Context, at string) (int, time.Duration, error) {
	c, err := connect(at)
	if err != nil {
		return 0, 0, err
	}
	defer c.Disconnect(100)
	var waiting [connections]chan struct{}
	for i := range waiting {
		waiting[i] = make(chan struct{}, 1)
	}
	token := c.Subscribe(replies, 0, func(_ paho.Client, m paho.Message) {
		waiting[binary.BigEndian.Uint64(m.Payload())%connections] <- struct{}{}
	})
	if token.Wait(); token.Error() != nil {
		return 0, 0, token.Error()
	}
	begun := time.Now()
	end := begun.Add(time.Duration(b.seconds) * time.Second)
	counts := make([]int, connections)
	var all sync.WaitGroup
	for i := range waiting {
		all.Go(func() {
			payload := append(binary.BigEndian.AppendUint64(nil, uint64(i)), body()...)
			for ; time.Now().Before(end); counts[i]++ {
				c.Publish(requests, 0, false, payload)
				select {
				case <-waiting[i]:
				case <-ctx.Done():
					return
				case <-time.After(5 * time.Second): // the responder has just begun, or a reply is lost
				}
			}
		})
	}
	all.Wait()
	n := 0
	for _, c := range counts {
		n += c
	}
	return n, time.Since(begun), ctx.Err()
}
