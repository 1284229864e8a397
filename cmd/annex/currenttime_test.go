package main

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// The example of the mission, with a client that is not ours: registration,
// token, filter; then calls, 64 in flight, each with a time of its own to be
// told again, over MQTT at QoS 2. None is lost, and none gets another's reply.
func TestEveryCallForTheCurrentTimeGetsItsOwnReply(t *testing.T) {
	calls, inFlight := int64(10_000), 64
	if os.Getenv("ANNEX_LONG") != "" {
		calls = 100_000
	}
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), "--log-level", "warn")
	p.login()
	var svc struct {
		ID         string
		MQTTTopics struct{ Monitor, Respond string }
	}
	p.post("/cloudapi/extensions/api", map[string]any{
		"name": "test", "version": "1.0.0", "vendor": "vmware", "priority": 100, "enabled": true, "authorizationEnabled": false,
	}, &svc)
	var token struct{ Token string }
	p.post("/cloudapi/1.0.0/tokens", map[string]string{"name": "vmware/test/1.0.0", "type": "EXTENSION", "extensionId": svc.ID}, &token)
	p.filter(svc.ID, "/api/org/.*/currentTime")
	p.clock(svc.MQTTTopics.Monitor, svc.MQTTTopics.Respond, token.Token)

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}, MaxIdleConnsPerHost: inFlight}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: hang}
	var next, failed atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range inFlight {
		workers.Go(func() {
			for n := next.Add(1); n <= calls && failed.Load() < 10; n = next.Add(1) {
				if err := p.askTheTime(client, n); err != nil {
					failed.Add(1)
					t.Errorf("call %d: %v", n, err)
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	t.Logf("%d calls in %v: %.0f a second", calls, took, float64(calls)/took.Seconds())
	if t.Failed() {
		t.Log(p.logs.String())
	}
}

// askTheTime makes a call that must be answered with what only it asked for.
func (p *process) askTheTime(client *http.Client, n int64) error {
	target := fmt.Sprintf("/api/org/%d/currentTime", n)
	body := fmt.Sprintf("call %d", n)
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.base+target, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.client.Token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if want := "time for " + target + " " + body; resp.StatusCode != http.StatusOK || string(b) != want {
		return fmt.Errorf("%d %q, want %q", resp.StatusCode, b, want)
	}
	return nil
}

// clock connects a service as the mission's sample does, but for QoS 2. It
// reads and writes the messages with encoding/json, not with our own code.
func (p *process) clock(monitor, respond, token string) {
	p.t.Helper()
	c := paho.NewClient(paho.NewClientOptions().
		AddBroker("wss" + strings.TrimPrefix(p.base, "https") + "/messaging/mqtt").SetTLSConfig(&tls.Config{RootCAs: p.roots}).
		SetClientID("clock").SetUsername("vmware/test/1.0.0").SetPassword(token).
		SetKeepAlive(101 * time.Second).SetAutoReconnect(false).SetCleanSession(true).SetProtocolVersion(4).
		SetOrderMatters(false))
	done := func(what string, t paho.Token) {
		p.t.Helper()
		if !t.WaitTimeout(hang) || t.Error() != nil {
			p.t.Fatalf("%s: %v", what, t.Error())
		}
	}
	var replying sync.WaitGroup // a call is answered before QoS 2 is through with the reply
	done("connect", c.Connect())
	done("subscribe", c.Subscribe(monitor, 2, func(c paho.Client, m paho.Message) {
		replying.Add(1)
		defer replying.Done()
		reply, err := tellTheTime(m.Payload())
		if err == nil {
			t := c.Publish(respond, 2, false, reply)
			t.Wait()
			err = t.Error()
		}
		if err != nil {
			p.t.Errorf("the service: %v in %s", err, m.Payload())
		}
	}))
	p.t.Cleanup(func() {
		replying.Wait()
		c.Disconnect(0)
	})
}

func tellTheTime(payload []byte) ([]byte, error) {
	var in struct {
		Headers     struct{ RequestID string }
		HTTPRequest []byte
	}
	var request struct {
		Message struct {
			RequestURI string
			Body       []byte
		}
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(in.HTTPRequest, &request); err != nil {
		return nil, err
	}
	if in.Headers.RequestID == "" {
		return nil, errors.New("no request id")
	}
	body := fmt.Sprintf("time for %s %s", request.Message.RequestURI, request.Message.Body)
	return json.Marshal(map[string]any{
		"type":    "API_RESPONSE",
		"headers": map[string]any{"requestId": in.Headers.RequestID},
		"httpResponse": map[string]any{
			"statusCode": 200,
			"headers":    map[string]any{"Content-Type": "text/plain", "Content-Length": len(body)},
			"body":       base64.StdEncoding.EncodeToString([]byte(body)),
		},
	})
}
