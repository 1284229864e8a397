package main

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/cmd/annex/exit"
)

const declaredService = `
org:
  name: acme
  displayName: Acme
---
ext:
  vendor: acme
  name: backup
  version: 1.0.0
  enabled: true
  authorizationEnabled: true
  rights:
    - name: Restore
  filters:
    - urlMatcher: {urlPattern: /api/backup/.*, urlScope: API}
  classes:
    - name: backup
      mimeType: application/vnd.acme.backup+xml
      resources:
        - {name: monday, externalObjectId: b-1, org: {name: acme}}
      actions:
        - name: view
          httpMethod: GET
          urlPattern: /api/backup/(?<id>[^/]+)
          rules:
            - name: viewers
              organizationAccess: {access: Published}
              principalAccess: {access: Entity, entity: {name: Restore}}
  links:
    - linkHref: '{baseUri}/backup'
      mimeType: application/vnd.acme.backup+xml
      rel: down:backup
      resourceType: application/vnd.vmware.vcloud.org+xml
  definitions:
    - name: backup API
      supportedApiVersions: ['1.0']
      files:
        - {name: schema, href: '{baseUri}/backup.xsd'}
`

const declaredPeople = `
role:
  name: Restorer
  orgEntityRef: {name: acme}
  rights: [{name: '{acme.backup.1.0.0}:Restore'}]
user:
  - username: rita
    orgEntityRef: {name: acme}
    roleEntityRefs: [{name: Restorer}]
    password: rita's password
  - username: otto
    orgEntityRef: {name: acme}
    password: otto's password
`

