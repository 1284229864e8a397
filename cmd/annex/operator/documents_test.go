package operator

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/cmd/annex/exit"
)

func TestDocumentsAreReadWithWhatIsWrittenInside(t *testing.T) {
	list, err := parseDeclarations("a.yaml", "dir", []byte(`# a comment
org:
  - {name: acme, displayName: Acme}
  - name: beta
    displayName: Beta
---
ext:
  vendor: acme
  name: backup
  version: 1.0.0
  filters:
    - urlMatcher: {urlPattern: /api/backup/.*, urlScope: API}
  classes:
    - name: backup
      actions:
        - name: view
          rules:
            - name: viewers
              principalAccess: {access: Shared}
  definitions:
    name: API
    files: [{name: schema, href: x}]
---
`))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range list {
		b, err := json.Marshal(d.Object)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, d.At+" "+d.Kind+" "+string(b))
	}
	want := `a.yaml:3 org {"displayName":"Acme","name":"acme"}
a.yaml:4 org {"displayName":"Beta","name":"beta"}
a.yaml:8 ext {"name":"backup","vendor":"acme","version":"1.0.0"}
a.yaml:12 filter {"externalSystem":{"name":"acme/backup/1.0.0"},"urlMatcher":{"urlPattern":"/api/backup/.*","urlScope":"API"}}
a.yaml:14 class {"name":"backup","service":{"name":"acme/backup/1.0.0"}}
a.yaml:16 action {"name":"view","resourceClass":{"name":"acme/backup/1.0.0/backup"}}
a.yaml:18 acl {"name":"viewers","principalAccess":{"access":"Shared"},"resourceClassAction":{"name":"acme/backup/1.0.0/backup/view"}}
a.yaml:21 definition {"name":"API","service":{"name":"acme/backup/1.0.0"}}
a.yaml:22 file {"apiDefinition":{"name":"acme/backup/1.0.0/API"},"href":"x","name":"schema"}`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDocumentsThatAreWrongAreRefusedWithFileAndLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a kind that there is not", "org: {name: a}\norgs: {name: b}\n", `x.yaml:2: "orgs" is no kind`},
		{"a kind that cannot be declared", "token: {name: a}\n", `x.yaml:1: "token" is no kind`},
		{"a list in place of the kinds", "- org\n", "x.yaml:1: a mapping of kinds"},
		{"a word in place of an object", "org:\n  - acme\n", "x.yaml:2: the members of an organisation"},
		{"a key twice", "org:\n  name: a\n  name: b\n", "x.yaml:3:"},
		{"a key twice below", "ext:\n  wasm:\n    module: a\n    module: b\n", "x.yaml:4:"},
		{"no YAML", "org: [\n", "x.yaml:"},
		{"a tab", "org:\n\tname: a\n", "x.yaml:2"},
		{"what it stands below twice", "ext:\n  vendor: a\n  filters:\n    - externalSystem: {name: b}\n", "x.yaml:4: externalSystem"},
		{"an alias of nothing", "org:\n  name: *nobody\n", "x.yaml:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := parseDeclarations("x.yaml", ".", []byte(c.text))
			var usage exit.Usage
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error with %q", list, err, c.want)
			}
		})
	}
}

func TestADirectoryIsReadInOrderAndOnlyYAML(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "org: {name: b}", "a.yml": "org: {name: a}", "c/c.yaml": "org: {name: c}", "README.md": "no YAML: [",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := readDeclarations(dir, nil)
	names := ""
	for _, d := range list {
		names += d.Object["name"].(string)
	}
	if err != nil || names != "abc" {
		t.Errorf("got %q, %v", names, err)
	}
	if _, err := readDeclarations(t.TempDir(), nil); exit.Code(err) != exit.UsageError {
		t.Errorf("an empty directory gives %v", err)
	}
	if _, err := readDeclarations(filepath.Join(dir, "nowhere"), nil); exit.Code(err) != exit.UsageError {
		t.Errorf("a directory that is not there gives %v", err)
	}
	if list, err := readDeclarations("-", strings.NewReader("org: {name: in}")); err != nil || len(list) != 1 || list[0].At != "-:1" {
		t.Errorf("the standard input gives %v, %v", list, err)
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add("org: {name: a}\n---\next:\n  filters: [{}]\n")
	f.Add("org: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseDeclarations("x", ".", []byte(text))
		if err != nil {
			return
		}
		if _, err := encode(list, true, false); err != nil {
			t.Errorf("what was read cannot be sent: %v", err)
		}
	})
}
