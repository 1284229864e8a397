package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/storage"
)

func set(key, value string) storage.Commit {
	return storage.Commit{Writes: []storage.Write{{Key: key, Value: []byte(value)}}}
}

func mustCommit(tb testing.TB, s *Store, c storage.Commit) storage.Revision {
	tb.Helper()
	rev, err := s.Commit(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return rev
}

func mustHold(tb testing.TB, s *Store, key, value string) {
	tb.Helper()
	if e, err := s.Get(tb.Context(), key); err != nil || string(e.Value) != value {
		tb.Fatalf("Get(%q) = %q, %v; want %q", key, e.Value, err, value)
	}
}

// gate stops the writer before each group of commits, where it asks for the
// free space.
type gate struct {
	groups  atomic.Int64
	arrived chan struct{}
	open    chan struct{}
}

func (g *gate) free(string) (int64, error) {
	if g.groups.Add(1) > 1 { // the first question is Open's
		g.arrived <- struct{}{}
		<-g.open
	}
	return math.MaxInt64, nil
}

// openGated opens a store whose writer waits at the gate with the commit "first".
func openGated(t *testing.T) (*Store, *gate, <-chan error) {
	t.Helper()
	g := &gate{arrived: make(chan struct{}, 100), open: make(chan struct{})}
	s, err := open(t.TempDir(), Options{}, g.free)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	first := make(chan error, 1)
	go func() {
		_, err := s.Commit(context.Background(), set("first", "1"))
		first <- err
	}()
	<-g.arrived
	return s, g, first
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for too long: %s", what)
		}
	}
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func TestCommitsThatWaitTogetherAreWrittenTogether(t *testing.T) {
	t.Parallel()
	s, g, first := openGated(t)
	var wg sync.WaitGroup
	var conflicts atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			c := set(fmt.Sprintf("k/%d", i), "1")
			c.Writes = append(c.Writes, storage.Write{Key: "one", Value: []byte("1"), If: storage.Absent()})
			if i%10 != 0 {
				c.Writes = c.Writes[:1]
			}
			_, err := s.Commit(t.Context(), c)
			var conflict *storage.ConflictError
			if errors.As(err, &conflict) {
				conflicts.Add(1)
			} else if err != nil {
				t.Errorf("Commit: %v", err)
			}
		})
	}
	waitFor(t, "50 commits in the queue", func() bool { return s.queue.length() == 50 })
	close(g.open)
	wg.Wait()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if n := g.groups.Load() - 1; n != 2 {
		t.Errorf("51 commits were written in %d groups, want 2", n)
	}
	if n := conflicts.Load(); n != 4 {
		t.Errorf("%d conflicts within the group, want 4", n)
	}
	n := 0
	revs := map[storage.Revision]bool{}
	for e, err := range s.List(t.Context(), "k/") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		revs[e.Revision] = true
	}
	if n != 46 || len(revs) != 46 {
		t.Errorf("%d entries at %d revisions, want 46", n, len(revs))
	}
}

func TestACommitIsWithdrawnWhenItsContextEndsInTheQueue(t *testing.T) {
	t.Parallel()
	s, g, first := openGated(t)
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := s.Commit(ctx, set("second", "1"))
		second <- err
	}()
	waitFor(t, "the commit in the queue", func() bool { return s.queue.length() == 1 })
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) || errors.Is(err, storage.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	close(g.open)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, set("third", "1"))
	if _, err := s.Get(t.Context(), "second"); !errors.Is(err, storage.ErrNotFound) {
		t.Fatalf("the withdrawn commit happened: %v", err)
	}
}

func TestACommitWhoseContextEndsWhileItIsWritten(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		finish bool
	}{
		{"tells the outcome when that comes soon", true},
		{"is unknown when it takes long", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := &gate{arrived: make(chan struct{}, 100), open: make(chan struct{})}
			s, err := open(t.TempDir(), Options{}, g.free)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() {
				_, err := s.Commit(ctx, set("a", "1"))
				result <- err
			}()
			<-g.arrived
			cancel()
			if tt.finish {
				close(g.open)
				if err := <-result; err != nil {
					t.Fatalf("got %v", err)
				}
			} else {
				if err := <-result; !errors.Is(err, storage.ErrUnknown) || !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v", err)
				}
				close(g.open)
				mustCommit(t, s, set("b", "1"))
			}
			mustHold(t, s, "a", "1")
		})
	}
}

func TestClosingRefusesTheCommitsInTheQueue(t *testing.T) {
	t.Parallel()
	s, g, first := openGated(t)
	second := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), set("second", "1"))
		second <- err
	}()
	waitFor(t, "the commit in the queue", func() bool { return s.queue.length() == 1 })
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if err := <-second; !errors.Is(err, storage.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	close(g.open)
	if err := errors.Join(<-first, <-closed); err != nil {
		t.Fatal(err)
	}
}

