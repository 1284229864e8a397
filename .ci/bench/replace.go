package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/client"
)

// asked is how many calls a second are made while a module is replaced: far
// less than the gateway can do, so that what they wait for is the replacement.
const asked = 1000

// replace measures what callers of a module see of its being replaced.
func (b *bench) replace(ctx context.Context) error {
	s, err := b.setStage(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	h := s.house
	if err := b.wasm(ctx, s, "answer", "answer", 0, "/api/bench/replaced"); err != nil {
		return err
	}
	if err := h.answered(ctx, "/api/bench/replaced"); err != nil {
		return err
	}
	other, err := b.otherModule(ctx, h)
	if err != nil {
		return err
	}
	set := func(digest string) error {
		_, err := h.client.Do(ctx, client.Call{Method: http.MethodPut, Path: "/cloudapi/extensions/api/" + systemID("answer"), In: map[string]any{
			"wasm": map[string]any{"module": digest, "config": "answer", "deadlineMs": 5000},
		}})
		return err
	}
	digests := []string{other, s.module}
	for _, d := range digests { // compile both: they are in the cache then
		if err := set(d); err != nil {
			return err
		}
	}
	d := time.Duration(2*b.seconds) * time.Second
	before := b.steady(ctx, h, d, nil)
	replaced := 0
	during := b.steady(ctx, h, d, func() error {
		replaced++
		return set(digests[replaced%2])
	})
	table(fmt.Sprintf("Replacing a module under %d calls a second", asked), []string{"while", "calls", "failed", "p50", "p99", "longest"}, [][]string{
		before.row("nothing happens"), during.row(fmt.Sprintf("it is replaced %d times", replaced)),
	})
	return during.err
}

// otherModule uploads the measured guest once more, with a custom section that
// makes another module of it.
func (b *bench) otherModule(ctx context.Context, h *house) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.work, "guest.wasm"))
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.work, "other.wasm")
	//nolint:gosec // the file is in our own directory
	if err := os.WriteFile(file, bytes.Join([][]byte{text, {0, 6, 5}, []byte("other")}, nil), 0o600); err != nil {
		return "", err
	}
	return h.module(ctx, file)
}

func systemID(name string) string {
	return fmt.Sprintf("urn:vcloud:extension-api:%s:%s:%s", vendor, name, version)
}

// waits are how long calls took, from when they were due.
type waits struct {
	took   []time.Duration
	failed int
	err    error
}

func (w *waits) row(name string) []string {
	slices.Sort(w.took)
	at := func(part float64) string {
		if len(w.took) == 0 {
			return "–"
		}
		return duration(float64(w.took[int(part*float64(len(w.took)-1))]))
	}
	return []string{name, fmt.Sprint(len(w.took) + w.failed), fmt.Sprint(w.failed), at(.5), at(.99), at(1)}
}

// steady makes calls at a steady rate, whether or not those before are done,
// and meanwhile something else, over and over.
func (b *bench) steady(ctx context.Context, h *house, d time.Duration, meanwhile func() error) *waits {
	ctx, cancel := context.WithTimeout(ctx, d+time.Minute)
	defer cancel()
	transport := &http.Transport{MaxIdleConnsPerHost: 1024}
	defer transport.CloseIdleConnections()
	var (
		w    waits
		mu   sync.Mutex
		all  sync.WaitGroup
		over atomic.Bool
	)
	if meanwhile != nil {
		all.Go(func() {
			for !over.Load() && w.err == nil {
				w.err = meanwhile()
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	begun := time.Now()
	for i := 0; ; i++ {
		due := begun.Add(time.Duration(i) * time.Second / asked)
		if due.Sub(begun) >= d {
			break
		}
		time.Sleep(time.Until(due))
		all.Go(func() {
			ok := once(ctx, transport, h)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				w.took = append(w.took, took)
			} else {
				w.failed++
			}
		})
	}
	over.Store(true)
	all.Wait()
	return &w
}

func once(ctx context.Context, transport *http.Transport, h *house) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.plain+"/api/bench/replaced", nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+h.client.Token)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && body.Len() > 1000
}