func TestFilesAreComparedAndApplied(t *testing.T) {
	s, p := loggedIn(t)
	s.fails(exit.UsageError, []string{"-f is missing"}, "apply")
	s.file("set/service.yaml", declaredService)
	s.file("set/people.yaml", declaredPeople)
	o := s.run("diff", "-f", "set")
	if o.code != exit.Different || o.err != "" {
		t.Fatalf("exit code %d, %s", o.code, o.err)
	}
	want(t, o.out, "+ ext acme/backup/1.0.0\n", "+ user rita@acme\n", "+ acl acme/backup/1.0.0/backup/view/viewers\n", "14 of 14 objects would change")
	if text := s.ok("ext", "list"); strings.Contains(text, "backup") {
		t.Fatalf("a comparison changed something:\n%s", text)
	}
	want(t, s.ok("apply", "-f", "set"), "+ right {acme.backup.1.0.0}:Restore\n", "14 of 14 objects changed")
	if o := s.run("diff", "-f", "set", "--prune"); o.code != exit.OK || o.out != "0 of 14 objects would change\n" {
		t.Errorf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
	s.file("set/service.yaml", strings.ReplaceAll(declaredService, "/api/backup/.*,", "/api/backups/.*,"))
	o = s.run("diff", "-f", "set", "--prune")
	if o.code != exit.Different {
		t.Errorf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
	want(t, o.out, "+ filter acme/backup/1.0.0//api/backups/.*\n", "- filter acme/backup/1.0.0//api/backup/.*\n")
	s.ok("apply", "-f", "set", "--prune")
	if text := s.ok("filter", "list"); strings.Count(text, "\n") != 2 || !strings.Contains(text, "/api/backups/.*") {
		t.Errorf("the filters are\n%s", text)
	}
	s.in = strings.Replace(declaredPeople, "rita's password", "another one", 1)
	o = s.run("apply", "-f", "-")
	want(t, o.out, "~ user rita@acme\n    password: another one, which is not shown\n", "1 of 3 objects changed")
	s.in = "ext: {vendor: acme, name: backup, version: 1.0.0, priority: 77}"
	want(t, s.ok("apply", "-f", "-"), "priority: 50 -> 77")
	explained(t, s)
	_ = p
}

// explained looks at what the applied set does to calls.
func explained(t *testing.T, s *shell) {
	t.Helper()
	text := s.ok("explain", "get", "/api/backups/b-1", "--user", "rita@acme")
	want(t, text, "GET /api/backups/b-1, called by rita@acme", "acme:backup:1.0.0", "priority 77", "refused", "matches")
	m := s.json("explain", "GET", "/api/backups/b-1", "--user", "rita@acme")
	if m["allowed"] != false || len(m["dispatch"].([]any)) != 1 {
		t.Errorf("the explanation is %v", m)
	}
	s.in = "ext:\n  vendor: acme\n  name: backup\n  version: 1.0.0\n  filters: [{urlMatcher: {urlPattern: /api/backup/.*, urlScope: API}}]\n"
	s.ok("apply", "-f", "-")
	want(t, s.ok("explain", "GET", "/api/backup/b-1", "--user", "rita@acme"), "outcome: the call goes ahead", "by rule")
	want(t, s.ok("explain", "GET", "/api/backup/b-1", "--user", "otto@acme"), "outcome: refused")
	want(t, s.ok("explain", "GET", "/api/nothing"), "does not match", "administrator@System")
	s.fails(exit.Failed, []string{"nobody@acme"}, "explain", "GET", "/api/x", "--user", "nobody@acme")
	s.fails(exit.UsageError, nil, "explain", "GET")
}

func TestFilesWithOneMistakeChangeNothing(t *testing.T) {
	s, _ := loggedIn(t)
	s.file("set/a.yaml", declaredService)
	for _, c := range []struct {
		name, text string
		code       int
		want       []string
	}{
		{"a member that is not known", "org:\n  name: x\n  displayName: x\n  colour: red\n", exit.Failed, []string{"set/b.yaml:4: org", "colour"}},
		{"a member of a member that is not known", "user:\n  - username: x\n    roleEntityRefs:\n      - name: System Administrator\n      - nam: y\n", exit.Failed, []string{"set/b.yaml:5: user", "nam"}},
		{"a name of nothing", "filter:\n  externalSystem: {name: acme/none/1.0.0}\n  responseContentType: a/b\n", exit.Failed, []string{"set/b.yaml:2: filter", "acme/none/1.0.0"}},
		{"a kind that there is not", "orgs: {}\n", exit.UsageError, []string{"set/b.yaml:1", "orgs"}},
		{"a module that is not there", "ext:\n  vendor: a\n  name: b\n  version: 1.0.0\n  wasm: {file: none.wasm}\n", exit.Failed, []string{"set/b.yaml:2", "none.wasm"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.file("set/b.yaml", c.text)
			s.fails(c.code, c.want, "apply", "-f", "set")
			s.fails(c.code, c.want, "diff", "-f", "set")
			if text := s.ok("ext", "list"); strings.Contains(text, "backup") {
				t.Errorf("something was changed:\n%s", text)
			}
		})
	}
}

func TestAModuleIsAppliedFromItsFile(t *testing.T) {
	s, p := loggedIn(t)
	module, err := buildModule(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.file("set/hello.wasm", string(module))
	s.file("set/hello.yaml", `ext:
  vendor: annex
  name: hello
  version: 1.0.0
  enabled: true
  wasm: {file: hello.wasm, deadlineMs: 500}
  filters: [{urlMatcher: {urlPattern: /api/hello, urlScope: API}}]
`)
	if o := s.run("diff", "-f", "set"); o.code != exit.Different {
		t.Fatalf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
	if text := s.ok("module", "list"); strings.Count(text, "\n") != 1 {
		t.Errorf("the comparison left a module:\n%s", text)
	}
	s.ok("apply", "-f", "set/hello.yaml")
	p.login()
	p.answers(t.Context(), "/api/hello", "hello")
	if o := s.run("diff", "-f", "set"); o.code != exit.OK {
		t.Errorf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
	if text := s.ok("module", "list"); strings.Count(text, "\n") != 2 {
		t.Errorf("the comparison took the module away:\n%s", text)
	}
}