func TestACommitThatIsTooLargeIsInvalidAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Options{})
	defer s.Close()
	var many, inline storage.Commit
	for i := range 30_000 {
		many.Writes = append(many.Writes, storage.Write{Key: fmt.Sprintf("many/%d", i)})
	}
	for i := range 1000 {
		inline.Writes = append(inline.Writes, storage.Write{Key: fmt.Sprintf("inline/%d", i), Value: make([]byte, 4000)})
	}
	for name, c := range map[string]storage.Commit{
		"one large value":   {Writes: []storage.Write{{Key: "large", Value: make([]byte, MaxCommit)}}},
		"many keys":         many,
		"many small values": inline,
	} {
		if _, err := s.Commit(t.Context(), c); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for e := range s.List(t.Context(), "") {
		t.Fatalf("%q was written", e.Key)
	}
	for i := range 3 { // more than one file of the value log
		v := bytes.Repeat([]byte{byte('0' + i)}, MaxCommit-1024)
		mustCommit(t, s, storage.Commit{Writes: []storage.Write{{Key: fmt.Sprintf("large/%d", i), Value: v}}})
		mustHold(t, s, fmt.Sprintf("large/%d", i), string(v))
	}
	var deletes storage.Commit
	for i := range 20_000 {
		deletes.Writes = append(deletes.Writes, storage.Write{Key: fmt.Sprintf("resource/%d/%s", i, strings.Repeat("x", 40))})
	}
	mustCommit(t, s, deletes)
	var wg sync.WaitGroup
	for range 8 { // together they would be too many
		wg.Go(func() {
			if _, err := s.Commit(t.Context(), deletes); err != nil {
				t.Errorf("Commit: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestALowDiskMakesTheStoreReadOnly(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(math.MaxInt64)
	dir := t.TempDir()
	s, err := open(dir, Options{MinFree: 10 << 20}, func(string) (int64, error) { return free.Load(), nil })
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, set("a", "1"))
	free.Store(7 << 20)
	_, err = s.Commit(t.Context(), set("a", "2"))
	if !errors.Is(err, storage.ErrReadOnly) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "7 MiB free") {
		t.Fatalf("got %v", err)
	}
	mustHold(t, s, "a", "1")
	free.Store(11 << 20)
	mustCommit(t, s, set("a", "3"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free.Store(4 << 20)
	if _, err := open(dir, Options{MinFree: 10 << 20}, func(string) (int64, error) { return free.Load(), nil }); err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("got %v", err)
	}
}

func TestTheFreeSpaceOfADirectoryIsKnown(t *testing.T) {
	t.Parallel()
	if n, err := freeBytes(t.TempDir()); err != nil || n <= 0 {
		t.Fatalf("freeBytes = %d, %v", n, err)
	}
}

func TestAFailedSyncEndsAllWritesAndShowsNothing(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Options{})
	defer s.Close()
	mustCommit(t, s, set("a", "1"))
	s.trap.Errorf(unsyncedText+": %v\n", errors.New("input/output error"))
	if _, err := s.Commit(t.Context(), set("a", "2")); !errors.Is(err, storage.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	_, err := s.Commit(t.Context(), set("a", "3"))
	if !errors.Is(err, storage.ErrReadOnly) || errors.Is(err, storage.ErrUnknown) || !strings.Contains(err.Error(), "input/output error") {
		t.Fatalf("got %v", err)
	}
	mustHold(t, s, "a", "1")
	for b, err := range s.Watch(t.Context(), "") {
		if err != nil || len(b.Entries) != 1 || string(b.Entries[0].Value) != "1" {
			t.Fatalf("got %+v, %v", b, err)
		}
		break
	}
}

// The texts and formats that this package knows of Badger (log.go, open.go,
// inspect.go, inspectlog.go) must be read again when it is upgraded.
func TestWhatWeKnowOfBadgerIsOfThisVersion(t *testing.T) {
	t.Parallel()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Skip("no build information")
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/dgraph-io/badger/v4" && dep.Version != "v4.9.6" {
			t.Errorf("Badger is %s: compare what we know of its texts and formats, then change this test", dep.Version)
		}
	}
}

func TestGarbageIsCollectedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	value := func(round, i int) []byte { return bytes.Repeat([]byte{byte(round), byte(i)}, 50<<10) }
	const rounds, keys = 8, 5
	for round := range rounds { // each leaves a table and a file of the value log
		s := mustOpen(t, dir, Options{})
		for i := range keys {
			mustCommit(t, s, storage.Commit{Writes: []storage.Write{{Key: fmt.Sprintf("a/%d", i), Value: value(round, i)}}})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	logs := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	s := mustOpen(t, dir, Options{GCInterval: 10 * time.Millisecond})
	before := logs()
	waitFor(t, "files of the value log to go", func() bool { return logs() <= before-rounds/2 })
	for range 2 {
		for i := range keys {
			mustHold(t, s, fmt.Sprintf("a/%d", i), string(value(rounds-1, i)))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir, Options{})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
