package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/annex-gateway/annex/storage"
)

// outcomeWait is how long Commit waits, after its context has ended, for a
// write in progress: telling the outcome is worth a moment.
const outcomeWait = 2 * time.Second

// Commit applies all of c or nothing, and returns when it is on disk. Commits
// of several callers share one sync.
func (s *Store) Commit(ctx context.Context, c storage.Commit) (storage.Revision, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r, err := s.newRequest(c)
	if err != nil {
		return 0, err
	}
	if err := s.queue.put(r); err != nil {
		return 0, err
	}
	select {
	case <-r.done:
		return r.revision, r.err
	case <-ctx.Done():
	}
	if s.queue.withdraw(r) {
		return 0, ctx.Err()
	}
	select {
	case <-r.done:
		return r.revision, r.err
	case <-time.After(outcomeWait):
		return 0, fmt.Errorf("%w: %w", storage.ErrUnknown, ctx.Err())
	}
}

// newRequest copies what the caller may change later, and refuses what the
// database cannot take.
func (s *Store) newRequest(c storage.Commit) (*request, error) {
	r := &request{
		commit: storage.Commit{Writes: append([]storage.Write(nil), c.Writes...), Checks: append([]storage.Check(nil), c.Checks...)},
		values: make([][]byte, len(c.Writes)),
		done:   make(chan struct{}),
	}
	size := 0
	for _, w := range c.Writes {
		size += len(w.Key) + len(w.Value)
		r.cost.add(costOf(w))
	}
	// The slack is for the revision counter and the mark that ends a
	// transaction.
	const slack = 4 << 10
	switch {
	case size > MaxCommit || r.cost.logBytes > valueLogSize-slack:
		return nil, fmt.Errorf("%w: a commit of %d bytes; at most %d can be written at once", storage.ErrInvalid, size, MaxCommit)
	case r.cost.entries > s.db.MaxBatchCount()-8 || r.cost.tableBytes > s.db.MaxBatchSize()-slack:
		return nil, fmt.Errorf("%w: a commit of %d writes with %d bytes, more than the database takes at once; divide it", storage.ErrInvalid, len(c.Writes), size)
	}
	for i, w := range c.Writes {
		if w.If != nil {
			r.commit.Writes[i].If = storage.Rev(*w.If)
		}
		if w.Value != nil {
			r.values[i] = append(make([]byte, headerSize, headerSize+len(w.Value)), w.Value...)
		}
	}
	return r, nil
}

// costOf follows Badger's reckoning, rounded up.
func costOf(w storage.Write) cost {
	key := int64(len(dataPrefix) + len(w.Key) + 8)
	value := int64(headerSize + len(w.Value))
	if w.Value == nil || value < valueThreshold {
		return cost{entries: 1, tableBytes: key + value + 16}
	}
	return cost{entries: 1, tableBytes: key + 32, logBytes: key + value + 32}
}

// write is the only writer. It ends when the queue is closed.
func (s *Store) write(last storage.Revision) {
	for {
		group := s.queue.take()
		if len(group) == 0 {
			return
		}
		last = s.writeGroup(group, last)
		for _, r := range group {
			close(r.done)
		}
	}
}

// writeGroup sets the outcome of every request and returns the revision of the
// last commit that happened.
func (s *Store) writeGroup(group []*request, last storage.Revision) storage.Revision {
	refuse := func(err error) storage.Revision {
		for _, r := range group {
			r.revision, r.err = 0, err
		}
		return last
	}
	if err := s.writable(group); err != nil {
		return refuse(err)
	}
	p := s.plan(group, last)
	if len(p.batches) == 0 {
		return last // nothing but conflicts
	}
	err := s.flush(p)
	if errors.Is(err, badger.ErrTxnTooBig) { // not if newRequest reckons well; nothing was written
		return refuse(fmt.Errorf("%w: more than the database takes at once; divide the commit", storage.ErrInvalid))
	}
	if err != nil {
		s.log.Error("the store takes no more writes", "directory", s.dir, "err", err)
		s.failed.Store(&err)
		return refuse(fmt.Errorf("%w: writing to data directory %s failed: %w", storage.ErrUnknown, s.dir, err))
	}
	s.reads.advance(p.last)
	s.db.SetDiscardTs(uint64(s.reads.oldest()))
	s.feed.Announce(p.batches...)
	return p.last
}

