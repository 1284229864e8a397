package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Config says where the gateway is and who the service is. URL, Vendor, Name,
// Version and Token are needed, the rest has defaults.
type Config struct {
	URL                   string // wss://host:port/messaging/mqtt
	Vendor, Name, Version string // as registered
	Token                 string // an extension token of the service

	TLS          *tls.Config   // nil: the system's certificate authorities
	ClientID     string        // default: a new one for each Run
	Concurrency  int           // calls that the handler works on at once; default 64
	Queue        int           // calls that wait for it; beyond them callers get 429; default 64
	DrainTimeout time.Duration // for calls in flight when ctx ends; default 10 s
	MinBackoff   time.Duration // before the first try to connect again; default 500 ms
	MaxBackoff   time.Duration // default 5 s
	Logger       *slog.Logger  // default: none
}

// ErrRefused says that the gateway does not know the service or its token.
var ErrRefused = errors.New("service: the gateway refused the login")

const (
	connectTime = 15 * time.Second
	writeTime   = 10 * time.Second
	steadyTime  = 10 * time.Second // a connection that lasts so long was a good one
)

// Run connects to the gateway and lets h answer its calls until ctx ends;
// then it takes no more calls, lets those in flight end, and returns nil.
// Handlers must heed their request's context, which ends with the drain time.
//
// A lost connection is made again, with growing pauses. Run gives up only if
// the very first login is refused, or the Config cannot be used.
func Run(ctx context.Context, c Config, h http.Handler) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r := newRunner(work, c, h)
	pause := c.MinBackoff
	for first := true; ; first = false {
		began := time.Now()
		err := r.session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case first && errors.Is(err, ErrRefused):
			return err
		case time.Since(began) > steadyTime:
			pause = c.MinBackoff
		}
		wait := pause/2 + mathrand.N(pause/2+1) //nolint:gosec // spreads reconnects, guards nothing
		c.Logger.WarnContext(ctx, "service: not connected", "cause", err, "retry_in", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		pause = min(2*pause, c.MaxBackoff)
	}
}

func (c Config) complete() (Config, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "wss" && u.Scheme != "ws" || u.Host == "":
		return c, fmt.Errorf("service: URL %q: wss://host:port/messaging/mqtt is needed", c.URL)
	case c.Vendor == "" || c.Name == "" || c.Version == "":
		return c, errors.New("service: Vendor, Name and Version are needed, as registered")
	case c.Token == "":
		return c, errors.New("service: Token: an extension token of the service is needed")
	}
	c.ClientID = cmp.Or(c.ClientID, c.Name+"-"+rand.Text())
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	c.Queue = cmp.Or(c.Queue, 64)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 10*time.Second)
	c.MinBackoff = cmp.Or(c.MinBackoff, 500*time.Millisecond)
	c.MaxBackoff = max(cmp.Or(c.MaxBackoff, 5*time.Second), c.MinBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c Config) triplet() string { return c.Vendor + "/" + c.Name + "/" + c.Version }
func (c Config) monitor() string { return "topic/extension/" + c.triplet() + "/ext" }
func (c Config) respond() string { return "topic/extension/" + c.triplet() + "/vcd" }

func (c Config) options(lost func(error), received paho.MessageHandler) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker(c.URL).SetTLSConfig(c.TLS).
		SetClientID(c.ClientID).SetUsername(c.triplet()).SetPassword(c.Token).
		SetProtocolVersion(4).SetCleanSession(true).
		SetKeepAlive(30 * time.Second).SetPingTimeout(10 * time.Second).
		SetConnectTimeout(connectTime).SetWriteTimeout(writeTime).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectionLostHandler(func(_ paho.Client, err error) { lost(err) })
	// The default handler, not one of the subscription: unsubscribing drops
	// the latter before the last messages are in.
	return o.SetDefaultPublishHandler(received)
}

// session is one connection, from the login until it is lost or ctx ends.
func (r *runner) session(ctx context.Context) error {
	lost := make(chan error, 1)
	client := paho.NewClient(r.options(func(err error) { lost <- err }, r.received))
	login := client.Connect()
	defer client.Disconnect(250) // also gives up a login under way
	if err := await(ctx, login, connectTime+writeTime); err != nil {
		if errors.Is(err, packets.ErrorRefusedNotAuthorised) || errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) {
			return fmt.Errorf("%w of %s: %w", ErrRefused, r.triplet(), err)
		}
		return fmt.Errorf("service: %s: %w", r.URL, err)
	}
	sub := client.Subscribe(r.monitor(), 0, nil)
	if err := await(ctx, sub, writeTime); err != nil {
		return fmt.Errorf("service: subscribing to %s: %w", r.monitor(), err)
	}
	// The client library takes a refusal for a success.
	if s, ok := sub.(*paho.SubscribeToken); ok && s.Result()[r.monitor()] >= 0x80 {
		return fmt.Errorf("service: the gateway refused the subscription to %s", r.monitor())
	}
	r.Logger.InfoContext(ctx, "service: connected", "url", r.URL, "service", r.triplet())
	select {
	case err := <-lost:
		return err
	case <-ctx.Done():
	}
	client.Unsubscribe(r.monitor()).WaitTimeout(writeTime)
	r.drain()
	r.Logger.InfoContext(ctx, "service: stopped", "service", r.triplet())
	return nil
}

// await waits for the end of an exchange with the broker.
func await(ctx context.Context, t paho.Token, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timer.C:
		return errors.New("the broker does not answer")
	case <-ctx.Done():
		return ctx.Err()
	}
}
