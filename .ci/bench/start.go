package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/client"
)

func (h *house) get(ctx context.Context, path string) error {
	_, err := h.client.Do(ctx, client.Call{Method: http.MethodGet, Path: path})
	return err
}

// start measures how long the gateway takes until it is ready, and what one
// registration costs among many.
func (b *bench) start(ctx context.Context) error {
	var rows [][]string
	var fresh, empty, large []float64
	for i := range b.rounds {
		for _, times := range []*[]float64{&fresh, &empty} {
			h, took, err := b.open(ctx, fmt.Sprint(b.work, "/empty", i))
			if err != nil {
				return err
			}
			h.stop()
			*times = append(*times, millis(took))
		}
	}
	rows = append(rows, []string{"the very first start (makes keys, an administrator, an authority)", ms(fresh)}, []string{"ready, empty", ms(empty)})

	h, _, err := b.open(ctx, b.work+"/many")
	if err != nil {
		return err
	}
	if err := h.login(ctx); err != nil {
		return err
	}
	filler, err := h.service(ctx, "filler", nil)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := h.fill(ctx, filler, 0, b.many); err != nil {
		return err
	}
	rate := float64(b.many) / time.Since(begun).Seconds()
	visible, err := b.visible(ctx, h)
	if err != nil {
		return err
	}
	h.stop()
	for range b.rounds {
		h, took, err := b.open(ctx, b.work+"/many")
		if err != nil {
			return err
		}
		h.stop()
		large = append(large, millis(took))
	}
	rows = append(rows, []string{fmt.Sprintf("ready, %d filters", b.many), ms(large)},
		[]string{fmt.Sprintf("one registration among %d filters, until a call sees it", b.many), ms(visible)})
	table("Start and registrations", []string{"what", "ms"}, rows)
	fmt.Printf("\n%d filters were registered through the API at %.0f a second, 32 at a time.\n", b.many, rate)
	return nil
}

// visible registers filters one by one, and asks whether the next call is
// answered by the rule.
func (b *bench) visible(ctx context.Context, h *house) ([]float64, error) {
	s := &stage{house: h}
	if err := b.wasm(ctx, s, "answer", "answer", 0, "/api/bench/first"); err != nil {
		return nil, err
	}
	if err := h.answered(ctx, "/api/bench/first"); err != nil {
		return nil, err
	}
	id := "urn:vcloud:extension-api:" + vendor + ":answer:" + version
	var all []float64
	for i := range 20 * b.rounds {
		path := fmt.Sprint("/api/bench/visible", i)
		begun := time.Now()
		if err := h.filter(ctx, id, path, "API"); err != nil {
			return nil, err
		}
		if err := h.get(ctx, path); err != nil {
			return nil, fmt.Errorf("the call after a registration does not see it: %w", err)
		}
		all = append(all, millis(time.Since(begun)))
	}
	return all, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ms(v []float64) string { return fmt.Sprintf("%.0f", median(v)) }