// writable says why nothing can be written now.
func (s *Store) writable(group []*request) error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("%w: an earlier write to data directory %s failed; see to the disk, then restart: %w", storage.ErrReadOnly, s.dir, *err)
	}
	var sum cost
	for _, r := range group {
		sum.add(r.cost)
	}
	return s.space.check(sum.tableBytes + sum.logBytes)
}

// planned is what a group comes to.
type planned struct {
	last    storage.Revision
	writes  map[string][]byte // by key; nil deletes
	batches []storage.Batch
}

// plan checks the conditions of each commit in turn, against the database and
// the commits before it in the group.
func (s *Store) plan(group []*request, last storage.Revision) planned {
	p := planned{last: last, writes: map[string][]byte{}}
	txn := s.db.NewTransactionAt(uint64(last), false)
	defer txn.Discard()
	for _, r := range group {
		if r.err = s.conflict(txn, p, r.commit); r.err != nil {
			continue
		}
		p.last++
		r.revision = p.last
		p.add(r)
	}
	return p
}

func (p *planned) add(r *request) {
	b := storage.Batch{Revision: r.revision, Entries: make([]storage.Entry, len(r.values))}
	for i, v := range r.values {
		e := storage.Entry{Key: r.commit.Writes[i].Key, Revision: r.revision}
		if v != nil {
			binary.BigEndian.PutUint64(v, uint64(r.revision))
			e.Value = v[headerSize:]
		}
		p.writes[e.Key] = v
		b.Entries[i] = e
	}
	p.batches = append(p.batches, b)
}

func (s *Store) conflict(txn *badger.Txn, p planned, c storage.Commit) error {
	for _, w := range c.Writes {
		if w.If == nil {
			continue
		}
		if err := s.condition(txn, p, w.Key, *w.If); err != nil {
			return err
		}
	}
	for _, k := range c.Checks {
		if err := s.condition(txn, p, k.Key, k.If); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) condition(txn *badger.Txn, p planned, key string, want storage.Revision) error {
	v, planned := p.writes[key]
	if !planned {
		item, err := txn.Get([]byte(dataPrefix + key))
		switch {
		case errors.Is(err, badger.ErrKeyNotFound):
		case err != nil:
			return s.unreadable(key, err)
		default:
			err := item.Value(func(stored []byte) error {
				v = append([]byte(nil), stored[:min(headerSize, len(stored))]...)
				return nil
			})
			if err != nil || len(v) < headerSize {
				return s.unreadable(key, err)
			}
		}
	}
	var have storage.Revision
	if v != nil {
		have = storage.Revision(binary.BigEndian.Uint64(v))
	}
	return storage.Conflict(key, want, have)
}

// flush writes a group in one transaction and syncs it.
func (s *Store) flush(p planned) error {
	txn := s.db.NewTransactionAt(uint64(p.last), true)
	defer txn.Discard()
	for key, v := range p.writes {
		var err error
		if v == nil {
			err = txn.Delete([]byte(dataPrefix + key))
		} else {
			err = txn.Set([]byte(dataPrefix+key), v)
		}
		if err != nil {
			return err
		}
	}
	if err := txn.Set([]byte(revisionKey), binary.BigEndian.AppendUint64(nil, uint64(p.last))); err != nil {
		return err
	}
	if err := txn.CommitAt(uint64(p.last), nil); err != nil {
		return err
	}
	return s.trap.syncError()
}
