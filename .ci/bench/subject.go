package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// subject is what is asked under load, and the process that is watched then.
type subject struct {
	name, url, token string
	proc             *proc
	admin            string                                            // base URL of its profiles, if it has any
	load             func(context.Context) (int, time.Duration, error) // nil: of HTTP
	missing          string                                            // why there is nothing to ask

	rates []float64 // requests a second, by turn
	cpus  []float64 // microseconds of processor time for each
}

// measure asks all subjects in turns.
func (b *bench) measure(ctx context.Context, subjects []*subject) error {
	for range b.rounds {
		for _, s := range subjects {
			if s.missing != "" {
				continue
			}
			if b.profiles != "" && s.admin != "" && len(s.rates) == 0 {
				if err := b.profile(ctx, s); err != nil {
					return err
				}
			}
			if err := b.warm(ctx, s); err != nil {
				return err
			}
			before := s.proc.cpu()
			n, took, err := b.ask(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if n == 0 {
				return fmt.Errorf("%s: %s was not answered once", s.name, s.url)
			}
			s.rates = append(s.rates, float64(n)/took.Seconds())
			s.cpus = append(s.cpus, float64((s.proc.cpu()-before).Microseconds())/float64(n))
		}
	}
	return nil
}

// warm asks for a moment without measuring, so that guests and connections
// are there that were given up while others had their turn.
func (b *bench) warm(ctx context.Context, s *subject) error {
	if s.load != nil {
		return nil
	}
	_, _, err := loop(ctx, s.url, s.token, 300*time.Millisecond)
	return err
}

// profile asks under load where the time goes, and keeps the answer.
func (b *bench) profile(ctx context.Context, s *subject) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, _, err := b.load(ctx, s.url, s.token)
		return err
	})
	g.Go(func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.admin, b.seconds), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		name := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, s.name)
		return os.WriteFile(filepath.Join(b.profiles, name+".pprof"), text, 0o600)
	})
	return g.Wait()
}

func (b *bench) ask(ctx context.Context, s *subject) (int, time.Duration, error) {
	if s.load != nil {
		return s.load(ctx)
	}
	return b.load(ctx, s.url, s.token)
}

// of is the median of the ratios to another subject, each within one turn.
func (s *subject) of(o *subject) string {
	if o.missing != "" || s.missing != "" {
		return "–"
	}
	var ratios []float64
	for i, r := range s.rates {
		ratios = append(ratios, r/o.rates[i])
	}
	return fmt.Sprintf("%.2f", median(ratios))
}

// versus prints pairs of subjects, each with its ratio to its twin.
func versus(title string, pairs [][2]*subject) {
	var rows [][]string
	for _, p := range pairs {
		rows = append(rows, []string{
			p[0].name, fmt.Sprintf("%.0f", median(p[0].rates)), p[0].of(p[1]), fmt.Sprintf("%.0f", median(p[0].cpus)), fmt.Sprintf("%.0f", median(p[1].cpus)),
		})
	}
	table(title, []string{"what", "requests/s", "of the same in plain Go", "CPU µs/request", "of the same in plain Go"}, rows)
}

// compare prints the subjects with their ratios to some of them.
func compare(title string, subjects []*subject, to ...*subject) {
	head := []string{"what", "requests/s"}
	for _, o := range to {
		head = append(head, "of "+o.name)
	}
	head = append(head, "CPU µs/request")
	var rows [][]string
	for _, s := range subjects {
		row := []string{s.name, fmt.Sprintf("%.0f", median(s.rates))}
		for _, o := range to {
			row = append(row, s.of(o))
		}
		row = append(row, fmt.Sprintf("%.0f", median(s.cpus)))
		if s.missing != "" {
			row[1], row[len(row)-1] = s.missing, "–"
		}
		rows = append(rows, row)
	}
	table(title, head, rows)
}
