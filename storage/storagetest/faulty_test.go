package storagetest_test

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"testing"

	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
	"github.com/annex-gateway/annex/storage/storagetest"
)

func set(key, value string) storage.Commit {
	return storage.Commit{Writes: []storage.Write{{Key: key, Value: []byte(value)}}}
}

func TestAStoreWithoutFaultsKeepsAllPromises(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storage.Store { return storagetest.Faulty(memory.New(), nil) })
}

func TestFaultsOfCommits(t *testing.T) {
	t.Parallel()
	conditional := storage.Commit{Writes: []storage.Write{{Key: "a", Value: []byte("1"), If: storage.Absent()}}}
	checked := set("a", "1")
	checked.Checks = []storage.Check{{Key: "b"}}
	for _, tt := range []struct {
		name    string
		fault   storagetest.Fault
		commit  storage.Commit
		want    error
		applied bool
	}{
		{"no fault applies", storagetest.NoFault, conditional, nil, true},
		{"a conflict on a write does not apply", storagetest.Conflict, conditional, &storage.ConflictError{Key: "a", Have: 1}, false},
		{"a conflict on a check does not apply", storagetest.Conflict, checked, &storage.ConflictError{Key: "b", Have: 1}, false},
		{"no conflict without conditions", storagetest.Conflict, set("a", "1"), nil, true},
		{"an unknown outcome may have applied", storagetest.Applied, conditional, storage.ErrUnknown, true},
		{"an unknown outcome may be lost", storagetest.Lost, conditional, storage.ErrUnknown, false},
		{"a read-only store does not apply", storagetest.ReadOnly, conditional, storage.ErrReadOnly, false},
		{"an invalid commit is invalid whatever the plan", storagetest.Applied, storage.Commit{}, storage.ErrInvalid, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := storagetest.Faulty(memory.New(), storagetest.InTurn(tt.fault))
			rev, err := s.Commit(t.Context(), tt.commit)
			var got, want *storage.ConflictError
			if errors.As(tt.want, &want) {
				if !errors.As(err, &got) || *got != *want {
					t.Errorf("Commit: %v, want %v", err, want)
				}
			} else if !errors.Is(err, tt.want) {
				t.Errorf("Commit: %v, want %v", err, tt.want)
			}
			if (rev != 0) != (err == nil) {
				t.Errorf("Commit = %d, %v", rev, err)
			}
			if _, err := s.Get(t.Context(), "a"); (err == nil) != tt.applied {
				t.Errorf("applied: %v", err == nil)
			}
			if _, err := s.Commit(t.Context(), set("z", "1")); err != nil {
				t.Errorf("the plan has ended, and yet: %v", err)
			}
		})
	}
}

func TestEveryThirdCommitMeetsTheFault(t *testing.T) {
	t.Parallel()
	s := storagetest.Faulty(memory.New(), nil)
	s.SetPlan(storagetest.Every(3, storagetest.Lost))
	for i := 1; i <= 9; i++ {
		if _, err := s.Commit(t.Context(), set("a", strconv.Itoa(i))); (err != nil) != (i%3 == 0) {
			t.Errorf("commit %d: %v", i, err)
		}
	}
}

func TestARestartedWatchBeginsWithASnapshotAndMissesNothing(t *testing.T) {
	t.Parallel()
	s := storagetest.Faulty(memory.New(), nil)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next, stop := iter.Pull2(s.Watch(ctx, ""))
	defer stop()
	take := func(snapshot bool, value string) {
		t.Helper()
		b, err, ok := next()
		if !ok || err != nil || b.Snapshot != snapshot {
			t.Fatalf("got %+v, %v", b, err)
		}
		if n := len(b.Entries); n > 0 && string(b.Entries[n-1].Value) != value || n == 0 && value != "" {
			t.Fatalf("got %+v, want %s", b.Entries, value)
		}
	}
	write := func(value string) {
		t.Helper()
		if _, err := s.Commit(ctx, set("a", value)); err != nil {
			t.Fatal(err)
		}
	}
	take(true, "")
	write("1")
	take(false, "1")
	write("2")
	s.RestartWatches()
	take(true, "2")
	write("3")
	take(false, "3")
	s.RestartWatches()
	s.RestartWatches()
	take(true, "3")
	cancel()
	if _, err, _ := next(); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestARestartWakesAWaitingWatch(t *testing.T) {
	t.Parallel()
	s := storagetest.Faulty(memory.New(), nil)
	defer s.Close()
	snapshots := 0
	for b, err := range s.Watch(t.Context(), "") {
		if err != nil || !b.Snapshot {
			t.Fatalf("got %+v, %v", b, err)
		}
		if snapshots++; snapshots == 3 {
			break
		}
		go s.RestartWatches()
	}
}
