package main

import (
	"context"
	"fmt"
)

// subject is what is asked under load, and the process that is watched then.
type subject struct {
	name, url, token string
	proc             *proc
	missing          string // why there is nothing to ask

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
			before := s.proc.cpu()
			n, took, err := b.load(ctx, s.url, s.token)
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
