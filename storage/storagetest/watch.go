package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/annex-gateway/annex/storage"
)

var watchTests = []test{
	{"a watch of nothing begins with an empty snapshot", func(e *env) {
		if f := e.follow(e.ctx, "a/"); len(f.state) != 0 || f.last != 0 {
			e.Fatalf("%d entries at %d", len(f.state), f.last)
		}
	}},
	{"a watch begins with what stands below its prefix", func(e *env) {
		e.commit(put("a/1", "1", "a/2", "2", "b/1", "3", "a", "4"))
		e.commit(remove("a/1"))
		rev := e.commit(put("b/2", "5"))
		f := e.follow(e.ctx, "a/")
		f.agrees("a/")
		if f.last != rev {
			e.Fatalf("the snapshot is of %d, want %d", f.last, rev)
		}
		e.follow(e.ctx, "").agrees("")
	}},
	{"a long snapshot may come in parts", func(e *env) {
		for i := range 4 {
			var c storage.Commit
			for j := range 500 {
				c.Writes = append(c.Writes, storage.Write{Key: fmt.Sprintf("a/%d/%d", i, j), Value: bytes.Repeat([]byte("v"), 100)})
			}
			e.commit(c)
		}
		e.follow(e.ctx, "a/").agrees("a/")
	}},
	{"every later commit comes whole and in order", func(e *env) {
		e.commit(put("a/1", "0"))
		f := e.follow(e.ctx, "a/")
		var revs []storage.Revision
		for i := range 10 {
			revs = append(revs, e.commit(put("a/1", strconv.Itoa(i), "a/2", strconv.Itoa(i))))
		}
		for _, rev := range revs {
			if b := f.take(); b.Snapshot || b.Revision != rev || len(b.Entries) != 2 {
				e.Fatalf("got %+v, want two entries of commit %d", b, rev)
			}
		}
		f.agrees("a/")
	}},
	{"a commit shows as far as it lies below the prefix", func(e *env) {
		f := e.follow(e.ctx, "a/")
		e.commit(put("b/1", "1", "a", "1", "ab/1", "1"))
		rev := e.commit(put("b/1", "2", "a/1", "2"))
		if b := f.take(); b.Revision != rev || len(b.Entries) != 1 || b.Entries[0].Key != "a/1" {
			e.Fatalf("got %+v", b)
		}
	}},
	{"a deletion is an entry without a value", func(e *env) {
		e.commit(put("a/1", "1", "a/2", ""))
		f := e.follow(e.ctx, "a/")
		rev := e.commit(remove("a/1"))
		if b := f.take(); b.Revision != rev || len(b.Entries) != 1 || b.Entries[0].Key != "a/1" || b.Entries[0].Value != nil {
			e.Fatalf("got %+v", b)
		}
		f.agrees("a/")
	}},
	{"an empty value in a commit is not a deletion", func(e *env) {
		f := e.follow(e.ctx, "")
		e.commit(put("a", ""))
		f.take()
		f.agrees("")
	}},
	{"a refused commit does not show", func(e *env) {
		f := e.follow(e.ctx, "")
		e.commit(put("a", "1"))
		e.refused(put("", "1"), storage.ErrInvalid)
		e.conflicts(write("a", "2", storage.Rev(99)), storage.ConflictError{Key: "a", Want: 99, Have: e.get("a").Revision})
		last := e.commit(put("b", "1"))
		f.take()
		if b := f.take(); b.Revision != last {
			e.Fatalf("got commit %d, want %d", b.Revision, last)
		}
	}},
	{"what a watch shows can be read at once", func(e *env) {
		f := e.follow(e.ctx, "")
		for i := range 20 {
			e.commit(put("a", strconv.Itoa(i)))
			if b := f.take(); e.get("a").Revision < b.Revision {
				e.Fatal("the watch is ahead of Get")
			}
		}
	}},
	{"watches that begin while others write miss nothing and repeat nothing", watchSeam},
	{"a follower that dawdles stops nobody and gets everything or a snapshot", slowFollower},
	{"a follower that writes and reads in its loop is not stuck", func(e *env) {
		n := 0
		for b, err := range e.s.Watch(e.ctx, "") {
			if err != nil {
				e.Fatal(err)
			}
			if n++; n > 10 {
				break
			}
			e.commit(put("a", strconv.Itoa(n)))
			e.holds("a", strconv.Itoa(n))
			_ = b
		}
	}},
	{"a watch ends when its context does", func(e *env) {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		f := e.follow(ctx, "")
		cancel()
		if err := f.end(); !errors.Is(err, context.Canceled) {
			e.Fatalf("it ended with %v", err)
		}
	}},
	{"a waiting watch ends when its context does", func(e *env) {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		for b, err := range e.s.Watch(ctx, "") {
			if err != nil && !errors.Is(err, context.Canceled) {
				e.Fatalf("it ended with %v", err)
			}
			if b.Snapshot {
				time.AfterFunc(10*time.Millisecond, cancel)
			}
		}
	}},
	{"watches that are left or cancelled leave nothing behind", watchLeavesNothing},
}

