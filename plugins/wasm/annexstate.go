package wasm

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/annex-gateway/annex/core"
)

const (
	maxStateKey   = 256
	maxStateValue = 64 << 10
)

// What the functions about state give, beside 1 for done.
const (
	stateStale  = 0  // the value is at another revision
	stateOver   = -1 // a key, a value or all of them together are too large
	stateFailed = -2 // the store did not do it
)

// stateValue and stateTotal are the keys under which the state of one
// extension is kept: its values, and how many bytes they are together.
func stateValue(key string) string { return "value/" + key }

const stateTotal = "total"

// guestState is the memory of one extension, kept across restarts.
type guestState struct {
	state core.State
	limit int64
}

func (s guestState) get(ctx context.Context, key string) ([]byte, uint64, error) {
	return s.state.Get(ctx, stateValue(key))
}

// put stores a value, or deletes it where it is nil. With compare it must be
// at the revision given, 0 for a key that is not there. Room is taken before
// a value is written and given back after: when the gateway dies in between,
// the extension has a little less of it.
func (s guestState) put(ctx context.Context, key string, value []byte, revision uint64, compare bool) (uint64, error) {
	for {
		was, at, err := s.get(ctx, key)
		switch {
		case err != nil:
			return 0, err
		case compare && at != revision:
			return 0, errStaleState
		case value == nil && at == 0:
			return 0, nil
		}
		if at == 0 {
			was = nil
		} else if was == nil {
			was = []byte{} // there, and empty
		}
		now, err := s.write(ctx, key, value, at, room(key, value)-room(key, was))
		switch {
		case err == nil || core.ErrorCode(err) != core.Stale:
			return now, err
		case compare:
			return 0, errStaleState
		}
	}
}

// room is what a value takes; where there is none it is nothing.
func room(key string, value []byte) int64 {
	if value == nil {
		return 0
	}
	return int64(len(key) + len(value))
}

func (s guestState) write(ctx context.Context, key string, value []byte, at uint64, more int64) (uint64, error) {
	if more > 0 {
		if err := s.take(ctx, more); err != nil {
			return 0, err
		}
	}
	now, err := s.state.Put(ctx, stateValue(key), value, at)
	if (err == nil) == (more < 0) {
		err = errors.Join(err, s.take(context.WithoutCancel(ctx), -max(more, -more)))
	}
	return now, err
}

var (
	errStaleState = errors.New("the value is at another revision")
	errStateFull  = errors.New("the extension keeps as much as it may")
)

// take changes how many bytes are kept.
func (s guestState) take(ctx context.Context, more int64) error {
	for {
		b, at, err := s.state.Get(ctx, stateTotal)
		if err != nil {
			return err
		}
		total := int64(0)
		if len(b) == 8 {
			total = int64(binary.LittleEndian.Uint64(b))
		}
		if total+more > s.limit && more > 0 {
			return errStateFull
		}
		b = binary.LittleEndian.AppendUint64(nil, uint64(max(total+more, 0)))
		if _, err = s.state.Put(ctx, stateTotal, b, at); err == nil || core.ErrorCode(err) != core.Stale {
			return err
		}
	}
}

func (h *handler) state() guestState {
	k := h.guest.pool.kind
	return guestState{k.host.State(h.guest.pool.set.id), h.guest.pool.set.stateBytes}
}

// stateKey reads a key from the first two parameters; "" is none.
func (h *handler) stateKey(p params) string {
	if p.u32(1) > maxStateKey {
		return ""
	}
	return string(h.read(p.u32(0), p.u32(1)))
}

// stateGet gives the value of a key and writes its revision. The upper half
// of the result is 1 where there is one, and 2 where the store fails.
func (h *handler) stateGet(p params) uint64 {
	key, at := h.stateKey(p), h.read(p.u32(4), 8)
	if key == "" {
		fail("the guest asks for a key that is empty or longer than %d bytes", maxStateKey)
	}
	value, revision, err := h.state().get(h.guest.ctx, key)
	h.guest.waited()
	if err != nil {
		return 2 << 32
	}
	binary.LittleEndian.PutUint64(at, revision)
	if revision == 0 {
		return 0
	}
	return 1<<32 | h.put(p.u32(2), p.u32(3), string(value))
}

// statePut stores a value: always in mode 0, and in mode 1 if it is at the
// revision that the guest gives. The new one takes its place.
func (h *handler) statePut(p params) uint64 {
	key, value, at := h.stateKey(p), h.read(p.u32(2), min(p.u32(3), maxStateValue+1)), h.read(p.u32(4), 8)
	if key == "" || len(value) > maxStateValue {
		return result(stateOver)
	}
	return h.stateDo(key, append([]byte{}, value...), at, p.u32(5))
}

func (h *handler) stateDelete(p params) uint64 {
	key, at := h.stateKey(p), h.read(p.u32(2), 8)
	if key == "" {
		return result(stateOver)
	}
	return h.stateDo(key, nil, at, p.u32(3))
}

func (h *handler) stateDo(key string, value, at []byte, mode uint32) uint64 {
	revision, err := h.state().put(h.guest.ctx, key, value, binary.LittleEndian.Uint64(at), mode == 1)
	h.guest.waited()
	switch {
	case errors.Is(err, errStaleState):
		return result(stateStale)
	case errors.Is(err, errStateFull):
		return result(stateOver)
	case err != nil:
		h.guest.pool.kind.host.Log().Warn("the state of a WASM extension was not written", "system", h.guest.pool.set.triplet, "error", err)
		return result(stateFailed)
	}
	binary.LittleEndian.PutUint64(at, revision)
	return 1
}

// result is a number that may be negative, as a guest sees it.
func result(n int32) uint64 { return uint64(uint32(n)) }
