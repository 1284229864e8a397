package docs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every command of the documents is run, in the order of its page, in a copy
// of the source tree with a freshly built program in bin/annex. Ports are
// replaced by free ones; everything else is as it is read.
func TestEveryCommandOfTheDocumentsRuns(t *testing.T) {
	for _, need := range []string{"sh", "curl", "make"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("the commands need %s, which this machine does not have: %v", need, err)
		}
	}
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	binary := build(t)
	for _, file := range append(pages, "../README.md") {
		blocks, err := blocksOf(file)
		if err != nil {
			t.Error(err)
			continue
		}
		p := &page{file: file, blocks: blocks, dir: t.TempDir()}
		if !p.commands() {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			p.T = t
			p.prepare(binary)
			p.run()
		})
	}
}

// build makes the program as the Makefile does, so that a page that says
// "make build" finds it made.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "annex")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-trimpath", "-o", file, "../cmd/annex")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// page is a page that is run.
type page struct {
	*testing.T
	file   string
	blocks []block
	dir    string
	ports  map[string]string
}

// commands reports whether there is anything to run.
func (p *page) commands() bool {
	for _, b := range p.blocks {
		if b.language == "sh" && b.order != "not run" {
			return true
		}
	}
	return false
}

var port = regexp.MustCompile(`\b(8443|8444|8080|9443)\b`)

// prepare makes the directory that the page is run in.
func (p *page) prepare(binary string) {
	p.Helper()
	if err := copyTree("..", p.dir); err != nil {
		p.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(p.dir, "bin"), 0o700), os.Link(binary, filepath.Join(p.dir, "bin", "annex"))); err != nil {
		p.Fatal(err)
	}
	p.ports = map[string]string{}
	for _, usual := range []string{"8443", "8444", "8080", "9443"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			p.Fatal(err)
		}
		defer l.Close()
		p.ports[usual] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
}

// copyTree copies the sources, and what they need to be built.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(from, path)
		switch {
		case name == ".git" || name == "bin" || name == "dist" || name == "annex-data" || d.IsDir() && d.Name() == "testdata":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o600)
	})
}

// replaced is a text with the ports of this run.
func (p *page) replaced(text string) string {
	return port.ReplaceAllStringFunc(text, func(s string) string { return p.ports[s] })
}

// script writes what runs the page: its commands one after the other in one
// shell, those that go on until Ctrl-C each in a shell of their own.
func (p *page) script() string {
	var s strings.Builder
	// The input ends with the test, however that ends; then nothing stays behind.
	s.WriteString("set -eu\nexec 3<&0 </dev/null\n{ cat <&3 >/dev/null; kill -KILL -$$; } &\nexec 3<&-\n")
	for i, b := range p.blocks {
		text := p.replaced(b.text)
		if b.order == "file" {
			p.save(b.detail+".saved", text)
			fmt.Fprintf(&s, "mkdir -p \"$(dirname %[1]s)\"; cp %[1]s.saved %[1]s\n", b.detail)
			continue
		}
		if b.language != "sh" || b.order == "not run" {
			continue
		}
		fmt.Fprintf(&s, "echo %d >at\n", b.line)
		switch b.order {
		case "until Ctrl-C":
			p.save(fmt.Sprintf("block%d.sh", i), "set -eu\n"+text)
			fmt.Fprintf(&s, "sh block%[1]d.sh >out%[1]d 2>&1 &\nuntil grep -q '%[2]s' out%[1]d; do kill -0 $!; sleep 0.05; done\n", i, b.detail)
		case "runs if":
			fmt.Fprintf(&s, "if %s >/dev/null 2>&1; then {\n%s} >out%d; fi\n", b.detail, text, i)
		default:
			fmt.Fprintf(&s, "{\n%s} >out%d\n", text, i)
		}
	}
	s.WriteString("echo end >at\n")
	return s.String()
}

func (p *page) save(name, text string) {
	p.Helper()
	file := filepath.Join(p.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		p.Fatal(err)
	}
}

func (p *page) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(p.dir, name))
	return string(b)
}

// run runs the page and looks at what it printed.
func (p *page) run() {
	p.Helper()
	p.save("page.sh", p.script())
	ctx, cancel := context.WithTimeout(p.Context(), 4*time.Minute) // of no use but to end what hangs
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "page.sh")
	cmd.Dir, cmd.Env = p.dir, p.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = end
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		p.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	input, err := cmd.StdinPipe()
	if err != nil {
		p.Fatal(err)
	}
	defer input.Close()
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	err = cmd.Wait()
	_ = end() // what goes on until Ctrl-C
	if at := strings.TrimSpace(p.read("at")); err != nil || at != "end" {
		p.Fatalf("%s:%s: the commands fail: %v\n%s%s", p.file, at, err, p.read("log"), p.outputs())
	}
	p.compare()
}

// environment is that of a user of this machine who has nothing set up: Go
// keeps its caches.
func (p *page) environment() []string {
	env := []string{"HOME=" + p.dir, "PATH=" + os.Getenv("PATH"), "LC_ALL=C", "GOFLAGS=-buildvcs=false"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"} {
		out, err := exec.CommandContext(p.Context(), "go", "env", name).Output()
		if err != nil {
			p.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// outputs is what the commands printed, for whoever looks for a mistake.
func (p *page) outputs() string {
	var s strings.Builder
	for i, b := range p.blocks {
		if out := p.read(fmt.Sprintf("out%d", i)); out != "" {
			fmt.Fprintf(&s, "--- printed at line %d\n%s", b.line, out)
		}
	}
	return s.String()
}

// compare looks at the blocks that say what the commands before them print.
func (p *page) compare() {
	p.Helper()
	last := -1
	for i, b := range p.blocks {
		switch {
		case b.order == "prints" && last < 0:
			p.Errorf("%s:%d: there are no commands that could print this", p.file, b.line)
		case b.order == "prints":
			if _, err := os.Stat(filepath.Join(p.dir, fmt.Sprintf("out%d", last))); err != nil {
				continue // of commands that were not run here
			}
			want := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(p.replaced(b.text))), "…", `.*`)
			if out := strings.ReplaceAll(p.read(fmt.Sprintf("out%d", last)), "\r", ""); !regexp.MustCompile(`(?s)\A\s*` + want + `\s*\z`).MatchString(out) {
				p.Errorf("%s:%d: the commands print\n%s\nwant\n%s", p.file, b.line, out, p.replaced(b.text))
			}
		case b.language == "sh" && b.order != "not run":
			last = i
		}
	}
}
