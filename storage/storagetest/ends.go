package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/storage"
)

var endTests = []test{
	{"a closed store does nothing and can be closed again", func(e *env) {
		e.commit(put("a", "1"))
		closeStore(e.T, e.s)
		if _, err := e.s.Get(e.ctx, "a"); !errors.Is(err, storage.ErrClosed) {
			e.Errorf("Get: %v", err)
		}
		if err := listError(e.ctx, e.s, ""); !errors.Is(err, storage.ErrClosed) {
			e.Errorf("List: %v", err)
		}
		if _, err := e.s.Commit(e.ctx, put("a", "2")); !errors.Is(err, storage.ErrClosed) {
			e.Errorf("Commit: %v", err)
		}
		if err := watchError(e.ctx, e.s, ""); !errors.Is(err, storage.ErrClosed) {
			e.Errorf("Watch: %v", err)
		}
		closeStore(e.T, e.s)
	}},
	{"close ends the watches", func(e *env) {
		f := e.follow(e.ctx, "")
		ended := make(chan error, 1)
		go func() { ended <- watchError(e.ctx, e.s, "") }()
		e.commit(put("a", "1"))
		closeStore(e.T, e.s)
		if err := f.end(); !errors.Is(err, storage.ErrClosed) {
			e.Errorf("a watch that was asked later ended with %v", err)
		}
		if err := <-ended; !errors.Is(err, storage.ErrClosed) {
			e.Errorf("a waiting watch ended with %v", err)
		}
	}},
	{"close waits for a list in progress, which ends", func(e *env) {
		e.commit(put("a/1", "1", "a/2", "2", "a/3", "3"))
		closed := make(chan error, 1)
		var last error
		n := 0
		for _, err := range e.s.List(e.ctx, "a/") {
			if n++; n == 1 {
				go func() { closed <- e.s.Close() }()
			}
			last = err
		}
		if last != nil && !errors.Is(last, storage.ErrClosed) {
			e.Errorf("the list ended with %v", last)
		}
		if err := <-closed; err != nil {
			e.Errorf("Close: %v", err)
		}
	}},
	{"close under load lets every call end with an answer", closeUnderLoad},
}

func closeUnderLoad(e *env) {
	var wg sync.WaitGroup
	var done atomic.Int64
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := e.s.Commit(e.ctx, put(fmt.Sprintf("a/%d", w), strconv.Itoa(i)))
				if err == nil {
					done.Add(1)
					err = listError(e.ctx, e.s, "a/")
				}
				if err == nil {
					_, err = e.s.Get(e.ctx, fmt.Sprintf("a/%d", w))
				}
				if errors.Is(err, storage.ErrClosed) {
					return
				}
				if err != nil {
					e.Errorf("got %v", err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		if err := watchError(e.ctx, e.s, ""); !errors.Is(err, storage.ErrClosed) {
			e.Errorf("the watch ended with %v", err)
		}
	})
	f := e.follow(e.ctx, "a/")
	for done.Load() < 20 && f.last < 40 {
		f.take()
	}
	closeStore(e.T, e.s)
	wg.Wait()
}

// RunDurable tests what a store on disk promises beyond Run. open opens the
// store in dir, which is empty at first.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) storage.Store) {
	t.Helper()
	for _, tt := range []struct {
		name string
		run  func(e *env, reopen func())
	}{
		{"everything is there after reopening", everythingStays},
		{"revisions go on after reopening", revisionsGoOn},
		{"a watch of a reopened store begins with what stands", func(e *env, reopen func()) {
			rev := e.commit(put("a/1", "1", "a/2", "2"))
			reopen()
			f := e.follow(e.ctx, "a/")
			f.agrees("a/")
			if f.last != rev {
				e.Fatalf("the snapshot is of %d, want %d", f.last, rev)
			}
			e.commit(put("a/1", "3"))
			f.take()
			f.agrees("a/")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			e := &env{T: t, ctx: patience(t), s: open(t, dir)}
			t.Cleanup(func() { closeStore(t, e.s) })
			tt.run(e, func() {
				closeStore(t, e.s)
				e.s = open(t, dir)
			})
		})
	}
}

func everythingStays(e *env, reopen func()) {
	var want []string
	for round := range 3 {
		for i := range 20 {
			e.commit(put(fmt.Sprintf("a/%d/%d", round, i), string(make([]byte, 100*i))))
		}
		e.commit(put("a/empty", "", "a/over", strconv.Itoa(round)))
		e.commit(remove(fmt.Sprintf("a/%d/0", round)))
		want = e.list("")
		var revs []storage.Revision
		for _, key := range []string{"a/over", "a/0/1"} {
			revs = append(revs, e.get(key).Revision)
		}
		reopen()
		if got := e.list(""); !slices.Equal(got, want) {
			e.Fatalf("round %d: %d entries, want %d", round, len(got), len(want))
		}
		if got := []storage.Revision{e.get("a/over").Revision, e.get("a/0/1").Revision}; !slices.Equal(got, revs) {
			e.Fatalf("round %d: revisions %v, want %v", round, got, revs)
		}
	}
}

func revisionsGoOn(e *env, reopen func()) {
	last := e.commit(put("a", "1"))
	for range 3 {
		reopen()
		rev := e.commit(put("b", "1"))
		if rev <= last {
			e.Fatalf("%d after %d", rev, last)
		}
		last = e.commit(remove("b")) // the newest commit leaves no entry
		if last <= rev {
			e.Fatalf("%d after %d", last, rev)
		}
	}
	e.conflicts(write("a", "2", storage.Rev(last)), storage.ConflictError{Key: "a", Want: last, Have: e.get("a").Revision})
}
