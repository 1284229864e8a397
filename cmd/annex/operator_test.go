package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/cmd/annex/exit"
)

// shell runs the program as an operator does, with logins of its own.
type shell struct {
	t    *testing.T
	home string
	env  []string
	in   string // standard input of the next command
}

// outcome is what a command left behind.
type outcome struct {
	code     int
	out, err string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	return &shell{t: t, home: t.TempDir()}
}

// loggedIn is a shell whose operator is the administrator of a new gateway.
func loggedIn(t *testing.T) (*shell, *process) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	p := serveIn(t, data)
	s := newShell(t)
	s.in = testPassword + "\n"
	s.ok("login", p.base, "--ca", filepath.Join(data, "tls", "ca.pem"), "--context", "test")
	return s, p
}

func (s *shell) run(args ...string) outcome {
	s.t.Helper()
	file, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), file, args...)
	cmd.Env = append(append(os.Environ(), "HOME="+s.home, "XDG_CONFIG_HOME="+s.home, "ANNEX_PASSWORD="), s.env...)
	cmd.Dir = s.home
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(s.in), &out, &errs
	s.in = ""
	err = cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		s.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// ok runs a command that works, and gives what it prints.
func (s *shell) ok(args ...string) string {
	s.t.Helper()
	o := s.run(args...)
	if o.code != exit.OK {
		s.t.Fatalf("annex %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.err)
	}
	return o.out
}

// fails runs a command that ends with a code and says all of the texts.
func (s *shell) fails(code int, texts []string, args ...string) {
	s.t.Helper()
	o := s.run(args...)
	if o.code != code {
		s.t.Errorf("annex %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.out, o.err)
	}
	for _, text := range texts {
		if !strings.Contains(o.err, text) {
			s.t.Errorf("annex %s: the error lacks %q:\n%s", strings.Join(args, " "), text, o.err)
		}
	}
}

// json runs a command and reads the object that it prints.
func (s *shell) json(args ...string) map[string]any {
	s.t.Helper()
	var m map[string]any
	text := s.ok(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		s.t.Fatalf("annex %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return m
}

// file writes a file in the shell's directory.
func (s *shell) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in\n%s", p, text)
		}
	}
}

func TestALoginIsKeptForItsOwnerAloneAndEnds(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveIn(t, data)
	ca := filepath.Join(data, "tls", "ca.pem")
	s := newShell(t)
	s.fails(exit.UsageError, []string{"annex login URL"}, "org", "list")
	s.in = "x\n"
	s.fails(exit.Unreachable, []string{"not trusted here", "--ca"}, "login", p.base)
	s.fails(exit.Failed, []string{"ANNEX_PASSWORD"}, "login", p.base, "--ca", ca)
	s.in = "wrong\n"
	s.fails(exit.Denied, []string{"password is wrong", "[ "}, "login", p.base, "--ca", ca)
	s.fails(exit.UsageError, []string{"USER@ORGANISATION"}, "login", p.base, "--user", "ada")
	s.fails(exit.UsageError, []string{"scheme and host"}, "login", "localhost:8443")
	s.fails(exit.UsageError, []string{"in the open", "--insecure"}, "login", "http://annex.example")
	s.in = testPassword + "\n"
	want(t, s.ok("login", p.base, "--ca", ca, "--context", "one"), "administrator@System", "one")
	s.env = []string{"ANNEX_PASSWORD=" + testPassword}
	s.ok("login", p.base, "--insecure", "--context", "two")
	s.env = nil
	want(t, s.ok("context", "list"), "one", "two", p.base)
	if st, err := os.Stat(filepath.Join(s.home, "annex", "contexts.yaml")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the logins are in a file with mode %v (%v)", st.Mode(), err)
	}
	if b, _ := os.ReadFile(filepath.Join(s.home, "annex", "contexts.yaml")); strings.Contains(string(b), testPassword) {
		t.Error("the password is kept")
	}
	s.ok("context", "use", "one")
	s.fails(exit.NotFound, []string{"three", "one, two"}, "context", "use", "three")
	want(t, s.ok("org", "list"), "System")
	want(t, s.ok("logout"), "one")
	s.fails(exit.Denied, []string{"nobody is logged in", "annex login"}, "org", "list")
	want(t, s.ok("org", "list", "--context", "two"), "System")
	s.env = []string{"ANNEX_CONTEXT=two"}
	want(t, s.ok("org", "list"), "System")
	s.env = nil
	s.ok("context", "delete", "two")
	s.fails(exit.NotFound, nil, "org", "list", "--context", "two")
	p.stops()
	s.in = testPassword + "\n"
	s.fails(exit.Unreachable, []string{"cannot be reached"}, "login", p.base, "--ca", ca)
}

func TestASessionThatHasEndedIsDenied(t *testing.T) {
	s, _ := loggedIn(t)
	path := filepath.Join(s.home, "annex", "contexts.yaml")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.ok("logout")
	s.file("annex/contexts.yaml", string(before))
	s.fails(exit.Denied, []string{"log in again"}, "ext", "list")
	s.ok("logout") // what has ended needs no ending
	s.file("annex/contexts.yaml", "current: x\nnonsense: y\n")
	s.fails(exit.Failed, []string{"contexts.yaml", "nonsense"}, "ext", "list")
}

func TestPeopleLiveTheirLifeOnTheCommandLine(t *testing.T) {
	s, p := loggedIn(t)
	want(t, s.ok("org", "create", "--name", "acme", "--display-name", "Acme"), "acme", "urn:vcloud:org:")
	s.fails(exit.UsageError, []string{"--display-name"}, "org", "create", "--name", "x")
	s.fails(exit.Failed, []string{"same name", "[ "}, "org", "create", "--name", "ACME", "--display-name", "x")
	s.fails(exit.NotFound, []string{"Nothing"}, "role", "create", "--name", "Viewer", "--tenant", "acme", "--right", "Nothing")
	want(t, s.ok("role", "create", "--name", "Viewer", "--tenant", "acme", "--right", "User: View", "--right", "Role: View"), "Viewer")
	want(t, s.ok("role", "rights", "Viewer"), "User: View", "Role: View")
	s.ok("role", "update", "Viewer", "--right", "Role: View", "--description", "sees")
	if text := s.ok("role", "rights", "Viewer"); strings.Contains(text, "User: View") {
		t.Errorf("the rights are added to, not replaced:\n%s", text)
	}
	s.in = "tina's password\nanother line"
	s.ok("user", "create", "--name", "tina", "--org", "acme", "--role", "Viewer", "--password-file", "-")
	u := s.json("user", "get", "tina@acme")
	if u["username"] != "tina" || u["enabled"] != true || u["orgEntityRef"].(map[string]any)["name"] != "acme" {
		t.Errorf("the user is %v", u)
	}
	s.ok("user", "update", "tina@acme", "--email", "tina@acme.example")
	if u := s.json("user", "get", u["id"].(string)); u["email"] != "tina@acme.example" || len(u["roleEntityRefs"].([]any)) != 1 {
		t.Errorf("an update of one member changes others: %v", u)
	}
	tina := newShell(t)
	tina.env = []string{"ANNEX_PASSWORD=tina's password"}
	tina.ok("login", p.base, "--insecure", "--user", "tina@acme")
	tina.fails(exit.Denied, []string{"[ "}, "ext", "list")
	s.ok("user", "disable", "tina@acme")
	tina.fails(exit.Denied, nil, "user", "list")
	s.fails(exit.Failed, []string{"in use"}, "role", "delete", "Viewer")
	s.ok("user", "delete", "tina@acme")
	s.ok("role", "delete", "Viewer")
	s.fails(exit.NotFound, []string{"tina@acme"}, "user", "get", "tina@acme")
	s.fails(exit.Failed, []string{"disable it"}, "org", "delete", "acme")
	s.ok("org", "delete", "acme", "--force", "--recursive")
	s.ok("issuer", "create", "--name", "sso", "--org", "System", "--url", "https://sso.example", "--audience", "annex")
	want(t, s.ok("issuer", "list"), "sso", "https://sso.example")
	s.ok("issuer", "disable", "sso")
	s.ok("issuer", "delete", "sso")
}

func TestServicesAndEndpointsLiveTheirLifeOnTheCommandLine(t *testing.T) {
	s, _ := loggedIn(t)
	want(t, s.ok("ext", "create", "--vendor", "acme", "--name", "backup", "--version", "1.0.0"), "acme/backup/1.0.0", "mqtt")
	s.ok("ext", "create", "--vendor", "acme", "--name", "backup", "--version", "2.0.0", "--enabled=false")
	s.fails(exit.UsageError, []string{"2 entities", "acme:backup:2.0.0"}, "ext", "get", "backup")
	s.fails(exit.NotFound, []string{"acme/backup/3.0.0"}, "ext", "get", "acme/backup/3.0.0")
	s.fails(exit.UsageError, []string{"say with a flag"}, "ext", "update", "acme/backup/1.0.0")
	s.ok("ext", "update", "acme/backup/1.0.0", "--priority", "90", "--description", "keeps copies")
	if e := s.json("ext", "get", "urn:vcloud:extension-api:acme:backup:1.0.0"); e["priority"] != 90.0 || e["enabled"] != true || e["description"] != "keeps copies" {
		t.Errorf("the service is %v", e)
	}
	want(t, s.ok("ext", "list", "--filter", "enabled==false", "-o", "yaml"), "version: 2.0.0")
	want(t, s.ok("ext", "get", "acme/backup/1.0.0", "acme/backup/2.0.0"), "1.0.0", "2.0.0")
	f := s.json("filter", "create", "--system", "acme/backup/1.0.0", "--url-pattern", "/api/backup/.*")
	id := f["id"].(string)
	s.ok("filter", "update", id, "--response-type", "application/json")
	if f := s.json("filter", "get", id); f["urlMatcher"] != nil || f["responseContentType"] != "application/json" {
		t.Errorf("the filter is %v", f)
	}
	s.fails(exit.UsageError, []string{"id"}, "filter", "get", "backup")
	token := s.ok("token", "create", "--name", "backup", "--ext", "acme/backup/1.0.0")
	want(t, token, "SECRET (SHOWN ONLY NOW)", "acme/backup/1.0.0")
	s.ok("token", "delete", "backup")
	s.fails(exit.Failed, []string{"disable it", "[ "}, "ext", "delete", "acme/backup/1.0.0")
	s.ok("ext", "delete", "acme/backup/1.0.0", "--force")
	s.ok("ext", "enable", "acme/backup/2.0.0")
	s.ok("endpoint", "create", "--vendor", "acme", "--name", "clip", "--version", "1.0.0", "--root-url", "https://clip.example/x")
	if f := s.json("filter", "create", "--system", "clip", "--url-pattern", "/clip/.*"); f["urlMatcher"].(map[string]any)["urlScope"] != "EXT_API" {
		t.Errorf("the filter is %v", f)
	}
	s.ok("endpoint", "update", "clip", "--root-url", "https://clip.example/y")
	want(t, s.ok("endpoint", "list"), "acme/clip/1.0.0", "https://clip.example/y")
	s.ok("endpoint", "disable", "clip")
	s.ok("endpoint", "delete", "clip")
	s.fails(exit.UsageError, []string{"table, json or yaml"}, "ext", "list", "-o", "xml")
	s.fails(exit.UsageError, []string{"frob"}, "ext", "frob")
	s.fails(exit.Failed, []string{"nonsense"}, "ext", "list", "--filter", "nonsense==1")
}

func TestCertificatesAreRegisteredFromFiles(t *testing.T) {
	s, _ := loggedIn(t)
	ca, err := os.ReadFile(caFileOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(ca)
	file := s.file("ca.pem", string(pem.EncodeToMemory(block)))
	s.ok("cert", "create", "--alias", "own", "--file", file)
	want(t, s.ok("cert", "get", "own", "-o", "yaml"), "BEGIN CERTIFICATE")
	s.fails(exit.Failed, nil, "cert", "create", "--alias", "none", "--file", "nowhere.pem")
	s.ok("cert", "delete", "own")
}

// caFileOf writes the authority that the shell's login trusts into a file.
func caFileOf(t *testing.T, s *shell) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.home, "annex", "contexts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	from, to := strings.Index(text, "-----BEGIN"), strings.Index(text, "-----END CERTIFICATE-----")
	if from < 0 || to < from {
		t.Fatalf("no authority in\n%s", text)
	}
	text = strings.ReplaceAll(text[from:to]+"-----END CERTIFICATE-----\n", "\n    ", "\n")
	return s.file("trusted.pem", strings.ReplaceAll(text, "  ", ""))
}

func TestAuthorizationIsSetUpOnTheCommandLine(t *testing.T) {
	s, _ := loggedIn(t)
	s.ok("org", "create", "--name", "acme", "--display-name", "Acme")
	s.ok("ext", "create", "--vendor", "acme", "--name", "backup", "--version", "1.0.0", "--authorization")
	const svc = "acme/backup/1.0.0"
	want(t, s.ok("right", "create", "--ext", svc, "--name", "Restore", "--category", "Backup"), "{acme.backup.1.0.0}:Restore")
	s.fails(exit.Failed, []string{"same name"}, "right", "create", "--ext", svc, "--name", "Restore")
	s.ok("right", "update", "{acme.backup.1.0.0}:Restore", "--description", "may restore")
	s.fails(exit.Failed, []string{"built in"}, "right", "update", "User: View", "--description", "x")
	s.ok("class", "create", "--ext", svc, "--name", "backup", "--mime-type", "application/vnd.acme.backup+xml", "--nid", "acmebackup", "--urn-pattern", "(?<id>.*)")
	s.ok("action", "create", "--class", svc+"/backup", "--name", "restore", "--method", "POST", "--url-pattern", "/api/backup/(?<id>[^/]+)/restore")
	s.fails(exit.Failed, []string{"group"}, "action", "create", "--class", "backup", "--name", "bad", "--method", "GET", "--url-pattern", "/(?<other>.*)")
	s.ok("resource", "create", "--class", "backup", "--name", "monday", "--external-id", "b-1", "--org", "acme")
	s.ok("acl", "create", "--action", svc+"/backup/restore", "--name", "restorers", "--resource", "monday", "--organization", "Published", "--principal", "right:{acme.backup.1.0.0}:Restore")
	rule := s.json("acl", "get", "restorers")
	if rule["organizationAccess"].(map[string]any)["access"] != "Published" || rule["principalAccess"].(map[string]any)["entity"].(map[string]any)["name"] != "{acme.backup.1.0.0}:Restore" {
		t.Errorf("the rule is %v", rule)
	}
	s.ok("acl", "update", "restorers", "--organization", "acme", "--principal", "Shared")
	want(t, s.ok("acl", "list"), "Entity/acme", "Entity/monday", "restorers")
	s.fails(exit.Failed, []string{"in use"}, "resource", "delete", "monday")
	s.ok("link", "create", "--ext", svc, "--href", "{baseUri}/backup/{resourceId}", "--mime-type", "application/vnd.acme.backup+xml", "--rel", "down:backup", "--resource-type", "application/vnd.vmware.vcloud.org+xml")
	want(t, s.ok("link", "list"), "down:backup", svc)
	s.ok("definition", "create", "--ext", svc, "--name", "backup API", "--entry-point", "{baseUri}/backup", "--api-version", "1.0", "--api-version", "2.0")
	s.ok("file", "create", "--definition", "backup API", "--name", "schema", "--href", "{baseUri}/backup.xsd")
	want(t, s.ok("definition", "list"), "1.0,2.0")
	want(t, s.ok("file", "list"), "backup API", "backup.xsd")
	s.ok("ext", "delete", svc, "--force")
	for _, noun := range []string{"class", "action", "acl", "resource", "link", "definition", "file"} {
		if n := strings.Count(s.ok(noun, "list"), "\n"); n != 1 {
			t.Errorf("%d lines of %s are left", n, noun)
		}
	}
}

func TestAModuleIsUploadedAndRegisteredInOneGo(t *testing.T) {
	s, p := loggedIn(t)
	module, err := buildModule(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := s.file("hello/hello.wasm", string(module))
	s.fails(exit.UsageError, []string{"--vendor", "--version"}, "ext", "create", "--wasm", file, "--name", "hi")
	if text := s.ok("module", "list"); strings.Count(text, "\n") != 1 {
		t.Errorf("something was uploaded:\n%s", text)
	}
	s.fails(exit.Failed, []string{"vendor"}, "ext", "create", "--wasm", file, "--vendor", "no vendor", "--name", "hi", "--version", "1.0.0")
	if text := s.ok("module", "list"); strings.Count(text, "\n") != 1 {
		t.Errorf("a registration that failed left the module:\n%s", text)
	}
	s.file("hello/module.json", `{"vendor":"annex","name":"hello","version":"1.0.0","border":"proxy-wasm","limits":{"deadlineMS":150},"stages":["dispatch"]}`)
	s.fails(exit.Failed, []string{"written for the border http-wasm"}, "ext", "create", "--wasm", file)
	s.fails(exit.UsageError, []string{"NAME=VALUE"}, "ext", "create", "--wasm", file, "--cluster", "x")
	o := s.run("ext", "create", "--wasm", file, "--border", "http-wasm", "--priority", "70", "--config", `{"greeting":"hi"}`,
		"--cluster", "auth=https://auth.test", "--failure-policy", "open", "-o", "json")
	if o.code != exit.OK || o.err != "" {
		t.Fatalf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
	e := s.json("ext", "get", "annex/hello/1.0.0")
	w := e["wasm"].(map[string]any)
	if e["kind"] != "wasm" || e["priority"] != 70.0 || w["deadlineMs"] != 150.0 || w["config"].(map[string]any)["greeting"] != "hi" {
		t.Errorf("the service is %v", e)
	}
	s.ok("filter", "create", "--system", "hello", "--url-pattern", "/api/hello")
	p.login()
	p.answers(t.Context(), "/api/hello", "hello")
	if c := w["clusters"].(map[string]any); c["auth"] != "https://auth.test" || w["failurePolicy"] != "open" || w["border"] != "http-wasm" {
		t.Errorf("the service is %v", e)
	}
	want(t, s.ok("ext", "get", "hello"), "STATE   ok", "LIMITS  deadlineMs", "150", "COUNTS  calls", "1")
	s.ok("ext", "update", "hello", "--wasm", file, "--deadline-ms", "200", "--cluster", "")
	if e := s.json("ext", "get", "hello"); e["wasm"].(map[string]any)["deadlineMs"] != 200.0 {
		t.Errorf("the service is %v", e)
	}
	s.fails(exit.Failed, []string{"in use"}, "module", "delete", w["module"].(string))
	s.fails(exit.Failed, []string{"not a WASM module"}, "ext", "create", "--wasm", s.file("bad/x.wasm", "nonsense"), "--vendor", "a", "--name", "b", "--version", "1.0.0")
}

func TestAPasswordIsResetWhileTheGatewayDoesNotRun(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveIn(t, data)
	p.login()
	s := newShell(t)
	s.fails(exit.Failed, []string{"in use by another process", "stop the gateway"}, "admin", "reset-password", "--data", data)
	p.stops()
	s.fails(exit.NotFound, []string{"nobody@System"}, "admin", "reset-password", "--data", data, "--user", "nobody@System")
	s.fails(exit.NotFound, []string{"nowhere"}, "admin", "reset-password", "--data", data, "--user", "administrator@nowhere")
	s.fails(exit.NotFound, []string{"no data directory"}, "admin", "reset-password", "--data", t.TempDir())
	out := s.ok("admin", "reset-password", "--data", data)
	_, rest, ok := strings.Cut(out, "has the password ")
	password, _, _ := strings.Cut(rest, " ")
	if !ok || len(password) < 16 {
		t.Fatalf("it prints %q", out)
	}
	token := p.client.Token
	p = serveIn(t, data)
	if err := p.client.Login(t.Context(), "administrator", "System", testPassword); err == nil {
		t.Error("the old password still works")
	}
	p.client.Token = token
	if status, _, _ := p.get("/cloudapi/1.0.0/orgs"); status != 401 {
		t.Errorf("a session from before answers %d", status)
	}
	if err := p.client.Login(t.Context(), "administrator", "System", password); err != nil {
		t.Error(err)
	}
	p.stops()
	s.env = []string{"ANNEX_PASSWORD=chosen by me"}
	if out := s.ok("admin", "reset-password", "--data", data); strings.Contains(out, "chosen by me") {
		t.Errorf("it prints %q", out)
	}
}

func TestTheShellIsToldHowToComplete(t *testing.T) {
	s, _ := loggedIn(t)
	want(t, s.ok("completion", "bash"), "annex")
	want(t, s.ok("__complete", "org", "get", ""), "System")
}
