package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// parts of the road that Go benchmarks measure, each with those that count.
func parts() [][2]string {
	return [][2]string{
		{"./core/internal/pipeline", "Serve"},
		{"./core/gateway", "Call"},
		{"./core/internal/match", "ByURL/(mixedAndAll|samePrefix|class)/"},
		{"./core/internal/live", "OneFilterAmong"},
		{"./core/internal/access", "Decide"},
		{"./core/internal/identity", "(Identify|MintToken|SignIdentity)$"},
		{"./core/internal/target", "Parse"},
		{"./core/internal/native/inject", "Inject100KB"},
		{"./sdk/wire", "1KiB"},
		{"./plugins/wasm", "(Do|Around|StartGuest|Open)$"},
	}
}

// measured is what one benchmark came to, by turn.
type measured struct {
	name   string
	nanos  []float64
	allocs string
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op(?:.*?\s(\d+) allocs/op)?`)

// road runs the benchmarks of the parts, in turns.
func (b *bench) road(ctx context.Context) error {
	var rows [][]string
	results := make([][]*measured, len(parts()))
	for range b.rounds {
		for i, p := range parts() {
			out, err := b.benchmarks(ctx, p[0], p[1], b.micro)
			if err != nil {
				return err
			}
			results[i] = merge(results[i], benchLine.FindAllStringSubmatch(out, -1))
		}
	}
	for i, p := range parts() {
		for _, m := range results[i] {
			rows = append(rows, []string{strings.TrimPrefix(p[0], "./"), m.name, duration(median(m.nanos)), duration(slices.Min(m.nanos)), m.allocs})
		}
	}
	table("The parts of the road", []string{"package", "benchmark", "median", "best", "allocations"}, rows)
	return nil
}

// benchmarks runs those of one package. It is built once.
func (b *bench) benchmarks(ctx context.Context, pkg, which, times string, env ...string) (string, error) {
	file := filepath.Join(b.work, strings.ReplaceAll(pkg[2:], "/", "-")+".test")
	//nolint:gosec // packages of this tree
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", file, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", pkg, err, out)
	}
	//nolint:gosec // what we have just built
	run := exec.CommandContext(ctx, file, "-test.run=^$", "-test.bench="+which, "-test.benchtime="+times, "-test.benchmem")
	run.Dir, run.Env = pkg, append(os.Environ(), env...)
	out, err := run.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", pkg, err, out)
	}
	return string(out), nil
}

func merge(all []*measured, lines [][]string) []*measured {
next:
	for _, l := range lines {
		nanos, err := strconv.ParseFloat(l[2], 64)
		if err != nil {
			continue
		}
		for _, m := range all {
			if m.name == l[1] {
				m.nanos = append(m.nanos, nanos)
				continue next
			}
		}
		all = append(all, &measured{l[1], []float64{nanos}, l[3]})
	}
	return all
}

// duration writes nanoseconds in a fitting unit.
func duration(nanos float64) string {
	switch {
	case nanos < 1e3:
		return fmt.Sprintf("%.0f ns", nanos)
	case nanos < 1e6:
		return fmt.Sprintf("%.2f µs", nanos/1e3)
	}
	return fmt.Sprintf("%.2f ms", nanos/1e6)
}
