package storagetest

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/annex-gateway/annex/storage"
)

// follower drives a watch by hand and keeps what it was told.
type follower struct {
	e    *env
	next func() (storage.Batch, error, bool)
	stop func()

	state     map[string]storage.Entry
	last      storage.Revision
	more      bool // the next batch belongs to the same snapshot
	snapshots int
}

// follow starts a watch and takes its first snapshot. It ends with the test.
func (e *env) follow(ctx context.Context, prefix string) *follower {
	e.Helper()
	f := &follower{e: e, state: map[string]storage.Entry{}}
	f.next, f.stop = iter.Pull2(e.s.Watch(ctx, prefix))
	e.Cleanup(f.stop)
	for b := f.take(); b.More; b = f.take() {
	}
	if f.snapshots != 1 {
		e.Fatal("the watch does not begin with a snapshot")
	}
	return f
}

// take waits for the next batch, applies it and checks its form.
func (f *follower) take() storage.Batch {
	f.e.Helper()
	b, err, ok := f.next()
	if err != nil || !ok {
		f.e.Fatalf("the watch ended: %v", err)
	}
	if err := f.apply(b); err != nil {
		f.e.Fatal(err)
	}
	return b
}

// end takes what is left and returns the error at the end.
func (f *follower) end() error {
	f.e.Helper()
	for {
		b, err, ok := f.next()
		if !ok {
			f.e.Fatal("the watch ended without a reason")
		}
		if err != nil {
			if _, _, ok := f.next(); ok {
				f.e.Fatal("the watch goes on after an error")
			}
			return err
		}
		if err := f.apply(b); err != nil {
			f.e.Fatal(err)
		}
	}
}

func (f *follower) apply(b storage.Batch) error {
	switch {
	case b.Snapshot && !f.more:
		f.snapshots++
		clear(f.state)
		if b.Revision < f.last {
			return fmt.Errorf("a snapshot of %d after %d", b.Revision, f.last)
		}
	case b.Snapshot:
		if b.Revision != f.last {
			return fmt.Errorf("parts of one snapshot are of %d and %d", f.last, b.Revision)
		}
	case f.more:
		return fmt.Errorf("a commit in the middle of a snapshot")
	case b.Revision <= f.last:
		return fmt.Errorf("commit %d after %d", b.Revision, f.last)
	case len(b.Entries) == 0:
		return fmt.Errorf("commit %d does not touch the prefix", b.Revision)
	}
	if b.More && !b.Snapshot {
		return fmt.Errorf("commit %d comes in parts", b.Revision)
	}
	f.last, f.more = b.Revision, b.More
	for _, e := range b.Entries {
		if err := f.applyEntry(b, e); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) applyEntry(b storage.Batch, e storage.Entry) error {
	_, known := f.state[e.Key]
	switch {
	case b.Snapshot && (e.Value == nil || e.Revision > b.Revision || known):
		return fmt.Errorf("%q at %d does not belong into a snapshot of %d", e.Key, e.Revision, b.Revision)
	case !b.Snapshot && e.Revision != b.Revision:
		return fmt.Errorf("%q is at %d in commit %d", e.Key, e.Revision, b.Revision)
	case e.Value == nil:
		delete(f.state, e.Key)
	default:
		f.state[e.Key] = e
	}
	return nil
}

// agrees checks that the follower knows exactly what is below prefix now.
func (f *follower) agrees(prefix string) {
	f.e.Helper()
	want := map[string]storage.Entry{}
	for e, err := range f.e.s.List(f.e.ctx, prefix) {
		if err != nil {
			f.e.Fatal(err)
		}
		want[e.Key] = e
	}
	same := func(a, b storage.Entry) bool {
		return a.Key == b.Key && string(a.Value) == string(b.Value) && a.Revision == b.Revision
	}
	if !maps.EqualFunc(f.state, want, same) {
		f.e.Fatalf("the follower knows %d entries and they differ from the %d of the store", len(f.state), len(want))
	}
}
