package docs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// hang is how long a transcript waits for what takes no time at all.
const hang = 30 * time.Second

// A transcript is an exchange in a file, played against a whole gateway. What
// stands before the first heading, and lines that begin with "# ", are for
// readers. A heading is a line of the form "-- words --"; below it stands
//
//	call                a request that is sent: method and target, header, body.
//	                    It is the administrator's unless it has an
//	                    Authorization or Cookie of its own
//	answer              what came back: status, fields that it must have, body.
//	                    "!Name" is a field that it must not have
//	connect V/N/V       the token with which a service logs in over MQTT
//	V/N/V gets          the message that the service is sent, with httpRequest decoded
//	V/N/V replies       the message that it sends back
//	endpoint gets       the request that the endpoint is sent
//	endpoint answers    what it answers
//
// ${name} is a placeholder: the first time something is received it takes the
// value, from then on it stands for that value. ${name:uuid}, :time and
// :number take nothing else. ${host}, ${endpoint} and ${admin} are known from
// the beginning: the gateway's address, the endpoint's URL, the
// administrator's session token. Bodies that are JSON are compared as JSON, to
// the last member.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, openHouse(t), bindings{}, file, string(text))
		})
	}
}

// play runs a transcript to its end or to the first difference. It knows the
// values from the beginning, and adds to them.
func play(t *testing.T, h *house, values bindings, file, text string) {
	t.Helper()
	values["host"], values["endpoint"], values["admin"] = h.address(), h.endpoint.URL, h.admin
	p := &player{T: t, house: h, services: map[string]*service{}, values: values}
	steps := stepsOf(text)
	if len(steps) == 0 {
		t.Fatalf("%s has no heading", file)
	}
	for _, s := range steps {
		if err := p.step(s); err != nil {
			t.Fatalf("%s:%d: %s: %v", file, s.line, s.heading, err)
		}
	}
	if p.answer != nil {
		t.Fatalf("%s: the last call has no answer", file)
	}
}

// step is a heading with what stands below it.
type step struct {
	line    int
	heading string
	text    string
}

func stepsOf(text string) []step {
	var steps []step
	for i, line := range strings.Split(text, "\n") {
		if heading, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(heading, " --") {
			steps = append(steps, step{line: i + 1, heading: strings.TrimSuffix(heading, " --")})
		} else if len(steps) > 0 && !strings.HasPrefix(line, "# ") {
			steps[len(steps)-1].text += line + "\n"
		}
	}
	return steps
}

// message is a request or an answer as a transcript writes it.
type message struct {
	first  string
	header []field
	body   string
}

type field struct{ name, value string }

func messageOf(text string) (m message) {
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	m.first, m.body = lines[0], strings.Trim(body, "\n")
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		m.header = append(m.header, field{name, strings.TrimSpace(value)})
	}
	return m
}

func (m message) status() int {
	n, _ := strconv.Atoi(m.first)
	return n
}

func (m message) has(name string) bool {
	for _, f := range m.header {
		if strings.EqualFold(f.name, name) {
			return true
		}
	}
	return false
}

// player plays one transcript.
type player struct {
	*testing.T
	house    *house
	values   bindings
	answer   chan received // of the call under way
	services map[string]*service
}

// received is an answer, or why there is none.
type received struct {
	status int
	header http.Header
	body   string
	err    error
}

func (p *player) step(s step) error {
	words := strings.Fields(s.heading)
	switch {
	case s.heading == "call":
		return p.call(messageOf(s.text))
	case s.heading == "answer":
		return p.answered(messageOf(s.text))
	case s.heading == "endpoint gets":
		return p.endpointGets(messageOf(s.text))
	case s.heading == "endpoint answers":
		return p.endpointAnswers(s.text)
	case len(words) == 2 && words[0] == "connect":
		return p.connect(words[1], strings.TrimSpace(s.text))
	case len(words) == 2 && words[1] == "gets":
		return p.gets(words[0], s.text)
	case len(words) == 2 && words[1] == "replies":
		return p.replies(words[0], s.text)
	}
	return errors.New("there is no such heading")
}

func (p *player) call(m message) error {
	if p.answer != nil {
		return errors.New("the call before has no answer yet")
	}
	first, err1 := p.values.fill(m.first)
	body, err2 := p.values.fill(m.body)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	method, target, _ := strings.Cut(first, " ")
	req, err := http.NewRequestWithContext(p.Context(), method, p.house.server.URL+target, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "") // only what the transcript says is sent
	for _, f := range m.header {
		value, err := p.values.fill(f.value)
		if err != nil {
			return err
		}
		req.Header.Add(f.name, value)
	}
	if !m.has("Authorization") && !m.has("Cookie") {
		req.Header.Set("Authorization", "Bearer "+p.house.admin)
	}
	p.answer = make(chan received, 1)
	go func(answer chan<- received) { answer <- p.house.send(req) }(p.answer)
	return nil
}

