package storagetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/annex-gateway/annex/storage"
)

// Fault is what can go wrong with a commit.
type Fault int

// The faults.
const (
	// NoFault lets the commit through.
	NoFault Fault = iota
	// Conflict does not commit and says that the first condition did not
	// hold, as when somebody else was faster. A commit without conditions is
	// let through.
	Conflict
	// Applied commits and then gives storage.ErrUnknown.
	Applied
	// Lost does not commit and gives storage.ErrUnknown.
	Lost
	// ReadOnly does not commit and gives storage.ErrReadOnly.
	ReadOnly
)

// Plan chooses the fault of a commit. It is called for one commit at a time,
// in the order in which they come.
type Plan func(c storage.Commit) Fault

// InTurn gives the faults to the commits one by one, and none afterwards.
func InTurn(faults ...Fault) Plan {
	return func(storage.Commit) Fault {
		if len(faults) == 0 {
			return NoFault
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
}

// Every gives fault to every nth commit.
func Every(n int, fault Fault) Plan {
	count := 0
	return func(storage.Commit) Fault {
		if count++; count%n == 0 {
			return fault
		}
		return NoFault
	}
}

// FaultyStore is a store with faults. What it does not spoil keeps the promises
// of the store inside.
type FaultyStore struct {
	storage.Store

	mu      sync.Mutex
	plan    Plan
	watches map[*watch]struct{}
}

// watch is a running watch, until it starts over.
type watch struct{ cancel context.CancelCauseFunc }

var errRestart = errors.New("storagetest: the watch starts over")

// Faulty wraps s so that its commits meet the faults of plan; a nil plan has
// none. Close closes s.
func Faulty(s storage.Store, plan Plan) *FaultyStore {
	if plan == nil {
		plan = InTurn()
	}
	return &FaultyStore{Store: s, plan: plan, watches: map[*watch]struct{}{}}
}

// SetPlan replaces the plan.
func (f *FaultyStore) SetPlan(plan Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// RestartWatches makes every running watch start over with a fresh snapshot, as
// when it had fallen behind. A watch that is in the middle of a snapshot starts
// over there.
func (f *FaultyStore) RestartWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watches {
		w.cancel(errRestart)
	}
}

// Commit commits c unless the plan says otherwise.
func (f *FaultyStore) Commit(ctx context.Context, c storage.Commit) (storage.Revision, error) {
	f.mu.Lock()
	fault := f.plan(c)
	f.mu.Unlock()
	if err := errors.Join(c.Validate(), ctx.Err()); err != nil {
		return f.Store.Commit(ctx, c)
	}
	switch fault {
	case Conflict:
		if err := madeUpConflict(c); err != nil {
			return 0, err
		}
	case Applied:
		if _, err := f.Store.Commit(ctx, c); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%w: a fault for the test, the commit was applied", storage.ErrUnknown)
	case Lost:
		return 0, fmt.Errorf("%w: a fault for the test, the commit was lost", storage.ErrUnknown)
	case ReadOnly:
		return 0, fmt.Errorf("%w: a fault for the test", storage.ErrReadOnly)
	case NoFault:
	}
	return f.Store.Commit(ctx, c)
}

func madeUpConflict(c storage.Commit) error {
	for _, w := range c.Writes {
		if w.If != nil {
			return &storage.ConflictError{Key: w.Key, Want: *w.If, Have: *w.If + 1}
		}
	}
	for _, k := range c.Checks {
		return &storage.ConflictError{Key: k.Key, Want: k.If, Have: k.If + 1}
	}
	return nil
}

// Watch follows the store and starts over when RestartWatches says so.
func (f *FaultyStore) Watch(ctx context.Context, prefix string) iter.Seq2[storage.Batch, error] {
	return func(yield func(storage.Batch, error) bool) {
		for f.watchOnce(ctx, prefix, yield) {
		}
	}
}

// watchOnce says whether to start over.
func (f *FaultyStore) watchOnce(ctx context.Context, prefix string, yield func(storage.Batch, error) bool) bool {
	inner, cancel := context.WithCancelCause(ctx)
	w := &watch{cancel}
	f.mu.Lock()
	f.watches[w] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watches, w)
		f.mu.Unlock()
		cancel(nil)
	}()
	for b, err := range f.Store.Watch(inner, prefix) {
		if errors.Is(context.Cause(inner), errRestart) && !errors.Is(err, storage.ErrClosed) {
			return true
		}
		if !yield(b, err) {
			return false
		}
	}
	return false
}
