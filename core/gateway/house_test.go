package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/plugins/https"
	"github.com/annex-gateway/annex/plugins/mqtt"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/sdk/wire"
	"github.com/annex-gateway/annex/storage/memory"
)

// patience ends a hanging test; nothing is measured with it.
const patience = 20 * time.Second

const adminPassword = "test-password"

// house is a whole gateway behind real sockets, with the real kinds for MQTT
// services and HTTPS endpoints, and a fake one for WASM modules.
type house struct {
	*testing.T
	gw     *gateway.Gateway
	server *httptest.Server
	wasm   *plugintest.Fake
	log    *buffer
	token  string // of the administrator
}

// buffer is written to by many.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// settings are what a test changes of its house.
type settings struct {
	gateway.Options
	mqtt      mqtt.Options
	endpoints https.Options
	plain     bool // no TLS in front
}

func newHouse(t *testing.T, change func(*settings)) *house {
	t.Helper()
	h := &house{T: t, log: &buffer{}}
	s := settings{endpoints: https.Options{Guard: https.DialPolicy{AllowLoopback: true}.Guard}}
	s.Store, s.AdminPassword = memory.New(), adminPassword
	s.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Kinds = func(host core.Host) ([]core.Kind, error) {
		h.wasm = plugintest.NewFake(core.KindWASM, core.Stages()...)
		return []core.Kind{mqtt.New(host, s.mqtt), https.New(host, s.endpoints), h.wasm}, nil
	}
	if change != nil {
		change(&s)
	}
	var err error
	if h.gw, err = gateway.New(t.Context(), s.Options); err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewUnstartedServer(nil)
	h.server.Config = gateway.NewServer(h.gw, s.Log)
	h.server.EnableHTTP2 = true
	if s.plain {
		h.server.Start()
	} else {
		h.server.StartTLS()
	}
	t.Cleanup(func() {
		if err := h.gw.Close(); err != nil {
			t.Error(err)
		}
		h.server.Close()
	})
	h.token = h.login("administrator", core.SystemOrg, adminPassword)
	return h
}

// login gives the token of a new session.
func (h *house) login(user, org, password string) string {
	h.Helper()
	path := "/cloudapi/1.0.0/sessions"
	if org == core.SystemOrg {
		path += "/provider"
	}
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user+"@"+org, password)
	got := h.do("POST", path, "", "Authorization", r.Header.Get("Authorization"))
	token := got.header.Get("X-Vmware-Vcloud-Access-Token")
	if got.status != 200 || token == "" {
		h.Fatalf("login of %s@%s: %d %s", user, org, got.status, got.body)
	}
	return token
}

type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
}

// request makes one whose path stands on the wire as it is written.
func (h *house) request(method, path string, body io.Reader, header ...string) *http.Request {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.server.URL, body)
	if err != nil {
		h.Fatal(err)
	}
	req.URL.Path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	req.URL.Opaque = "//" + req.URL.Host + req.URL.Path
	for i := 0; i < len(header); i += 2 {
		req.Header[http.CanonicalHeaderKey(header[i])] = append(req.Header[http.CanonicalHeaderKey(header[i])], header[i+1])
	}
	return req
}

// do makes a call over HTTP/2, or HTTP/1 where there is no TLS, with pairs of
// header names and values. Redirects are not followed.
func (h *house) do(method, path, body string, header ...string) answer {
	h.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	resp, err := h.client().Transport.RoundTrip(h.request(method, path, r, header...))
	if err != nil {
		h.Fatalf("%s %s: %v", method, path, err)
	}
	return h.read(resp)
}

func (h *house) client() *http.Client { return h.server.Client() }

func (h *house) read(resp *http.Response) answer {
	h.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, resp.Trailer, string(b)}
}

// as makes a call with a bearer token.
func (h *house) as(token, method, path, body string, header ...string) answer {
	h.Helper()
	return h.do(method, path, body, append(header, "Authorization", "Bearer "+token)...)
}

// made makes something as the administrator and gives its id.
func (h *house) made(path, body string) string {
	h.Helper()
	r := h.as(h.token, "POST", path, body, "Content-Type", "application/json")
	var out struct{ ID string }
	if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.status != 201 || out.ID == "" {
		h.Fatalf("POST %s %s: %d %s", path, body, r.status, r.body)
	}
	return out.ID
}

// filter is a filter by URL, in JSON.
func filter(scope core.Scope, pattern string) string {
	return fmt.Sprintf(`"urlMatcher":{"urlPattern":%q,"urlScope":%q}`, pattern, scope)
}

// answers is a filter by the type of answers.
func answers(contentType string) string { return fmt.Sprintf(`"responseContentType":%q`, contentType) }

func (h *house) filters(id string, filters ...string) {
	h.Helper()
	for _, f := range filters {
		h.made("/cloudapi/1.0.0/apiFilters", fmt.Sprintf(`{"externalSystem":{"id":%q},%s}`, id, f))
	}
}

// endpoint registers an endpoint with filters.
func (h *house) endpoint(name, root string, filters ...string) (id string) {
	h.Helper()
	id = h.made("/cloudapi/1.0.0/externalEndpoints", fmt.Sprintf(`{"vendor":"acme","name":%q,"version":"1.0.0","enabled":true,"rootUrl":%q}`, name, root))
	h.filters(id, filters...)
	return id
}

