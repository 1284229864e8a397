package badger

import (
	"context"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// garbageRatio is how much of a value log file must be garbage for it to be
// rewritten.
const garbageRatio = 0.5

// collect frees the space of values that nobody can read any more, until ctx
// ends.
func (s *Store) collect(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.collectOnce(ctx)
		}
	}
}

func (s *Store) collectOnce(ctx context.Context) {
	for ctx.Err() == nil {
		if s.failed.Load() != nil || s.space.check(2*valueLogSize) != nil {
			return
		}
		switch err := s.db.RunValueLogGC(garbageRatio); {
		case err == nil:
		case errors.Is(err, badger.ErrNoRewrite):
			return
		default:
			s.log.Warn("the value log's garbage was not collected", "directory", s.dir, "err", err)
			return
		}
	}
}
