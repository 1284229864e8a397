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
	argv              func(out string) []string
}

func compilers() []compiler {
	return []compiler{
		{"C", "clang", func(out string) []string {
			return []string{"clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", out, ".ci/bench/work/work.c"}
		}},
		{"AssemblyScript", "asc", func(out string) []string {
			return []string{"asc", ".ci/bench/work/work.ts", "-O3", "--runtime", "incremental", "--use", "abort=", "-o", out}
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
		if _, err := exec.LookPath(c.program); err != nil {
			rows = append(rows, []string{c.language, c.program + " is not installed"})
			continue
		}
		argv := c.argv(filepath.Join(guests, strings.ToLower(c.language)+".wasm"))
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