// trust makes the gateway trust the server.
func (h *house) trust(s *httptest.Server, alias string) (id string) {
	h.Helper()
	return h.made("/cloudapi/1.0.0/ssl/trustedCertificates", fmt.Sprintf(`{"alias":%q,"certificate":%q}`, alias, pemOf(s.Certificate())))
}

// service registers an MQTT service with filters.
func (h *house) service(name string, priority int, filters ...string) (id string) {
	h.Helper()
	id = h.made("/cloudapi/extensions/api", fmt.Sprintf(
		`{"vendor":"acme","name":%q,"version":"1.0.0","priority":%d,"enabled":true,"authorizationEnabled":false}`, name, priority))
	h.filters(id, filters...)
	return id
}

// listen connects a program to a service: it is given every request and says
// what to publish, nil for nothing.
func (h *house) listen(id, name string, says func(wire.Request) []byte) paho.Client {
	h.Helper()
	made := h.as(h.token, "POST", "/cloudapi/1.0.0/tokens", fmt.Sprintf(`{"name":%q,"type":"EXTENSION","extensionId":%q}`, core.NewUUID(), id))
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(made.body), &token); err != nil || token.Token == "" {
		h.Fatalf("token: %d %s", made.status, made.body)
	}
	topic := "topic/extension/acme/" + name + "/1.0.0"
	o := paho.NewClientOptions().AddBroker("wss" + strings.TrimPrefix(h.server.URL, "https") + mqtt.Path).
		SetClientID(core.NewUUID()).SetUsername("acme/" + name + "/1.0.0").SetPassword(token.Token).
		SetTLSConfig(h.tls()).SetAutoReconnect(false).SetOrderMatters(false)
	c := paho.NewClient(o)
	h.await(c.Connect())
	h.await(c.Subscribe(topic+"/ext", 0, func(c paho.Client, m paho.Message) {
		req, err := wire.DecodeRequest(m.Payload())
		if err != nil {
			h.Errorf("a message that cannot be read: %v", err)
			return
		}
		if b := says(req); b != nil {
			c.Publish(topic+"/vcd", 0, false, b)
		}
	}))
	h.Cleanup(func() { c.Disconnect(0) })
	return c
}

func (h *house) await(t paho.Token) {
	h.Helper()
	if !t.WaitTimeout(patience) {
		h.Fatal("the broker does not answer")
	}
	if err := t.Error(); err != nil {
		h.Fatal(err)
	}
}

// reply is an answer to req as it is published.
func reply(req wire.Request, status int, body string, header ...string) []byte {
	m := wire.Message{Status: status, Body: []byte(body), Headers: []wire.Field{}}
	for i := 0; i < len(header); i += 2 {
		m.Headers = append(m.Headers, wire.Field{Name: header[i], Value: header[i+1]})
	}
	return wire.AppendResponse(nil, &wire.Response{ID: req.ID, Message: m})
}

func (h *house) tls() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(h.server.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "example.com"}
}

// dial opens a connection for HTTP/1.
func (h *house) dial() net.Conn {
	h.Helper()
	c, err := net.DialTimeout("tcp", h.server.Listener.Addr().String(), patience)
	if err != nil {
		h.Fatal(err)
	}
	if h.server.TLS != nil {
		c = tls.Client(c, h.tls())
	}
	h.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// say writes to the connection, line ends and all.
func (h *house) say(c io.Writer, format string, args ...any) {
	h.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		h.Fatal(err)
	}
}

// hear reads one answer to a request of that method.
func (h *house) hear(r *bufio.Reader, method string) answer {
	h.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		h.Fatalf("no answer: %v", err)
	}
	return h.read(resp)
}

// member makes an organisation, if it is new, and a user in it who is logged
// in.
func (h *house) member(org, name string) (token, orgID, userID string) {
	h.Helper()
	orgID = h.find("/cloudapi/1.0.0/orgs", "name=="+org)
	if orgID == "" {
		orgID = h.made("/cloudapi/1.0.0/orgs", fmt.Sprintf(`{"name":%q,"displayName":%q,"isEnabled":true}`, org, org))
	}
	role := h.find("/cloudapi/1.0.0/roles", "name==Organization%20Administrator")
	userID = h.made("/cloudapi/1.0.0/users", fmt.Sprintf(
		`{"username":%q,"password":%q,"enabled":true,"orgEntityRef":{"id":%q},"roleEntityRefs":[{"id":%q}]}`, name, adminPassword+name, orgID, role))
	return h.login(name, org, adminPassword+name), orgID, userID
}

// find gives the id of the first that a filter finds, or "".
func (h *house) find(path, fiql string) string {
	h.Helper()
	r := h.as(h.token, "GET", path+"?filter="+fiql, "")
	var page struct{ Values []struct{ ID string } }
	if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != 200 {
		h.Fatalf("GET %s: %d %s", path, r.status, r.body)
	}
	if len(page.Values) == 0 {
		return ""
	}
	return page.Values[0].ID
}

// eventually waits for what must come to be.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for stop := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(stop) {
			t.Fatalf("%s: not after %s", what, patience)
		}
	}
}

// receive waits for a value.
func receive[V any](t *testing.T, what string, c <-chan V) V {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not after %s", what, patience)
		panic("unreachable")
	}
}
