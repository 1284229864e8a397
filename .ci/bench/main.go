// The program bench measures a gateway built from this tree: what the road
// costs by itself, and whole calls against a server that answers by itself and
// against other proxies. Everything is measured in turns, A B A B, so that
// what else the machine does meets all alike, and told as ratios of one turn.
//
//	go run ./.ci/bench            all of it, into the standard output
//	go run ./.ci/bench -quick     a smoke test: one short turn of each
//	go run ./.ci/bench -only kinds,start
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	annex    string // the binary
	work     string // a directory that goes with the run
	rounds   int
	seconds  int // of one turn of a load
	micro    string
	against  string // another gateway to compare with: perhaps variables, and the binary
	profiles string // where profiles of the gateway go, if wanted
	many     int    // registrations of the large gateway
	filters  int    // among which the measured calls match
	children []*proc
}

// section is a part of the run.
type section struct {
	name string
	run  func(context.Context) error
}

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		exit(playRole(role))
	}
	b := &bench{rounds: 3, seconds: 2, micro: "100ms", many: 100_000, filters: 10_000}
	quick := flag.Bool("quick", false, "a smoke test: one short turn of each, few registrations")
	only := flag.String("only", "", "sections, by commas: road, kinds, guests, replace, metering, start")
	flag.StringVar(&b.annex, "annex", "bin/annex", "the gateway's binary")
	flag.StringVar(&b.against, "against", "", "another gateway to compare the chains of guests with, as in \"GOGC=400 old/annex\"")
	flag.StringVar(&b.profiles, "profiles", "", "a directory for profiles of the gateway under each load")
	flag.IntVar(&b.rounds, "rounds", b.rounds, "turns of everything")
	flag.IntVar(&b.seconds, "seconds", b.seconds, "of one turn of a load")
	flag.Parse()
	if *quick {
		b.rounds, b.seconds, b.micro, b.many, b.filters = 1, 1, "1ms", 1000, 100
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := b.run(ctx, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (b *bench) run(ctx context.Context, only []string) (err error) {
	if b.work, err = os.MkdirTemp("", "annex-bench-"); err != nil {
		return err
	}
	defer func() {
		for _, p := range slices.Backward(b.children) {
			p.stop()
		}
		if err == nil {
			err = os.RemoveAll(b.work)
		} else {
			fmt.Fprintln(os.Stderr, "bench: what the programs wrote is in", b.work)
		}
	}()
	begun := time.Now()
	fmt.Printf("%s, %s/%s, %d processors, %s; median of %d turns, load of %s\n",
		begun.Format("2006-01-02 15:04"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), b.rounds, b.loader())
	known := []section{{"road", b.road}, {"kinds", b.kinds}, {"guests", b.guests}, {"replace", b.replace}, {"metering", b.metering}, {"start", b.start}}
	for _, s := range known {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if err := s.run(ctx); err != nil {
			return errors.Join(fmt.Errorf("section %s: %w", s.name, err), ctx.Err())
		}
	}
	fmt.Printf("\nmeasured in %s\n", time.Since(begun).Round(time.Second))
	return nil
}

// table prints rows side by side, in Markdown.
func table(title string, head []string, rows [][]string) {
	fmt.Printf("\n### %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, r := range rows {
		fmt.Printf("| %s |\n", strings.Join(r, " | "))
	}
}

// median of what was measured; 0 of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
