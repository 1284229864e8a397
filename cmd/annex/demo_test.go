package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/annex-gateway/annex/cmd/annex/exit"
)

// The lines that the demo prints are pasted into a shell as they stand.
func TestTheLinesOfTheDemoAnswerWhenPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the lines are curl commands, and there is no curl on this machine")
	}
	dir := t.TempDir()
	p := annex(t, []string{"TMPDIR=" + dir}, "demo", "--listen", "127.0.0.1:0")
	p.find(&p.out, regexp.MustCompile("Press Ctrl-C"))
	lines := regexp.MustCompile(`(?m)^curl .*$`).FindAllString(p.out.String(), -1)
	if len(lines) != 3 {
		t.Fatalf("%d lines with curl in:\n%s", len(lines), p.out.String())
	}
	for i, says := range []string{"says a service over MQTT", "says an HTTPS endpoint", "from a WASM module"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", lines[i]+` -sS -w '\n%{http_code}'`).CombinedOutput()
		if err != nil || !strings.Contains(string(out), says) || !strings.HasSuffix(string(out), "\n200") {
			t.Errorf("%s\n%v %s", lines[i], err, out)
		}
	}
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != exit.OK {
		t.Errorf("exit code %d\n%s", code, p.logs.String())
	}
	if left, err := filepath.Glob(filepath.Join(dir, "annex-demo-*")); err != nil || len(left) > 0 {
		entries, _ := os.ReadDir(dir)
		t.Errorf("%v is left: %v", left, entries)
	}
}
