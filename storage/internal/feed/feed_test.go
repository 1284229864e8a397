package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/annex-gateway/annex/storage"
)

// source is the least store that a Feed needs.
type source struct {
	at      storage.Revision
	entries []storage.Entry
	err     error
	open    int
}

func (s *source) picture(_ context.Context, _ string, use func(storage.Revision, iter.Seq2[storage.Entry, error]) error) error {
	s.open++
	defer func() { s.open-- }()
	return use(s.at, func(yield func(storage.Entry, error) bool) {
		for _, e := range s.entries {
			if !yield(e, nil) {
				return
			}
		}
		if s.err != nil {
			yield(storage.Entry{}, s.err)
		}
	})
}

func batch(rev storage.Revision, key string, size int) storage.Batch {
	return storage.Batch{Revision: rev, Entries: []storage.Entry{{Key: key, Value: make([]byte, size), Revision: rev}}}
}

type pulled struct {
	t    *testing.T
	next func() (storage.Batch, error, bool)
}

func pull(t *testing.T, seq iter.Seq2[storage.Batch, error]) (pulled, func()) {
	t.Helper()
	next, stop := iter.Pull2(seq)
	t.Cleanup(stop)
	return pulled{t, next}, stop
}

func (p pulled) want(rev storage.Revision, snapshot bool) storage.Batch {
	p.t.Helper()
	b, err, ok := p.next()
	if !ok || err != nil || b.Revision != rev || b.Snapshot != snapshot {
		p.t.Fatalf("got %+v, %v; want revision %d, snapshot %v", b, err, rev, snapshot)
	}
	return b
}

func (p pulled) wantError(want error) {
	p.t.Helper()
	if b, err, ok := p.next(); !ok || !errors.Is(err, want) {
		p.t.Fatalf("got %+v, %v; want %v", b, err, want)
	}
}

func TestNothingIsKeptWithoutFollowers(t *testing.T) {
	t.Parallel()
	f := New(Options{})
	for rev := range storage.Revision(100) {
		f.Announce(batch(rev, "a", 1000))
	}
	if len(f.kept) != 0 || f.bytes != 0 {
		t.Fatalf("%d batches, %d bytes", len(f.kept), f.bytes)
	}
}

func TestWhatAllFollowersTookIsForgotten(t *testing.T) {
	t.Parallel()
	f, s := New(Options{}), &source{}
	a, stopA := pull(t, f.Follow(t.Context(), "", s.picture))
	b, _ := pull(t, f.Follow(t.Context(), "", s.picture))
	a.want(0, true)
	b.want(0, true)
	f.Announce(batch(1, "a", 10), batch(2, "a", 10), batch(3, "a", 10))
	b.want(1, false)
	b.want(2, false)
	a.want(1, false)
	if len(f.kept) != 2 {
		t.Fatalf("%d batches are kept, want the two that a did not take", len(f.kept))
	}
	stopA()
	if len(f.kept) != 1 {
		t.Fatalf("%d batches are kept, want the one that b did not take", len(f.kept))
	}
	b.want(3, false)
	if len(f.kept) != 0 || f.bytes != 0 {
		t.Fatalf("%d batches, %d bytes are kept, want none", len(f.kept), f.bytes)
	}
}

func TestAFollowerThatFallsBehindGetsASnapshotAndMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts Options
		size int
	}{
		{"by number", Options{MaxBatches: 10}, 1},
		{"by bytes", Options{MaxBytes: 10_000}, 1000},
		{"by one that is too large", Options{MaxBytes: 500}, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, s := New(tt.opts), &source{}
			quick, _ := pull(t, f.Follow(t.Context(), "", s.picture))
			slow, _ := pull(t, f.Follow(t.Context(), "", s.picture))
			quick.want(0, true)
			slow.want(0, true)
			fits := tt.size < f.opts.MaxBytes
			for rev := storage.Revision(1); rev <= 50; rev++ {
				s.at = rev
				f.Announce(batch(rev, "a", tt.size))
				quick.want(rev, !fits)
				if len(f.kept) > 10 || f.bytes > f.opts.MaxBytes {
					t.Fatalf("%d batches, %d bytes are kept", len(f.kept), f.bytes)
				}
			}
			slow.want(50, true)
			if len(f.kept) != 0 {
				t.Fatalf("%d batches are kept for nobody", len(f.kept))
			}
		})
	}
}

func TestACommitThatIsInTheSnapshotAlreadyIsNotRepeated(t *testing.T) {
	t.Parallel()
	f, s := New(Options{}), &source{at: 2}
	announcing := func(ctx context.Context, prefix string, use func(storage.Revision, iter.Seq2[storage.Entry, error]) error) error {
		f.Announce(batch(1, "a", 1), batch(2, "a", 1), batch(3, "a", 1))
		return s.picture(ctx, prefix, use)
	}
	p, _ := pull(t, f.Follow(t.Context(), "", announcing))
	p.want(2, true)
	p.want(3, false)
}

func TestOnlyTheBatchesBelowThePrefixShow(t *testing.T) {
	t.Parallel()
	f, s := New(Options{}), &source{}
	p, _ := pull(t, f.Follow(t.Context(), "a/", s.picture))
	p.want(0, true)
	mixed := batch(2, "a/1", 1)
	mixed.Entries = append(mixed.Entries, storage.Entry{Key: "b/1", Revision: 2})
	f.Announce(batch(1, "b/1", 1), mixed)
	if b := p.want(2, false); len(b.Entries) != 1 {
		t.Fatalf("got %+v", b)
	}
	if len(mixed.Entries) != 2 {
		t.Fatal("the batch itself was changed")
	}
}

func TestALongSnapshotComesInPartsAndHoldsNothingOpenAtItsEnd(t *testing.T) {
	t.Parallel()
	f, s := New(Options{}), &source{at: 7}
	for i := range 2*snapshotEntries + 1 {
		s.entries = append(s.entries, storage.Entry{Key: fmt.Sprint(i), Value: []byte("v"), Revision: 1})
	}
	p, _ := pull(t, f.Follow(t.Context(), "", s.picture))
	total := 0
	for i := range 3 {
		b := p.want(7, true)
		total += len(b.Entries)
		if b.More != (i < 2) || (s.open > 0) != b.More {
			t.Fatalf("part %d: more %v, open %d", i, b.More, s.open)
		}
	}
	if total != len(s.entries) {
		t.Fatalf("%d entries, want %d", total, len(s.entries))
	}
}

func TestWhatEndsAWatchIsItsLastElement(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	f := New(Options{})
	p, _ := pull(t, f.Follow(t.Context(), "", (&source{err: broken}).picture))
	p.wantError(broken)
	p, _ = pull(t, f.Follow(t.Context(), "a", (&source{}).picture))
	p.wantError(storage.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	p, _ = pull(t, f.Follow(ctx, "", (&source{}).picture))
	p.want(0, true)
	f.Announce(batch(1, "a", 1))
	cancel()
	p.wantError(context.Canceled)
	p, _ = pull(t, f.Follow(t.Context(), "", (&source{}).picture))
	p.want(0, true)
	f.Announce(batch(2, "a", 1))
	f.Close()
	p.wantError(storage.ErrClosed)
	p, _ = pull(t, f.Follow(t.Context(), "", (&source{}).picture))
	p.wantError(storage.ErrClosed)
}
