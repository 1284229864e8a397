package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/annex-gateway/annex/storage"
)

var entryTests = []test{
	{"a key that was never written is not found", func(e *env) { e.absent("a") }},
	{"a written value can be read at the revision of its commit", func(e *env) {
		rev := e.commit(put("a", "1"))
		if got := e.holds("a", "1"); got != rev || rev == 0 {
			e.Fatalf("the entry is at %d, the commit was %d", got, rev)
		}
	}},
	{"an empty value is a value", func(e *env) {
		e.commit(put("a", ""))
		if got := e.get("a"); got.Value == nil || len(got.Value) != 0 {
			e.Fatalf("got %v, want an empty value that is not nil", got.Value)
		}
	}},
	{"a deleted key is not found and can be written again", func(e *env) {
		first := e.commit(put("a", "1"))
		second := e.commit(remove("a"))
		e.absent("a")
		third := e.commit(put("a", "2"))
		e.holds("a", "2")
		if first >= second || second >= third {
			e.Fatalf("revisions %d, %d, %d do not go up", first, second, third)
		}
	}},
	{"a key that is not there can be deleted", func(e *env) {
		e.commit(remove("a"))
		e.absent("a")
	}},
	{"a later change of the caller's slice changes nothing", func(e *env) {
		v := []byte("before")
		e.commit(storage.Commit{Writes: []storage.Write{{Key: "a", Value: v}}})
		copy(v, "AFTER!")
		e.holds("a", "before")
	}},
	{"keys and values are any bytes", func(e *env) {
		key, value := "k\x00\xff/!badger!/\u00e4", "\x00\xff\n"
		e.commit(put(key, value))
		e.holds(key, value)
	}},
	{"keys of the greatest length work", func(e *env) {
		key := string(bytes.Repeat([]byte("k"), storage.MaxKey))
		e.commit(put(key, "1"))
		e.holds(key, "1")
	}},
	{"values of a mebibyte work", func(e *env) {
		v := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		rev := e.commit(storage.Commit{Writes: []storage.Write{{Key: "a/big", Value: v}, {Key: "a/small", Value: []byte("1")}}})
		if got := e.get("a/big"); !bytes.Equal(got.Value, v) || got.Revision != rev {
			e.Fatalf("got %d bytes at %d, want %d at %d", len(got.Value), got.Revision, len(v), rev)
		}
		if got := e.list("a/"); len(got) != 2 {
			e.Fatalf("List gives %d entries, want 2", len(got))
		}
	}},
	{"list gives what is below a prefix in the order of the keys", listOrder},
	{"list of nothing is empty", func(e *env) {
		e.commit(put("b/1", "1"))
		if got := e.list("a/"); len(got) != 0 {
			e.Fatalf("got %v", got)
		}
	}},
	{"list shows one moment whatever is written meanwhile", listMoment},
	{"list can be left early and called again", func(e *env) {
		e.commit(put("a", "1", "b", "2"))
		seq := e.s.List(e.ctx, "")
		for range 2 {
			for entry, err := range seq {
				if err != nil || entry.Key != "a" {
					e.Fatalf("got %v, %v", entry, err)
				}
				break
			}
		}
	}},
	{"a prefix that does not end in a slash is invalid", func(e *env) {
		e.commit(put("ab", "1"))
		if err := listError(e.ctx, e.s, "a"); !errors.Is(err, storage.ErrInvalid) {
			e.Fatalf("List: %v", err)
		}
		if err := watchError(e.ctx, e.s, "a"); !errors.Is(err, storage.ErrInvalid) {
			e.Fatalf("Watch: %v", err)
		}
	}},
	{"nothing is read or written under an ended context", func(e *env) {
		e.commit(put("a", "1"))
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		if _, err := e.s.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			e.Errorf("Get: %v", err)
		}
		if err := listError(ctx, e.s, ""); !errors.Is(err, context.Canceled) {
			e.Errorf("List: %v", err)
		}
		if err := watchError(ctx, e.s, ""); !errors.Is(err, context.Canceled) {
			e.Errorf("Watch: %v", err)
		}
		if _, err := e.s.Commit(ctx, put("a", "2")); !errors.Is(err, context.Canceled) || errors.Is(err, storage.ErrUnknown) {
			e.Errorf("Commit: %v", err)
		}
		e.holds("a", "1")
	}},
	{"list ends when its context does", func(e *env) {
		e.commit(put("a", "1", "b", "2"))
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		var last error
		for _, err := range e.s.List(ctx, "") {
			last = err
			cancel()
		}
		if !errors.Is(last, context.Canceled) {
			e.Fatalf("the last error is %v", last)
		}
	}},
}

func listOrder(e *env) {
	e.commit(put("b/2", "4", "a/1", "1", "b", "2", "a0", "x", "b/10", "3", "b/2/1", "5", "b0", "6", "c/1", "7"))
	for _, tt := range []struct {
		prefix string
		want   []string
	}{
		{"a/", []string{"a/1=1"}},
		{"b/", []string{"b/10=3", "b/2=4", "b/2/1=5"}},
		{"b/2/", []string{"b/2/1=5"}},
		{"", []string{"a/1=1", "a0=x", "b=2", "b/10=3", "b/2=4", "b/2/1=5", "b0=6", "c/1=7"}},
		{"/", []string{}},
	} {
		if got := e.list(tt.prefix); !slices.Equal(got, tt.want) {
			e.Errorf("List(%q) = %v, want %v", tt.prefix, got, tt.want)
		}
	}
}

func listMoment(e *env) {
	const n = 300
	var c storage.Commit
	var want []string
	for i := range n {
		key := fmt.Sprintf("a/%03d", i)
		c.Writes = append(c.Writes, storage.Write{Key: key, Value: []byte("old")})
		want = append(want, key+"=old")
	}
	e.commit(c)
	var got []string
	for entry, err := range e.s.List(e.ctx, "a/") {
		if err != nil {
			e.Fatal(err)
		}
		if len(got) == 0 { // the loop has begun: none of this may show
			e.commit(put("a/000x", "new", fmt.Sprintf("a/%03d", n-1), "new"))
			e.commit(remove("a/100"))
		}
		got = append(got, fmt.Sprintf("%s=%s", entry.Key, entry.Value))
	}
	if !slices.Equal(got, want) {
		e.Fatalf("the picture changed under the loop: %d entries, want %d", len(got), len(want))
	}
	if got := e.list("a/"); len(got) != n {
		e.Fatalf("afterwards there are %d entries, want %d", len(got), n)
	}
}
