// Package storage says what Annex needs of a database: keys, bytes, conditions
// and a way to follow changes. One small interface, implemented once per
// database; package storagetest is its specification.
package storage

import (
	"context"
	"errors"
	"iter"
)

// Revision is a store's logical time. Every commit has a greater one than the
// commits before it. 0 is before everything: an entry that is not there.
type Revision uint64

// Store is implemented once per database. All methods are safe for concurrent
// use and return soon after ctx ends.
type Store interface {
	// Get returns the entry of key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// List yields the entries whose keys begin with prefix, in byte order of
	// their keys, all as of one moment. A prefix is empty (everything) or ends
	// in '/'; another one is ErrInvalid. An error is the last thing it yields.
	// Do not dawdle in the loop: it may hold a picture of the database open.
	List(ctx context.Context, prefix string) iter.Seq2[Entry, error]
	// Commit applies all of c or nothing. When it returns nil the commit is
	// on disk. A condition that does not hold gives a *ConflictError. After
	// ErrUnknown the commit may have happened or not; after any other error,
	// ctx's included, it has not and will not.
	Commit(ctx context.Context, c Commit) (Revision, error)
	// Watch yields what stands below prefix now (Snapshot set, possibly in
	// several batches, all but the last with More set), then every later
	// commit that touches it, each whole and in order. A follower that
	// falls too far behind gets a fresh snapshot instead of a gap. It ends
	// when ctx does or the store is closed; why it ended is the last thing it
	// yields: ctx's error, ErrClosed, or what went wrong.
	Watch(ctx context.Context, prefix string) iter.Seq2[Batch, error]
	// Close ends all watches and frees the database. Afterwards everything
	// else gives ErrClosed, and Close again gives nil.
	Close() error
}

// Entry is a key with its value and the revision of its last change. In a
// Batch a nil Value says that the entry was deleted.
type Entry struct {
	Key      string
	Value    []byte // not to be changed
	Revision Revision
}

// Commit is a set of writes, at least one, that happen together or not at all.
// Each key occurs once. Checks hold keys still without rewriting them.
type Commit struct {
	Writes []Write
	Checks []Check
}

// Write stores Value under Key, or deletes Key when Value is nil. A non-nil If
// is a condition on the entry's revision; 0 means that it must not exist.
type Write struct {
	Key   string
	Value []byte
	If    *Revision
}

// Check demands that the entry of Key is at revision If; 0 means that it must
// not exist.
type Check struct {
	Key string
	If  Revision
}

// Batch is one whole commit, as far as it lies below the watched prefix, or
// what stands at the start or restart of a watch. A follower that gets the
// first batch of a snapshot forgets what it knew.
type Batch struct {
	Entries  []Entry
	Revision Revision // of the commit, or of the moment of the snapshot
	Snapshot bool
	// More is set on the batches of a snapshot but the last.
	More bool
}

// The errors that programs act upon.
var (
	ErrNotFound = errors.New("storage: no such key")
	ErrClosed   = errors.New("storage: closed")
	ErrReadOnly = errors.New("storage: takes no writes")
	// ErrInvalid is a request that can never succeed: an empty, overlong or
	// doubled key, a commit without writes or with more than the database
	// takes at once, a prefix that does not end in '/'.
	ErrInvalid = errors.New("storage: invalid request")
	// ErrUnknown is a commit that may have happened or not, since the database
	// failed or ctx ended while it was being written. Read before you retry.
	ErrUnknown = errors.New("storage: outcome of the commit unknown")
)

// ConflictError says that a condition of a commit did not hold.
type ConflictError struct {
	Key  string
	Want Revision // what the condition asked for
	Have Revision // what the entry is at; 0 when it does not exist
}

// Error names the key.
func (e *ConflictError) Error() string { return "storage: conflict on " + e.Key }

// Rev makes a condition for Write.If.
func Rev(r Revision) *Revision { return &r }

// Absent is the condition that a key does not exist.
func Absent() *Revision { return Rev(0) }
