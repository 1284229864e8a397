package main

import (
	"context"
	"fmt"
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
		first, last := subjects[1], subjects[len(chains())]
		fmt.Printf("\nA header filter more costs %.1f µs of CPU (%s).\n", (median(last.cpus)-median(first.cpus))/float64(chains()[len(chains())-1]), last.name)
	}
	return nil
}

// chained registers the chains with the gateway of a stage.
func (b *bench) chained(ctx context.Context, s *stage, mark string) (subjects []*subject, err error) {
	all := []string{"/api/bench/empty", "/api/bench/body"}
	for _, n := range chains() {
		all = append(all, chain(n))
	}
	if err := b.wasm(ctx, s, "answer", "answer", 0, all...); err != nil {
		return nil, err
	}
	for i := range chains()[len(chains())-1] {
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
	subjects = append(subjects, s.house.asked(mark+"a guest answers, an empty filter before it", "/api/bench/empty", false),
		s.house.asked(mark+"a guest answers, a filter rewrites its body", "/api/bench/body", false))
	return subjects, s.house.answered(ctx, all...)
}
