package main

import (
	"context"
	"fmt"
)

// guests measures chains of filters, in front of a guest that answers.
func (b *bench) guests(ctx context.Context) error {
	s, err := b.setStage(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	chains := []int{0, 1, 2, 4, 8, 16}
	var all []string
	for _, n := range chains {
		all = append(all, chain(n))
	}
	if err := b.wasm(ctx, s, "answer", "answer", 0, append(all, "/api/bench/empty", "/api/bench/body")...); err != nil {
		return err
	}
	for i := range chains[len(chains)-1] {
		var in []string
		for _, n := range chains {
			if n > i {
				in = append(in, chain(n))
			}
		}
		if err := b.wasm(ctx, s, fmt.Sprint("header", i), "header", 50, in...); err != nil {
			return err
		}
	}
	for _, role := range []string{"empty", "body"} {
		if err := b.wasm(ctx, s, role, role, 50, "/api/bench/"+role); err != nil {
			return err
		}
	}
	if err := s.house.answered(ctx, append(all, "/api/bench/empty", "/api/bench/body")...); err != nil {
		return err
	}
	subjects := []*subject{s.server.asked("the server itself", false)}
	for _, n := range chains {
		subjects = append(subjects, s.house.asked(fmt.Sprintf("a guest answers, %d header filters before it", n), chain(n), false))
	}
	subjects = append(subjects, s.house.asked("a guest answers, an empty filter before it", "/api/bench/empty", false),
		s.house.asked("a guest answers, a filter rewrites its body", "/api/bench/body", false))
	if err := b.measure(ctx, subjects); err != nil {
		return err
	}
	compare("WASM over plain HTTP, metered", subjects, subjects[0], subjects[1])
	first, last := median(subjects[1].cpus), median(subjects[len(chains)].cpus)
	fmt.Printf("\nA header filter more costs %.1f µs of CPU.\n", (last-first)/float64(chains[len(chains)-1]))
	return nil
}

func chain(n int) string { return fmt.Sprint("/api/bench/chain", n) }
