package annex_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/annex-gateway/annex/"

// walls says who may import whom. A name stands for that package alone, one
// that ends in /... for all below it too. Third-party code is allowed where
// third names it; a row without it takes none.
type wall struct {
	pkg   string
	ours  []string
	third []string
}

func walls() []wall {
	const (
		echo = "github.com/labstack/echo/v4"
		json = "github.com/go-json-experiment/json"
	)
	api := []string{"core", "core/internal/catalog", "core/internal/identity", "core/internal/live", "core/internal/access", "core/internal/target", "core/internal/api", "core/internal/api/...", "core/internal/query", "core/internal/records", "core/internal/vxml"}
	return []wall{
		{pkg: "core"},
		{pkg: "storage"},
		{pkg: "storage/internal/feed", ours: []string{"storage"}},
		{pkg: "storage/storagetest", ours: []string{"storage"}},
		{pkg: "storage/memory", ours: []string{"storage", "storage/internal/feed"}},
		{pkg: "storage/badger", ours: []string{"storage", "storage/internal/feed"}, third: []string{"github.com/dgraph-io/badger/v4", "golang.org/x/sys"}},
		{pkg: "sdk"},
		{pkg: "sdk/wire"},
		{pkg: "sdk/service", ours: []string{"sdk/wire"}, third: []string{"github.com/eclipse/paho.mqtt.golang"}},
		{pkg: "core/internal/target", ours: []string{"core"}},
		{pkg: "core/internal/pattern", ours: []string{"core"}},
		{pkg: "core/internal/cow"},
		{pkg: "core/internal/coding", ours: []string{"core"}},
		{pkg: "core/internal/telemetry", ours: []string{"core", "core/internal/live"}, third: []string{"github.com/prometheus/client_golang", "go.opentelemetry.io/otel"}},
		{pkg: "core/internal/match", ours: []string{"core", "core/internal/cow", "core/internal/pattern"}},
		{pkg: "core/internal/access", ours: []string{"core", "core/internal/cow", "core/internal/match", "core/internal/pattern"}},
		{pkg: "core/internal/catalog", ours: []string{"core", "storage", "core/internal/pattern"}},
		{pkg: "core/internal/live", ours: []string{"core", "storage", "core/internal/access", "core/internal/catalog", "core/internal/cow", "core/internal/match"}},
		{pkg: "core/internal/identity/oidc", ours: []string{"core"}, third: []string{"github.com/golang-jwt/jwt/v5", json}},
		{pkg: "core/internal/identity/oidc/oidctest", ours: []string{"core"}, third: []string{"github.com/golang-jwt/jwt/v5"}},
		{pkg: "core/internal/identity", ours: []string{"core", "core/internal/catalog", "core/internal/live", "core/internal/identity/oidc"}, third: []string{"github.com/golang-jwt/jwt/v5", "golang.org/x/crypto", json}},
		{pkg: "core/internal/pipeline", ours: []string{"core", "core/internal/access", "core/internal/coding", "core/internal/live", "core/internal/identity", "core/internal/match", "core/internal/target"}},
		{pkg: "core/internal/vxml", ours: []string{"core"}},
		{pkg: "core/forward", ours: []string{"core"}},
		{pkg: "core/internal/native/upstream", ours: []string{"core", "core/forward", "core/internal/target"}},
		{pkg: "core/internal/vxml/xsdtest", ours: []string{"core/internal/vxml"}},
		{pkg: "core/internal/query", ours: []string{"core"}},
		{pkg: "core/internal/records", ours: []string{"core", "core/internal/api/fiql", "core/internal/query", "core/internal/vxml"}},
		{pkg: "core/internal/native/inject", ours: []string{"core", "core/internal/vxml"}},
		{pkg: "core/internal/native", ours: []string{"core", "core/internal/coding", "core/internal/live", "core/internal/native/inject", "core/internal/query", "core/internal/records", "core/internal/vxml"}},
		{pkg: "core/internal/api", ours: api, third: []string{echo, json}},
		{pkg: "core/internal/api/fiql", ours: []string{"core"}},
		{pkg: "core/internal/api/version", ours: []string{"core"}},
		{pkg: "core/internal/api/oauth", ours: api, third: []string{echo, json}},
		{pkg: "core/internal/api/cloudapi", ours: api, third: []string{echo, json}},
		{pkg: "core/internal/api/vcloud", ours: append(api, "core/internal/target"), third: []string{echo}},
		{pkg: "core/gateway", ours: []string{"core/...", "storage"}, third: []string{echo}},
		{pkg: "plugins/plugintest", ours: []string{"core"}},
		{pkg: "plugins/mqtt", ours: []string{"core", "sdk/wire"}, third: []string{"github.com/mochi-mqtt/server/v2", "github.com/eclipse/paho.mqtt.golang", "github.com/gorilla/websocket"}},
		{pkg: "plugins/https", ours: []string{"core", "core/forward"}},
		{pkg: "plugins/wasm", ours: []string{"core", "sdk/wire", "plugins/wasm/..."}, third: []string{"github.com/tetratelabs/wazero"}},
		{pkg: "plugins/wasm/format"},
		{pkg: "plugins/wasm/inspect", ours: []string{"plugins/wasm/format"}},
		{pkg: "plugins/wasm/meter", ours: []string{"plugins/wasm/format"}},
		{pkg: "cmd/annex/localca"},
		{pkg: "cmd/annex/...", ours: []string{"core", "core/gateway", "plugins/...", "storage", "storage/...", "sdk/service", "cmd/annex/..."}, third: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/goccy/go-yaml", "golang.org/x/term"}},
		{pkg: "wasm-examples/...", ours: []string{"sdk"}},
		{pkg: "docs"}, // tests only
	}
}

func covers(row, pkg string) bool {
	if below, ok := strings.CutSuffix(row, "/..."); ok {
		return pkg == below || strings.HasPrefix(pkg, below+"/")
	}
	return row == pkg
}

func rowOf(pkg string) (wall, bool) {
	for _, w := range walls() {
		if covers(w.pkg, pkg) {
			return w, true
		}
	}
	return wall{}, false
}

type goPackage struct {
	ImportPath string
	Doc        string
	Standard   bool
	Imports    []string
}

func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestEveryImportIsAllowedByTheWalls(t *testing.T) {
	for _, p := range list(t) {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		if pkg+"/" == module {
			continue // the root holds this test and nothing else
		}
		w, ok := rowOf(pkg)
		if !ok {
			t.Errorf("%s has no row in walls: say what it may import", pkg)
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment: say its purpose in one sentence", pkg)
		}
		for _, imp := range p.Imports {
			if standard(imp) {
				continue
			}
			if ours, ok := strings.CutPrefix(imp, module); ok {
				if !slices.ContainsFunc(w.ours, func(r string) bool { return covers(r, ours) }) {
					t.Errorf("%s imports %s, which the walls do not allow", pkg, ours)
				}
				continue
			}
			if !slices.ContainsFunc(w.third, func(r string) bool { return imp == r || strings.HasPrefix(imp, r+"/") }) {
				t.Errorf("%s imports %s, which the walls do not allow", pkg, imp)
			}
		}
	}
}
