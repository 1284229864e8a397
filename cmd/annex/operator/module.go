package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// uploading is a command that registers something which has to be uploaded
// first.
type uploading struct {
	command *cobra.Command
	session *session
	noun    noun
	body    map[string]any
	fresh   *[]string // ids of what was not there before
}

// undo deletes again what was uploaded for a registration that failed, and
// gives the error of that.
func (u uploading) undo(ctx context.Context, err error) error {
	if err != nil {
		u.session.forget(ctx, *u.fresh)
	}
	return err
}

// manifest is the module.json beside a module: what its author says of it.
// Members that have no meaning for a registration are not read, and neither are
// those that give the module a power: the operator alone does that.
type manifest struct {
	Vendor      string `json:"vendor"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description"`
	Border      string `json:"border"`
	RootID      string `json:"rootId"`
	Limits      struct {
		MemoryBytes int64 `json:"memoryBytes"`
		DeadlineMS  int64 `json:"deadlineMS"`
		StartMS     int64 `json:"startMS"`
		Concurrency int   `json:"concurrency"`
		LogLines    int   `json:"logLinesPerSecond"`
		BodyBytes   int64 `json:"bodyBytes"`
		StateBytes  int64 `json:"stateBytes"`
	} `json:"limits"`
}

// uploadModule uploads the file of --wasm and puts its id in the flag's place.
// For a new service what its manifest says stands where no flag does.
func uploadModule(ctx context.Context, u uploading) error {
	f := u.command.Flags()
	file, err := f.GetString("wasm")
	if err != nil || file == "" || strings.HasPrefix(file, "sha256:") {
		return u.kind(err, file)
	}
	if f.Lookup("vendor") != nil {
		if err := u.readManifest(filepath.Join(filepath.Dir(file), "module.json")); err != nil {
			return err
		}
		if err := missingFields(u.command, u.noun); err != nil {
			return err // before anything is sent
		}
	}
	id, known, err := u.session.uploadOnce(u.command, file)
	if err != nil {
		return err
	}
	if !known {
		*u.fresh = append(*u.fresh, id)
	}
	return u.kind(f.Set("wasm", id), id)
}

// kind says that a service is a module, if it is one.
func (u uploading) kind(err error, module string) error {
	if err == nil && module != "" && u.body["kind"] == nil {
		u.body["kind"] = core.KindWASM
	}
	return err
}

func (u uploading) readManifest(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m manifest
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return exit.Usagef("%s: the manifest beside the module cannot be read; repair it or move it away: %v", path, err)
	}
	f := u.command.Flags()
	for flag, value := range map[string]string{
		"vendor": m.Vendor, "name": m.Name, "version": m.Version, "description": m.Description,
		"border": m.Border, "root-id": m.RootID,
		"memory-bytes": number(m.Limits.MemoryBytes), "deadline-ms": number(m.Limits.DeadlineMS), "start-ms": number(m.Limits.StartMS), "concurrency": number(int64(m.Limits.Concurrency)),
		"log-lines": number(int64(m.Limits.LogLines)), "body-bytes": number(m.Limits.BodyBytes), "state-bytes": number(m.Limits.StateBytes),
	} {
		if value != "" && !f.Changed(flag) {
			if err := f.Set(flag, value); err != nil {
				return exit.Usagef("%s: %s: %v", path, flag, err)
			}
		}
	}
	return nil
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

const modulesPath = extensions + "modules"

// uploadFile uploads a module and gives its id. On a terminal it tells how far
// it is.
func (s *session) uploadFile(ctx context.Context, file string, progress io.Writer) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	var in io.Reader = f
	if onTerminal(progress) {
		in = &meter{Reader: f, out: progress, name: filepath.Base(file), size: st.Size()}
	}
	var out struct{ ID string }
	_, err = s.Do(ctx, client.Call{
		Method: http.MethodPost, Path: modulesPath, Out: &out,
		In: client.Raw{Reader: in, Size: st.Size(), Type: "application/wasm"},
	})
	return out.ID, err
}

// digestOf is the id that the module in a file has.
func digestOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// meter tells how much of a file has been read.
type meter struct {
	io.Reader
	out        io.Writer
	name       string
	size, done int64
	shown      int64 // per cent
}

// Read counts.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.done += int64(n)
	percent := int64(100)
	if m.size > 0 {
		percent = m.done * 100 / m.size
	}
	if percent != m.shown {
		m.shown = percent
		fmt.Fprintf(m.out, "\ruploading %s: %d%%", m.name, percent)
	}
	if err != nil {
		fmt.Fprintln(m.out)
	}
	return n, err
}