// watchSeam starts watches at all times beside a writer that counts, and checks
// that each follower counts along.
func watchSeam(e *env) {
	const commits = 400
	e.commit(put("a/x", "0", "a/y", "0"))
	var wg sync.WaitGroup
	for range 2 {
		for range 4 {
			wg.Go(func() { countAlong(e, commits) })
		}
		runtime.Gosched()
	}
	for i := 1; i <= commits; i++ {
		e.commit(put("a/x", strconv.Itoa(i), "b/z", "noise", "a/y", strconv.Itoa(i)))
		if i%40 == 0 {
			wg.Go(func() { countAlong(e, commits) })
		}
	}
	wg.Wait()
}

func countAlong(e *env, last int) {
	f := &follower{e: e, state: map[string]storage.Entry{}}
	count := 0
	for b, err := range e.s.Watch(e.ctx, "a/") {
		if err == nil {
			err = f.apply(b)
		}
		if err != nil {
			e.Errorf("at %d: %v", count, err)
			return
		}
		x, errX := strconv.Atoi(string(f.state["a/x"].Value))
		y, errY := strconv.Atoi(string(f.state["a/y"].Value))
		if err := errors.Join(errX, errY); err != nil || x != y || (!b.Snapshot && (x != count+1 || len(b.Entries) != 2)) {
			e.Errorf("x=%d y=%d after %d: %v", x, y, count, err)
			return
		}
		if count = x; count == last {
			return
		}
	}
}

func slowFollower(e *env) {
	f := e.follow(e.ctx, "")
	filler := bytes.Repeat([]byte("v"), 512<<10)
	const commits = 96
	var last storage.Revision
	for i := range commits { // more than anybody should keep for a follower
		last = e.commit(storage.Commit{Writes: []storage.Write{
			{Key: "count", Value: []byte(strconv.Itoa(i))},
			{Key: "filler/" + strconv.Itoa(i%4), Value: filler},
		}})
	}
	count := -1
	for f.last < last || f.more {
		b := f.take()
		if f.more {
			continue
		}
		n, err := strconv.Atoi(string(f.state["count"].Value))
		if err != nil || (!b.Snapshot && n != count+1) {
			e.Fatalf("%d after %d: %v", n, count, err)
		}
		count = n
	}
	f.agrees("")
	e.commit(put("after", "1"))
	f.take()
	f.agrees("")
}

func watchLeavesNothing(e *env) {
	e.commit(put("a/1", "1"))
	e.follow(e.ctx, "").stop()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var cancelled []*follower
	for range 50 {
		for _, err := range e.s.Watch(e.ctx, "a/") {
			if err != nil {
				e.Fatal(err)
			}
			break
		}
		f := e.follow(e.ctx, "a/")
		e.commit(put("a/1", "2"))
		f.take()
		f.stop()
		cancelled = append(cancelled, e.follow(ctx, ""))
	}
	cancel()
	for _, f := range cancelled {
		if err := f.end(); !errors.Is(err, context.Canceled) {
			e.Fatalf("a watch ended with %v", err)
		}
	}
	// Other tests run beside this one and the database has goroutines of its
	// own: a few more do not matter, one for every watch does.
	for runtime.NumGoroutine() > before+25 {
		if e.ctx.Err() != nil {
			e.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}
