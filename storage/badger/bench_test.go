package badger

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/storage"
)

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), Options{})
			defer s.Close()
			value := bytes.Repeat([]byte("v"), 400)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						key := fmt.Sprintf("k/%08d", i)
						_, err := s.Commit(b.Context(), storage.Commit{Writes: []storage.Write{
							{Key: key, Value: value, If: storage.Absent()},
							{Key: "index/" + key, Value: []byte{}, If: storage.Absent()},
						}})
						if err != nil {
							b.Errorf("Commit: %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func fillMany(b *testing.B, s *Store, n int) {
	b.Helper()
	value := bytes.Repeat([]byte("v"), 400)
	for i := 0; i < n; {
		var c storage.Commit
		for range 1000 {
			c.Writes = append(c.Writes, storage.Write{Key: fmt.Sprintf("k/%08d", i), Value: value})
			i++
		}
		mustCommit(b, s, c)
	}
}

func BenchmarkGet(b *testing.B) {
	s := mustOpen(b, b.TempDir(), Options{})
	defer s.Close()
	const n = 100_000
	fillMany(b, s, n)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % n
		if _, err := s.Get(b.Context(), fmt.Sprintf("k/%08d", i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart opens a store with 100,000 entries and reads them all.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	s := mustOpen(b, dir, Options{})
	const n = 100_000
	fillMany(b, s, n)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s := mustOpen(b, dir, Options{})
		count := 0
		for batch, err := range s.Watch(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			if count += len(batch.Entries); !batch.More {
				break
			}
		}
		if count != n {
			b.Fatalf("%d entries", count)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
