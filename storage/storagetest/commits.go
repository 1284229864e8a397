package storagetest

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/storage"
)

// write is one conditional write as a commit.
func write(key, value string, cond *storage.Revision) storage.Commit {
	return storage.Commit{Writes: []storage.Write{{Key: key, Value: []byte(value), If: cond}}}
}

var commitTests = []test{
	{"revisions go up with every commit", func(e *env) {
		last := storage.Revision(0)
		for range 20 {
			rev := e.commit(put("a", "1"))
			if rev <= last {
				e.Fatalf("%d after %d", rev, last)
			}
			last = rev
		}
	}},
	{"an entry keeps the revision of its own last commit", func(e *env) {
		first := e.commit(put("a", "1", "b", "1"))
		second := e.commit(put("b", "2"))
		if a, b := e.holds("a", "1"), e.holds("b", "2"); a != first || b != second {
			e.Fatalf("a is at %d, b at %d; want %d and %d", a, b, first, second)
		}
	}},
	{"a new key can be demanded", func(e *env) {
		rev := e.commit(write("a", "1", storage.Absent()))
		e.conflicts(write("a", "2", storage.Absent()), storage.ConflictError{Key: "a", Have: rev})
		e.holds("a", "1")
		e.commit(remove("a"))
		e.commit(write("a", "3", storage.Absent()))
	}},
	{"a revision can be demanded", func(e *env) {
		old := e.commit(put("a", "1"))
		rev := e.commit(write("a", "2", storage.Rev(old)))
		e.conflicts(write("a", "3", storage.Rev(old)), storage.ConflictError{Key: "a", Want: old, Have: rev})
		e.holds("a", "2")
	}},
	{"a demanded key that is not there is a conflict", func(e *env) {
		e.conflicts(write("a", "1", storage.Rev(7)), storage.ConflictError{Key: "a", Want: 7})
		old := e.commit(put("b", "1"))
		e.commit(remove("b"))
		e.conflicts(write("b", "1", storage.Rev(old)), storage.ConflictError{Key: "b", Want: old})
	}},
	{"a delete can have a condition", func(e *env) {
		old := e.commit(put("a", "1"))
		rev := e.commit(put("a", "2"))
		del := func(r storage.Revision) storage.Commit {
			return storage.Commit{Writes: []storage.Write{{Key: "a", If: storage.Rev(r)}}}
		}
		e.conflicts(del(old), storage.ConflictError{Key: "a", Want: old, Have: rev})
		e.commit(del(rev))
		e.absent("a")
	}},
	{"a check holds another key still and does not rewrite it", func(e *env) {
		parent := e.commit(put("parent", "1"))
		child := func(key string, want storage.Revision) storage.Commit {
			c := put(key, "x")
			c.Checks = []storage.Check{{Key: "parent", If: want}}
			return c
		}
		e.commit(child("child/1", parent))
		if got := e.holds("parent", "1"); got != parent {
			e.Fatalf("the check moved the parent from %d to %d", parent, got)
		}
		changed := e.commit(put("parent", "2"))
		e.conflicts(child("child/2", parent), storage.ConflictError{Key: "parent", Want: parent, Have: changed})
		e.commit(remove("parent"))
		e.conflicts(child("child/2", changed), storage.ConflictError{Key: "parent", Want: changed})
		e.commit(child("child/3", 0))
		e.conflicts(child("child/4", 1), storage.ConflictError{Key: "parent", Want: 1})
		if got, want := e.list("child/"), []string{"child/1=x", "child/3=x"}; !slices.Equal(got, want) {
			e.Fatalf("children %v, want %v", got, want)
		}
	}},
	{"one failed condition stops the whole commit", allOrNothing},
	{"a large commit is whole", func(e *env) {
		var c storage.Commit
		for i := range 500 {
			c.Writes = append(c.Writes, storage.Write{Key: "a/" + strings.Repeat("k", i%50) + string(rune('a'+i/50)), Value: []byte(strings.Repeat("v", i))})
		}
		rev := e.commit(c)
		n := 0
		for entry, err := range e.s.List(e.ctx, "a/") {
			if err != nil || entry.Revision != rev {
				e.Fatalf("%q is at %d, %v; want %d", entry.Key, entry.Revision, err, rev)
			}
			n++
		}
		if n != len(c.Writes) {
			e.Fatalf("%d entries, want %d", n, len(c.Writes))
		}
	}},
	{"an impossible commit is refused and writes nothing", func(e *env) {
		for _, c := range []storage.Commit{
			{},
			{Checks: []storage.Check{{Key: "a"}}},
			put("", "1"),
			put("b", "1", "", "1"),
			put("b", "1", "b", "2"),
			{Writes: []storage.Write{{Key: "b", Value: []byte("1")}}, Checks: []storage.Check{{Key: "b"}}},
			{Writes: []storage.Write{{Key: "b", Value: []byte("1")}}, Checks: []storage.Check{{Key: "c"}, {Key: "c"}}},
			{Writes: []storage.Write{{Key: "b", Value: []byte("1")}}, Checks: []storage.Check{{Key: ""}}},
			put("b", "1", strings.Repeat("k", storage.MaxKey+1), "1"),
		} {
			e.refused(c, storage.ErrInvalid)
		}
		if got := e.list(""); len(got) != 0 {
			e.Fatalf("got %v", got)
		}
	}},
}

func allOrNothing(e *env) {
	a := e.commit(put("a", "1"))
	b := e.commit(put("b", "1"))
	for _, c := range []storage.Commit{
		{Writes: []storage.Write{{Key: "a", Value: []byte("2"), If: storage.Rev(a)}, {Key: "b", Value: []byte("2"), If: storage.Rev(a)}}},
		{Writes: []storage.Write{{Key: "b", Value: []byte("2"), If: storage.Rev(a)}, {Key: "a", Value: []byte("2"), If: storage.Rev(a)}}},
		{Writes: []storage.Write{{Key: "a"}, {Key: "c", Value: []byte("2")}}, Checks: []storage.Check{{Key: "b", If: a}}},
	} {
		e.conflicts(c, storage.ConflictError{Key: "b", Want: a, Have: b})
	}
	if got, want := e.list(""), []string{"a=1", "b=1"}; !slices.Equal(got, want) {
		e.Fatalf("got %v, want %v", got, want)
	}
	if got := e.get("a").Revision; got != a {
		e.Fatalf("a moved from %d to %d", a, got)
	}
}
