// Package storagetest is the specification of storage.Store, as tests that every
// implementation runs. What is not in here is not promised. Faulty wraps a
// store for tests of those who use one.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/annex-gateway/annex/storage"
)

// Run tests a kind of store. open makes an empty one; Run closes it.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Helper()
	for _, tests := range [][]test{entryTests, commitTests, watchTests, hammerTests, endTests} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s := open(t)
				t.Cleanup(func() { closeStore(t, s) })
				tt.run(&env{T: t, ctx: patience(t), s: s})
			})
		}
	}
}

type test struct {
	name string
	run  func(e *env)
}

// env is one test with its store. Its ctx ends only when something hangs.
type env struct {
	*testing.T
	ctx context.Context
	s   storage.Store
}

// patience gives a context that guards against hanging.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func closeStore(t *testing.T, s storage.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// put is a commit of key and value pairs without conditions.
func put(pairs ...string) storage.Commit {
	var c storage.Commit
	for pair := range slices.Chunk(pairs, 2) {
		c.Writes = append(c.Writes, storage.Write{Key: pair[0], Value: []byte(pair[1])})
	}
	return c
}

func remove(keys ...string) storage.Commit {
	var c storage.Commit
	for _, k := range keys {
		c.Writes = append(c.Writes, storage.Write{Key: k})
	}
	return c
}

// commit commits c, which must succeed.
func (e *env) commit(c storage.Commit) storage.Revision {
	e.Helper()
	rev, err := e.s.Commit(e.ctx, c)
	if err != nil {
		e.Fatalf("Commit(%v): %v", c, err)
	}
	return rev
}

// refused commits c, which must fail with want.
func (e *env) refused(c storage.Commit, want error) {
	e.Helper()
	if rev, err := e.s.Commit(e.ctx, c); !errors.Is(err, want) || rev != 0 {
		e.Fatalf("Commit = %d, %v; want 0, %v", rev, err, want)
	}
}

// conflicts commits c, which must meet exactly this conflict.
func (e *env) conflicts(c storage.Commit, want storage.ConflictError) {
	e.Helper()
	rev, err := e.s.Commit(e.ctx, c)
	var got *storage.ConflictError
	if !errors.As(err, &got) || *got != want || rev != 0 {
		e.Fatalf("Commit = %d, %v (%+v); want 0 and %+v", rev, err, got, want)
	}
}

func (e *env) get(key string) storage.Entry {
	e.Helper()
	got, err := e.s.Get(e.ctx, key)
	if err != nil {
		e.Fatalf("Get(%q): %v", key, err)
	}
	return got
}

// holds checks the value of key and returns its revision.
func (e *env) holds(key, value string) storage.Revision {
	e.Helper()
	got := e.get(key)
	if got.Key != key || string(got.Value) != value {
		e.Fatalf("Get(%q) = %q: %q, want %q", key, got.Key, got.Value, value)
	}
	return got.Revision
}

func (e *env) absent(key string) {
	e.Helper()
	if got, err := e.s.Get(e.ctx, key); !errors.Is(err, storage.ErrNotFound) {
		e.Fatalf("Get(%q) = %v, %v; want ErrNotFound", key, got, err)
	}
}

// list gives the entries below prefix as "key=value".
func (e *env) list(prefix string) []string {
	e.Helper()
	got := []string{}
	for entry, err := range e.s.List(e.ctx, prefix) {
		if err != nil {
			e.Fatalf("List(%q): %v", prefix, err)
		}
		got = append(got, fmt.Sprintf("%s=%s", entry.Key, entry.Value))
	}
	return got
}

// listError is what List(prefix) ends with.
func listError(ctx context.Context, s storage.Store, prefix string) (last error) {
	for _, err := range s.List(ctx, prefix) {
		last = err
	}
	return last
}

// watchError is what Watch(prefix) ends with. ctx must end, or the store.
func watchError(ctx context.Context, s storage.Store, prefix string) (last error) {
	for _, err := range s.Watch(ctx, prefix) {
		last = err
	}
	return last
}
