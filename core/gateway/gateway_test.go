package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/storage/memory"
)

// fixture is a whole gateway over fakes of the kinds.
type fixture struct {
	*testing.T
	gw     *Gateway
	server *httptest.Server
	kinds  map[string]*plugintest.Fake
	token  string
}

const password = "test-password"

func setUp(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, kinds: map[string]*plugintest.Fake{}}
	var err error
	f.gw, err = New(t.Context(), Options{
		Store: memory.New(), AdminPassword: password,
		Kinds: func(core.Host) ([]core.Kind, error) {
			var out []core.Kind
			for name, stages := range map[string][]core.Stage{
				core.KindMQTT: {core.OnDispatch, core.OnResponse}, core.KindHTTPS: {core.OnDispatch}, core.KindWASM: core.Stages(),
			} {
				f.kinds[name] = plugintest.NewFake(name, stages...)
				out = append(out, f.kinds[name])
			}
			return out, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewTLSServer(f.gw)
	t.Cleanup(func() {
		f.server.Close()
		if err := f.gw.Close(); err != nil {
			t.Error(err)
		}
	})
	r := f.do("POST", "/cloudapi/1.0.0/sessions/provider", "", "Authorization", basic("administrator@System", password))
	f.token = r.header.Get("X-Vmware-Vcloud-Access-Token")
	if r.status != 200 || f.token == "" {
		t.Fatalf("login: %d %s", r.status, r.body)
	}
	return f
}

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

type result struct {
	status int
	header http.Header
	body   string
}

// do makes a call with pairs of header names and values.
func (f *fixture) do(method, path, body string, header ...string) result {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := f.server.Client().Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return result{resp.StatusCode, resp.Header, string(b)}
}

func (f *fixture) as(method, path, body string, header ...string) result {
	f.Helper()
	return f.do(method, path, body, append(header, "Authorization", "Bearer "+f.token)...)
}

// register makes an enabled service of the kind with one filter.
func (f *fixture) register(kind, name, filter string) {
	f.Helper()
	path, body := "/cloudapi/extensions/api", fmt.Sprintf(`{"vendor":"acme","name":%q,"version":"1.0.0","priority":50,"enabled":true,"authorizationEnabled":false}`, name)
	if kind == core.KindHTTPS {
		path, body = "/cloudapi/1.0.0/externalEndpoints", fmt.Sprintf(`{"vendor":"acme","name":%q,"version":"1.0.0","enabled":true,"rootUrl":"https://h"}`, name)
	}
	r := f.as("POST", path, body)
	var sys struct{ ID string }
	if err := json.Unmarshal([]byte(r.body), &sys); err != nil || r.status != 201 {
		f.Fatalf("register %s: %d %s", name, r.status, r.body)
	}
	r = f.as("POST", "/cloudapi/1.0.0/apiFilters", fmt.Sprintf(`{"externalSystem":{"id":%q},%s}`, sys.ID, filter))
	if r.status != 201 {
		f.Fatalf("filter of %s: %d %s", name, r.status, r.body)
	}
}

func urlFilter(scope, pattern string) string {
	return fmt.Sprintf(`"urlMatcher":{"urlPattern":%q,"urlScope":%q}`, pattern, scope)
}

func TestACallGoesTheWholeRoad(t *testing.T) {
	f := setUp(t)
	f.register(core.KindMQTT, "echo", urlFilter("API", "/api/echo/.*"))
	var seen core.Message
	f.kinds[core.KindMQTT].Handle(func(ctx context.Context, s core.System, m core.Message) (core.Message, error) {
		seen = m
		return plugintest.Echo(ctx, s, m)
	})
	r := f.as("POST", "/api/echo/%7Euser?b=1;a=%zz", "hello", "X_Forwarded_For", "1.2.3.4")
	if r.status != 200 || r.body != "hello" {
		t.Errorf("got %d %q", r.status, r.body)
	}
	if seen.Request.Path != "/api/echo/~user" || seen.Request.RawQuery != "b=1;a=%zz" || seen.Caller.UserName != "administrator" ||
		seen.Request.Header.Has("X_forwarded_for") || !seen.Request.RemoteAddr.IsValid() || !seen.Request.LocalAddr.IsValid() || seen.Request.Scheme != "https" {
		t.Errorf("the system saw %+v", seen)
	}
	if got := r.header.Get("X-Vmware-Vcloud-Request-Id"); got != seen.ID || got == "" {
		t.Errorf("request id %q, message %q", got, seen.ID)
	}
}

func TestErrorsHaveTheFormOfTheirAPI(t *testing.T) {
	f := setUp(t)
	f.register(core.KindMQTT, "down", urlFilter("API", "/api/down"))
	f.register(core.KindHTTPS, "bad", urlFilter("EXT_API", "/bad/.*"))
	fail := func(code core.Code) plugintest.Handler {
		return func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
			return m, core.Errorf(code, "it is down: <&>")
		}
	}
	f.kinds[core.KindMQTT].Handle(fail(core.Unavailable))
	f.kinds[core.KindHTTPS].Handle(fail(core.BadUpstream))
	for name, tc := range map[string]struct {
		path   string
		anon   bool
		status int
		xml    bool
	}{
		"a dead service is 503 in XML":                    {path: "/api/down", status: 503, xml: true},
		"nobody's path is 404 in XML":                     {path: "/api/nobody", status: 404, xml: true},
		"no credential is 401 in XML":                     {path: "/api/down", anon: true, status: 401, xml: true},
		"a bad path is 400 in XML":                        {path: "/api/../x", status: 400, xml: true},
		"an encoded slash is 400 in XML":                  {path: "/api/a%2fb", status: 400, xml: true},
		"a dead endpoint is 502 in JSON":                  {path: "/ext-api/bad/x", status: 502},
		"nobody's extension path is 404 in JSON":          {path: "/ext-api/nobody", status: 404},
		"no credential below ext-api is 401 in JSON":      {path: "/ext-api/bad/x", anon: true, status: 401},
		"a missing item of cloudapi is 403":               {path: "/cloudapi/1.0.0/apiFilters/urn:vcloud:apiFilter:00000000-0000-0000-0000-000000000000", status: 403},
		"cloudapi without a credential is 401":            {path: "/cloudapi/1.0.0/apiFilters", anon: true, status: 401},
		"the admin extension without a credential is 401": {path: "/api/admin/extension/service", anon: true, status: 401, xml: true},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", f.server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Opaque = "//" + req.URL.Host + tc.path // the path as it stands
			if !tc.anon {
				req.Header.Set("Authorization", "Bearer "+f.token)
			}
			resp, err := f.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			isXML := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/vnd.vmware.vcloud.error+xml") && strings.Contains(string(b), "<Error ")
			var j struct{ MinorErrorCode, Message string }
			isJSON := json.Unmarshal(b, &j) == nil && j.MinorErrorCode != "" && j.Message != ""
			id := resp.Header.Get("X-Vmware-Vcloud-Request-Id")
			if resp.StatusCode != tc.status || isXML != tc.xml || isJSON == tc.xml || !strings.Contains(string(b), id) {
				t.Errorf("got %d %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), b)
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	f := setUp(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for name, tc := range map[string]struct{ client, prefix string }{
		"none gives a uuid":             {"", ""},
		"a usable one is kept in front": {"7-2026-11-21-", "7-2026-11-21--"},
		"the first 128 characters":      {strings.Repeat("x", 200), strings.Repeat("x", 128) + "-"},
		"an unusable one is dropped":    {"a b\tc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.do("GET", "/livez", "", "X-VMWARE-VCLOUD-CLIENT-REQUEST-ID", tc.client)
			rest, ok := strings.CutPrefix(r.header.Get("X-Vmware-Vcloud-Request-Id"), tc.prefix)
			if !ok || !uuid.MatchString(rest) {
				t.Errorf("got %q", r.header.Get("X-Vmware-Vcloud-Request-Id"))
			}
		})
	}
}

func TestReservedPathsAreNobodys(t *testing.T) {
	f := setUp(t)
	f.register(core.KindMQTT, "greedy", urlFilter("API", "/.*"))
	for _, path := range []string{"/cloudapi/1.0.0/sessions/current", "/api/admin/extension", "/api/versions", "/livez", "/readyz", "/cloudapi/nothing", "/api/admin/extension/nothing", "/.well-known/jwks.json"} {
		f.as("GET", path, "")
	}
	f.as("DELETE", "/api/sessions", "")
	if n := f.kinds[core.KindMQTT].Counts().Calls; n != 0 {
		t.Errorf("%d calls to reserved paths reached a service", n)
	}
	f.as("GET", "/api/versionsX", "")
	f.as("GET", "/anything", "")
	if n := f.kinds[core.KindMQTT].Counts().Calls; n != 2 {
		t.Errorf("%d of 2 other calls reached the service", n)
	}
}

func TestAnswersAreCleaned(t *testing.T) {
	f := setUp(t)
	f.register(core.KindHTTPS, "ui", urlFilter("EXT_API", "/x/.*"))
	f.kinds[core.KindHTTPS].Handle(func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		return m.Answer(core.Response{Status: 201, Body: core.BytesBody([]byte("body")), Header: core.NewHeader(
			"Authorization", "secret", "X-VCLOUD-AUTHORIZATION", "secret", "Set-Cookie", "a=b", "Connection", "X-Hop", "Transfer-Encoding", "chunked",
			"Content-Length", "999", "Vary", "Origin, accept", "X-Fine", "1", "X-Fine", "2", "X-VMWARE-VCLOUD-REQUEST-ID", "forged",
		)}), nil
	})
	r := f.as("GET", "/ext-api/x/y", "")
	if r.status != 201 || r.body != "body" || !slices.Equal(r.header.Values("X-Fine"), []string{"1", "2"}) {
		t.Errorf("got %+v", r)
	}
	for _, name := range []string{"Authorization", "X-Vcloud-Authorization", "Set-Cookie", "Connection", "Transfer-Encoding"} {
		if v, ok := r.header[name]; ok {
			t.Errorf("%s: %v reached the client", name, v)
		}
	}
	if v := r.header.Get("Vary"); v != "Accept, Accept-Encoding, Accept-Language, Authorization, Origin" {
		t.Errorf("Vary: %s", v)
	}
	if v := r.header.Values("X-Vmware-Vcloud-Request-Id"); len(v) != 1 || v[0] == "forged" {
		t.Errorf("request id: %v", v)
	}
}

func TestStreamsFlow(t *testing.T) {
	f := setUp(t)
	f.register(core.KindHTTPS, "sse", urlFilter("EXT_API", "/sse/.*"))
	r, w := io.Pipe()
	f.kinds[core.KindHTTPS].Handle(func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		return m.Answer(core.Response{Status: 200, Header: core.NewHeader("Content-Type", "text/event-stream"), Body: core.StreamBody(r, -1)}), nil
	})
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.server.URL+"/ext-api/sse/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := f.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		fmt.Fprintf(w, "data: %d\n", i)
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("line %d: %q, %v", i, line, err)
		}
	}
	resp.Body.Close()
	for {
		if _, err := w.Write([]byte("x")); err != nil {
			break // the reader's end was closed when the client left
		}
	}
}

