// Package badger keeps a store in a directory, with the Badger database: the
// default engine, for one process. Concurrent commits share one sync.
//
// A value is stored behind its revision (8 bytes, big endian) under the key
// with a 'd' before it; the last revision is kept under "m/revision". Badger
// runs in managed mode: the commit timestamp of a transaction is the last
// revision in it, so that readers never wait for a sync in progress and see
// nothing of a write that failed.
package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/internal/feed"
)

// Options adjust a Store. The zero value works.
type Options struct {
	// Log gets Badger's own messages and the trouble in the background;
	// nothing is logged when nil.
	Log *slog.Logger
	// MinFree is how many bytes the file system must have free for the store
	// to take writes, since Badger cannot survive a full disk; 64 MiB when 0,
	// no limit when negative. Half of it must be free to open the store.
	MinFree int64
	// GCInterval is the time between collections of the value log's garbage;
	// 10 minutes when 0.
	GCInterval time.Duration
}

// MaxCommit is how many bytes of keys and values one commit may have. Commits
// of very many small writes can be refused earlier.
const MaxCommit = 14 << 20

const (
	memTableSize = 16 << 20
	valueLogSize = 16 << 20
	// Values below this stay in the tables; the others go to the value log,
	// whose garbage is found late. What a commit has in the tables is bounded
	// by 15 % of the memtable.
	valueThreshold = 4 << 10
	blockCache     = 8 << 20

	// formatVersion is kept in the MANIFEST; a store of another version is not
	// opened.
	formatVersion = 1

	dataPrefix  = "d"
	revisionKey = "m/revision"
	headerSize  = 8

	closeWait = 10 * time.Second
)

// Store is a storage.Store in a directory.
type Store struct {
	dir    string
	db     *badger.DB
	log    *slog.Logger
	trap   *dbLog
	feed   *feed.Feed
	space  space
	queue  *queue
	reads  *readers
	failed atomic.Pointer[error] // why there will be no more writes
	stop   context.CancelFunc    // ends the background work
	work   sync.WaitGroup
	closed sync.Once
}

var _ storage.Store = (*Store)(nil)

// Open opens the store in dir, and makes it when dir is empty or absent. Only
// one process can have it open.
func Open(dir string, opts Options) (*Store, error) {
	return open(dir, opts, freeBytes)
}

func open(dir string, opts Options, free func(string) (int64, error)) (*Store, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.MinFree == 0 {
		opts.MinFree = 64 << 20
	}
	if opts.GCInterval <= 0 {
		opts.GCInterval = 10 * time.Minute
	}
	s := &Store{
		dir: dir, log: opts.Log, trap: &dbLog{log: opts.Log}, feed: feed.New(feed.Options{}),
		space: space{dir: dir, min: opts.MinFree, free: free}, queue: newQueue(), reads: newReaders(),
	}
	var err error
	if s.db, err = s.openDB(); err != nil {
		return nil, err
	}
	last, err := s.lastRevision()
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.reads.advance(last)
	s.db.SetDiscardTs(uint64(last))
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.work.Go(func() { s.write(last) })
	s.work.Go(func() { s.collect(ctx, opts.GCInterval) })
	return s, nil
}

func settings(dir string, log badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(log).
		WithMetricsEnabled(false).
		WithSyncWrites(true).
		WithDetectConflicts(false). // one goroutine writes
		WithMemTableSize(memTableSize).
		WithNumMemtables(2).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(valueLogSize).
		WithBlockCacheSize(blockCache).
		WithNumCompactors(2).
		WithCompression(options.Snappy).
		WithChecksumVerificationMode(options.OnBlockRead). // whole tables are verified before opening
		WithVerifyValueChecksum(true).
		WithExternalMagic(formatVersion)
}

// Get returns the entry of key.
func (s *Store) Get(ctx context.Context, key string) (e storage.Entry, err error) {
	err = s.read(ctx, func(txn *badger.Txn, _ storage.Revision) error {
		item, err := txn.Get([]byte(dataPrefix + key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return storage.ErrNotFound
		}
		if err != nil {
			return s.unreadable(key, err)
		}
		e, err = s.entry(key, item)
		return err
	})
	return e, err
}

// List yields the entries below prefix as they are when the loop begins.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		err := s.picture(ctx, prefix, func(_ storage.Revision, entries iter.Seq2[storage.Entry, error]) error {
			for e, err := range entries {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					return errBroken
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errBroken) {
			yield(storage.Entry{}, err)
		}
	}
}

