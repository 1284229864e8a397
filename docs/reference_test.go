package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The page has every path that the API has, and every path of the page is
// there.
func TestTheReferenceOfTheJSONAPIIsWhole(t *testing.T) {
	page := readPage(t, "reference-api.md")
	source := readPage(t, "../core/internal/api/cloudapi/cloudapi.go")
	found := regexp.MustCompile(`Path\s*= prefix \+ "([^"]+)"`).FindAllStringSubmatch(source, -1)
	if len(found) < 20 {
		t.Fatalf("only %d paths are in cloudapi.go: look for them in another way", len(found))
	}
	for _, f := range found {
		if path := "/cloudapi" + f[1]; !strings.Contains(page, "`"+path+"`") {
			t.Errorf("%s is not in reference-api.md", path)
		}
	}
	h := openHouse(t)
	paths := regexp.MustCompile("`(/cloudapi/[^`]+)`").FindAllStringSubmatch(page, -1)
	for _, p := range paths {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, h.server.URL+p[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+h.admin)
		if r := h.send(req); r.err != nil || r.status != http.StatusNoContent {
			t.Errorf("OPTIONS %s: %d %s %v", p[1], r.status, r.body, r.err)
		}
	}
}

// property is a part of a JSON Schema.
type property struct {
	Properties  map[string]property
	Description string
	Default     any
}

// rows writes the table of the settings below prefix.
func (p property) rows(prefix string) []string {
	var rows []string
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		k := p.Properties[name]
		if k.Properties != nil {
			rows = append(rows, k.rows(prefix+name+".")...)
			continue
		}
		meaning, variable, _ := strings.Cut(strings.TrimSuffix(k.Description, ")"), " (environment: ")
		rows = append(rows, fmt.Sprintf("| `%s%s` | `%s` | %s | %s |", prefix, name, variable, meaning, shown(k.Default)))
	}
	return rows
}

func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return "`" + v + "`"
	case []any:
		if len(v) == 0 {
			return ""
		}
		if m, ok := v[0].(map[string]any); ok {
			return fmt.Sprintf("`%v`", m["address"])
		}
	}
	return fmt.Sprintf("`%v`", v)
}

// The table of the settings is what the program says of itself.
func TestTheReferenceOfTheConfigurationIsWhole(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", "-buildvcs=false", "../cmd/annex", "config", "schema").Output()
	if err != nil {
		t.Fatal(err)
	}
	var schema property
	if err := json.Unmarshal(out, &schema); err != nil {
		t.Fatal(err)
	}
	want := strings.Join(schema.rows(""), "\n")
	if page := readPage(t, "reference-config.md"); !strings.Contains(page, want+"\n") {
		t.Errorf("the table of reference-config.md should be\n%s", want)
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	for _, pattern := range []string{"*.md", "decisions/*.md", "../README.md", "../plugins/*/README.md", "../wasm-examples/*/README.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: no pages: %v", pattern, err)
		}
		for _, page := range pages {
			for _, l := range link.FindAllStringSubmatch(readPage(t, page), -1) {
				if strings.Contains(l[1], "://") {
					continue
				}
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), l[1])); err != nil {
					t.Errorf("%s: %s leads nowhere", page, l[1])
				}
			}
		}
	}
}

// Each kind and each example is described under the same headings.
func TestReadmesHaveTheirHeadings(t *testing.T) {
	want := []string{"Name", "What it does", "Settings", "Example", "Limits"}
	folders, err := filepath.Glob("../wasm-examples/*/main.go")
	if err != nil || len(folders) == 0 {
		t.Fatal("no examples", err)
	}
	kinds, err := filepath.Glob("../plugins/*/kind.go")
	if err != nil || len(kinds) < 3 {
		t.Fatal("no kinds", err)
	}
	for _, file := range append(folders, kinds...) {
		readme := filepath.Join(filepath.Dir(file), "README.md")
		var got []string
		for line := range strings.Lines(readPage(t, readme)) {
			if heading, ok := strings.CutPrefix(line, "## "); ok {
				got = append(got, strings.TrimSpace(heading))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the headings %q, want %q", readme, got, want)
		}
	}
}