// HTTP/1.1 has room for a trailer only behind a body of no stated length.
func TestABodyAtHandKeepsItsTrailer(t *testing.T) {
	f := setUp(t)
	f.register(core.KindHTTPS, "end", urlFilter("EXT_API", "/end/.*"))
	f.kinds[core.KindHTTPS].Handle(func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		body := core.BytesBody([]byte("abc")).WithTrailer(func() http.Header { return http.Header{"X-Sum": {"7"}, "Set-Cookie": {"a=b"}} })
		return m.Answer(core.Response{Status: 200, Header: core.NewHeader("Content-Type", "text/plain"), Body: body}), nil
	})
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.server.URL+"/ext-api/end/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := f.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "abc" || resp.Trailer.Get("X-Sum") != "7" || len(resp.Trailer) != 1 {
		t.Errorf("%s: %q, trailer %v, %v", resp.Proto, b, resp.Trailer, err)
	}
}

func TestAnUpgradeIsHandedOver(t *testing.T) {
	f := setUp(t)
	f.register(core.KindHTTPS, "ws", urlFilter("EXT_API", "/ws/.*"))
	near, far := net.Pipe()
	f.kinds[core.KindHTTPS].Handle(func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		if m.Request.Upgrade != "websocket" {
			return m, core.Errorf(core.Invalid, "no upgrade")
		}
		return m.Answer(core.Response{Status: 101, Header: core.NewHeader("Upgrade", "websocket", "Sec-Websocket-Accept", "x"), Upgraded: near}), nil
	})
	go func() {
		b := make([]byte, 4)
		if _, err := io.ReadFull(far, b); err == nil {
			_, _ = far.Write(append([]byte("got "), b...))
		}
		_ = far.Close()
	}()
	conn, err := net.Dial("tcp", f.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tlsConn := f.tls(conn)
	defer tlsConn.Close()
	fmt.Fprintf(tlsConn, "GET /ext-api/ws/x HTTP/1.1\r\nHost: gw\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer %s\r\n\r\nping", f.token)
	all, err := io.ReadAll(tlsConn)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(all), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Sec-Websocket-Accept: x") || rest != "got ping" {
		t.Errorf("got %q, then %q", head, rest)
	}
}
