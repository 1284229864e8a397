package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// compiler makes a guest of a source file, if it is there.
type compiler struct {
	language, program string
	argv              func(program, out string) []string
}

// npm is where a compiler can be that comes from npm, and which is in no PATH:
//
//	npm install --prefix /tmp/annex-bench-npm assemblyscript
func npm(program string) string {
	return filepath.Join(os.TempDir(), "annex-bench-npm", "node_modules", ".bin", program)
}

func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath(npm(program))
	}
	return path, err
}

func compilers() []compiler {
	return []compiler{
		{"C", "clang", func(program, out string) []string {
			return []string{program, "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", out, ".ci/bench/work/work.c"}
		}},
		{"AssemblyScript", "asc", func(program, out string) []string {
			return []string{program, ".ci/bench/work/work.ts", "-O3", "--runtime", "incremental", "--use", "abort=", "-o", out}
		}},
	}
}

var meteredLine = regexp.MustCompile(`(?m)^BenchmarkMetered/(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) metered/plain`)

// metering runs guests as they are and metered, in turns.
func (b *bench) metering(ctx context.Context) error {
	guests := filepath.Join(b.work, "guests")
	if err := os.Mkdir(guests, 0o700); err != nil {
		return err
	}
	var rows [][]string
	for _, c := range compilers() {
		program, err := find(c.program)
		if err != nil {
			rows = append(rows, []string{c.language, c.program + " is not installed"})
			continue
		}
		argv := c.argv(program, filepath.Join(guests, strings.ToLower(c.language)+".wasm"))
		//nolint:gosec // the list above
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("the guest in %s does not build: %w\n%s", c.language, err, out)
		}
	}
	out, err := b.benchmarks(ctx, "./plugins/wasm/meter", "Metered", "1x", "ANNEX_GUESTS="+guests)
	if err != nil {
		return err
	}
	for _, m := range meteredLine.FindAllStringSubmatch(out, -1) {
		rows = append(rows, []string{strings.ReplaceAll(m[1], "_", " "), m[2]})
	}
	table("Guests metered, against the same as they are", []string{"guest", "times as long"}, rows)
	return nil
}
