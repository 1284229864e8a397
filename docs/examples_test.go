package docs

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The exchanges in the READMEs of the examples are played with the module that
// the ordinary Go toolchain makes of the folder; ${module} is its id.
func TestExamplesDoWhatTheirReadmesShow(t *testing.T) {
	folders, err := filepath.Glob("../wasm-examples/*/main.go")
	if err != nil || len(folders) == 0 {
		t.Fatal("there are no examples", err)
	}
	for _, main := range folders {
		folder := filepath.Dir(main)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			readme := filepath.Join(folder, "README.md")
			blocks, err := blocksOf(readme)
			if err != nil {
				t.Fatal(err)
			}
			var exchange string
			for _, b := range blocks {
				if strings.HasPrefix(b.text, "-- call --\n") {
					exchange += b.text
				}
			}
			if exchange == "" {
				t.Fatalf("%s shows no exchange that begins with -- call --", readme)
			}
			h := openHouse(t)
			play(t, h, bindings{"module": h.upload(t, folder)}, readme, exchange)
		})
	}
}

// upload builds the module of a folder and gives its id.
func (h *house) upload(t *testing.T, folder string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "module.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, ".")
	build.Dir, build.Env = folder, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.server.URL+"/cloudapi/extensions/modules", bytes.NewReader(module))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/wasm")
	req.Header.Set("Authorization", "Bearer "+h.admin)
	var made struct{ ID string }
	if r := h.send(req); r.status != http.StatusCreated || json.Unmarshal([]byte(r.body), &made) != nil {
		t.Fatalf("the upload: %d %s %v", r.status, r.body, r.err)
	}
	return made.ID
}
