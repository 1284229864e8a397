package feed

import (
	"iter"

	"github.com/annex-gateway/annex/storage"
)

// The size of one batch of a snapshot.
const (
	snapshotEntries = 512
	snapshotBytes   = 1 << 20
)

// yieldSnapshot yields entries in batches that have More set, and returns the
// last one, to be yielded once the picture is closed: a follower that has all
// of a small snapshot in hand holds nothing open.
func yieldSnapshot(at storage.Revision, entries iter.Seq2[storage.Entry, error], yield func(storage.Batch, error) bool) (storage.Batch, error) {
	b := storage.Batch{Revision: at, Snapshot: true}
	bytes := 0
	for e, err := range entries {
		if err != nil {
			return b, err
		}
		if len(b.Entries) == snapshotEntries || bytes >= snapshotBytes {
			b.More = true
			if !yield(b, nil) {
				return b, errStopped
			}
			b.Entries, b.More, bytes = nil, false, 0
		}
		b.Entries = append(b.Entries, e)
		bytes += len(e.Key) + len(e.Value)
	}
	return b, nil
}