var errBroken = errors.New("badger: the caller broke out of its loop")

// Watch follows the store.
func (s *Store) Watch(ctx context.Context, prefix string) iter.Seq2[storage.Batch, error] {
	return s.feed.Follow(ctx, prefix, s.picture)
}

// picture is a feed.Picture.
func (s *Store) picture(ctx context.Context, prefix string, use func(storage.Revision, iter.Seq2[storage.Entry, error]) error) error {
	if err := storage.ValidatePrefix(prefix); err != nil {
		return err
	}
	return s.read(ctx, func(txn *badger.Txn, at storage.Revision) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(dataPrefix + prefix)})
		defer it.Close()
		return use(at, func(yield func(storage.Entry, error) bool) {
			for it.Rewind(); it.Valid(); it.Next() {
				err := s.reads.check(ctx)
				var e storage.Entry
				if err == nil {
					e, err = s.entry(string(it.Item().Key()[len(dataPrefix):]), it.Item())
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		})
	})
}

// read calls use with a transaction as of the last finished commit.
func (s *Store) read(ctx context.Context, use func(*badger.Txn, storage.Revision) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	at, err := s.reads.enter()
	if err != nil {
		return err
	}
	defer s.reads.leave(at)
	txn := s.db.NewTransactionAt(uint64(at), false)
	defer txn.Discard()
	return use(txn, at)
}

// entry reads what item holds. Badger gives no error for a value that it cannot
// read, but an empty value: the missing revision tells.
func (s *Store) entry(key string, item *badger.Item) (storage.Entry, error) {
	v, err := item.ValueCopy(nil)
	if err != nil || len(v) < headerSize {
		return storage.Entry{}, s.unreadable(key, err)
	}
	return storage.Entry{
		Key:      key,
		Value:    v[headerSize:],
		Revision: storage.Revision(binary.BigEndian.Uint64(v)),
	}, nil
}

func (s *Store) unreadable(key string, cause error) error {
	if cause == nil {
		cause = errors.New("its value is missing or damaged in the value log (*.vlog)")
	}
	return fmt.Errorf("data directory %s: the entry %q cannot be read; restore the directory from a backup: %w", s.dir, key, cause)
}

// lastRevision reads the counter when the store is opened.
func (s *Store) lastRevision() (last storage.Revision, err error) {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	item, err := txn.Get([]byte(revisionKey))
	if errors.Is(err, badger.ErrKeyNotFound) {
		if s.db.MaxVersion() == 0 {
			return 0, nil
		}
		err = errors.New("the counter of revisions is missing")
	}
	var e storage.Entry
	if err == nil {
		e, err = s.entry(revisionKey, item)
	}
	if err == nil && uint64(e.Revision) < s.db.MaxVersion() {
		err = fmt.Errorf("the counter of revisions is at %d, but there is data of revision %d", e.Revision, s.db.MaxVersion())
	}
	if err != nil {
		return 0, fmt.Errorf("data directory %s is damaged; restore it from a backup: %w", s.dir, err)
	}
	return e.Revision, nil
}

// Close lets the commit in progress end, refuses the others, ends all watches
// and closes the database. When a List or the snapshot of a Watch does not end
// within ten seconds the database stays open, with all commits on disk, and
// Close says so.
func (s *Store) Close() (err error) {
	s.closed.Do(func() {
		s.stop()
		s.queue.close()
		idle := s.reads.close()
		s.feed.Close()
		s.work.Wait()
		select {
		case <-idle:
		case <-time.After(closeWait):
			err = fmt.Errorf("data directory %s: somebody is still reading; the database was not closed, but all commits are on disk", s.dir)
			return
		}
		if err = s.db.Close(); err != nil {
			err = fmt.Errorf("closing data directory %s: %w", s.dir, err)
		}
	})
	return err
}