func (h *house) send(req *http.Request) (r received) {
	resp, err := h.client.Do(req)
	if err != nil {
		return received{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return received{resp.StatusCode, resp.Header, string(b), err}
}

func (p *player) answered(want message) error {
	if p.answer == nil {
		return errors.New("there was no call")
	}
	got, err := wait(p.answer)
	p.answer = nil
	if err := errors.Join(err, got.err); err != nil {
		return err
	}
	if got.status != want.status() {
		return fmt.Errorf("want %s, got %d %s", want.first, got.status, got.body)
	}
	return errors.Join(p.matchHeader(want, got.header), p.matchBody(want.body, got.body))
}

func (p *player) matchHeader(want message, got http.Header) error {
	var errs []error
	for _, f := range want.header {
		if name, absent := strings.CutPrefix(f.name, "!"); absent {
			if got[http.CanonicalHeaderKey(name)] != nil {
				errs = append(errs, fmt.Errorf("%s: %v is there", name, got.Values(name)))
			}
		} else if err := p.values.match(f.value, strings.Join(got.Values(f.name), ", ")); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
	}
	return errors.Join(errs...)
}

func (p *player) matchBody(want, got string) error {
	if strings.HasPrefix(want, "{") || strings.HasPrefix(want, "[") {
		return p.values.matchJSON(want, got)
	}
	return p.values.match(want, strings.TrimRight(got, "\n"))
}

// wait gives what comes from c, in reasonable time.
func wait[T any](c <-chan T) (v T, err error) {
	select {
	case v = <-c:
		return v, nil
	case <-time.After(hang):
		return v, errors.New("nothing came")
	}
}

func (p *player) endpointGets(want message) error {
	r, err := wait(p.house.requests)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	first := r.Method + " " + r.RequestURI
	return errors.Join(p.values.match(want.first, first), p.matchHeader(want, r.Header), p.matchBody(want.body, string(body)))
}

func (p *player) endpointAnswers(text string) error {
	text, err := p.values.fill(text)
	if err != nil {
		return err
	}
	select {
	case p.house.answers <- messageOf(text):
		return nil
	case <-time.After(hang):
		return errors.New("the endpoint was not asked")
	}
}

// service is a service on the messaging bus.
type service struct {
	client   paho.Client
	messages chan []byte
}

func (p *player) connect(triplet, token string) error {
	token, err := p.values.fill(token)
	if err != nil {
		return err
	}
	s := &service{messages: make(chan []byte, 10)}
	s.client = paho.NewClient(paho.NewClientOptions().
		AddBroker("wss://" + p.house.address() + "/messaging/mqtt").SetTLSConfig(p.house.roots()).
		SetClientID("transcript").SetUsername(triplet).SetPassword(token).
		SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetKeepAlive(101 * time.Second))
	for _, act := range []func() paho.Token{s.client.Connect, func() paho.Token {
		return s.client.Subscribe("topic/extension/"+triplet+"/ext", 2, func(_ paho.Client, m paho.Message) { s.messages <- m.Payload() })
	}} {
		if t := act(); !t.WaitTimeout(hang) || t.Error() != nil {
			return fmt.Errorf("the service cannot log in: %w", t.Error())
		}
	}
	p.Cleanup(func() { s.client.Disconnect(0) })
	p.services[triplet] = s
	return nil
}

func (p *player) gets(triplet, want string) error {
	s := p.services[triplet]
	if s == nil {
		return fmt.Errorf("%s is not connected", triplet)
	}
	payload, err := wait(s.messages)
	if err != nil {
		return err
	}
	got, err := readable(payload)
	if err != nil {
		return fmt.Errorf("%w in %s", err, payload)
	}
	return p.values.matchJSON(want, got)
}

// readable puts what httpRequest holds in base64 in its place.
func readable(payload []byte) (string, error) {
	var m map[string]json.RawMessage
	var encoded string
	if err := errors.Join(json.Unmarshal(payload, &m), json.Unmarshal(m["httpRequest"], &encoded)); err != nil {
		return "", err
	}
	var err error
	if m["httpRequest"], err = base64.StdEncoding.DecodeString(encoded); err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = json.NewEncoder(&b).Encode(m)
	return b.String(), err
}

func (p *player) replies(triplet, text string) error {
	s := p.services[triplet]
	if s == nil {
		return fmt.Errorf("%s is not connected", triplet)
	}
	text, err := p.values.fill(text)
	if err != nil {
		return err
	}
	t := s.client.Publish("topic/extension/"+triplet+"/vcd", 2, false, text)
	if !t.WaitTimeout(hang) {
		return errors.New("the reply is not acknowledged")
	}
	return t.Error()
}
