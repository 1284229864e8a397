package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// chains are the numbers of filters that are measured in front of a guest.
func chains() []int { return []int{0, 1, 2, 4, 8, 16} }

func chain(n int) string { return fmt.Sprint("/api/bench/chain", n) }

// guests measures chains of filters, in front of a guest that answers.
func (b *bench) guests(ctx context.Context) error {
	s, err := b.setStage(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	subjects := []*subject{s.server.asked("the server itself", false)}
	ours, err := b.chained(ctx, s, "")
	if err != nil {
		return err
	}
	subjects = append(subjects, ours...)
	if b.against != "" {
		words := strings.Fields(b.against)
		other := &stage{}
		if err := b.settle(ctx, other, words[len(words)-1], words[:len(words)-1], s.ca); err != nil {
			return err
		}
		defer other.house.stop()
		theirs, err := b.chained(ctx, other, b.against+": ")
		if err != nil {
			return err
		}
		subjects = append(subjects, theirs...)
	}
	twin, err := b.own(ctx, "twin", certFile+"="+s.cert)
	if err != nil {
		return err
	}
	defer twin.stop()
	var pairs [][2]*subject
	for i, role := range []string{"answer", "header", "empty", "body"} {
		is := []*subject{ours[0], ours[1], ours[len(ours)-2], ours[len(ours)-1]}[i]
		pairs = append(pairs, [2]*subject{is, {name: role, url: twin.plain + "/" + role, proc: twin.proc}})
		subjects = append(subjects, pairs[i][1])
	}
	if err := b.measure(ctx, subjects); err != nil {
		return err
	}
	subjects = subjects[:len(subjects)-len(pairs)]
	versus("Guests through the whole gateway, against the same handlers in a Go server", pairs)
	compare("WASM over plain HTTP, metered", subjects, subjects[0], subjects[1])
	for ; len(ours) <= len(subjects)-1; subjects = subjects[len(ours):] {
		for _, last := range []*subject{subjects[len(chains())], subjects[len(chains())+1]} {
			if last.missing == "" {
				fmt.Printf("\nA header filter more costs %.1f µs of CPU (%s).\n", (median(last.cpus)-median(subjects[1].cpus))/float64(longest()), last.name)
			}
		}
	}
	return nil
}

func longest() int { return slices.Max(chains()) }

// chained registers the chains with the gateway of a stage.
func (b *bench) chained(ctx context.Context, s *stage, mark string) (subjects []*subject, err error) {
	all := []string{"/api/bench/empty", "/api/bench/body", "/api/bench/c"}
	for _, n := range chains() {
		all = append(all, chain(n))
	}
	if err := b.wasm(ctx, s, "answer", "answer", 0, all...); err != nil {
		return nil, err
	}
	inC, err := b.filtersInC(ctx, s)
	if err != nil {
		return nil, err
	}
	for i := range longest() {
		var in []string
		for _, n := range chains() {
			if n > i {
				in = append(in, chain(n))
			}
		}
		if err := b.wasm(ctx, s, fmt.Sprint("header", i), "header", 50, in...); err != nil {
			return nil, err
		}
	}
	for _, role := range []string{"empty", "body"} {
		if err := b.wasm(ctx, s, role, role, 50, "/api/bench/"+role); err != nil {
			return nil, err
		}
	}
	for _, n := range chains() {
		subjects = append(subjects, s.house.asked(fmt.Sprintf("%sa guest answers, %d header filters before it", mark, n), chain(n), false))
	}
	c := s.house.asked(fmt.Sprintf("%sa guest answers, %d header filters in C before it", mark, longest()), "/api/bench/c", false)
	if !inC {
		c.missing = "clang is not installed"
	}
	subjects = append(subjects, c)
	subjects = append(subjects, s.house.asked(mark+"a guest answers, an empty filter before it", "/api/bench/empty", false),
		s.house.asked(mark+"a guest answers, a filter rewrites its body", "/api/bench/body", false))
	return subjects, s.house.answered(ctx, all...)
}

// filtersInC registers a chain of filters that are not in Go, if there is a
// compiler for them.
func (b *bench) filtersInC(ctx context.Context, s *stage) (bool, error) {
	clang, err := exec.LookPath("clang")
	if err != nil {
		return false, nil //nolint:nilerr // then there are none
	}
	file := filepath.Join(b.work, "filter.wasm")
	//nolint:gosec // the file is in our own directory
	c := exec.CommandContext(ctx, clang, "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", file, ".ci/bench/work/filter.c")
	if out, err := c.CombinedOutput(); err != nil {
		return false, fmt.Errorf("the filter in C does not build: %w\n%s", err, out)
	}
	module, err := s.house.module(ctx, file)
	if err != nil {
		return false, err
	}
	for i := range longest() {
		if err := b.extension(ctx, s, module, fmt.Sprint("c", i), "", 50, "/api/bench/c"); err != nil {
			return false, err
		}
	}
	return true, nil
}
