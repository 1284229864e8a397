//go:build !wasip1

package sdk

import (
	"net/http"
	"slices"
)

// Surroundings are what the gateway's own functions see in a [Trial].
type Surroundings struct {
	Stage   string // default: AtDispatch
	Caller  Caller
	Rights  []string
	State   map[string][]byte                        // changed by the handler
	Fetch   func(Request) (int, http.Header, []byte) // answers the handler's calls to others; default: ErrRefused
	Metrics map[string]int64                         // counted by the handler

	Claimed [2]string // whom the handler named: user and organisation

	revisions map[string]uint64
	answer    http.Header
	body      []byte
}

func (h host) stage() string {
	if h.t.Stage == "" {
		return AtDispatch
	}
	return h.t.Stage
}

func (h host) caller(part uint32) string {
	c, kind := h.t.Caller, ""
	if c.Provider {
		kind = "provider"
	}
	return [...]string{c.User, c.UserID, c.Org, c.OrgID, kind}[part]
}

func (h host) hasRight(name string) bool {
	return h.t.Caller.Provider || slices.Contains(h.t.Rights, name)
}

func (h host) rights() []string { return slices.Clone(h.t.Rights) }

func (h host) claim(user, org string) {
	if h.stage() != AtAuthenticate {
		panic("sdk: a caller is named at the stage authenticate alone")
	}
	h.t.Claimed = [2]string{user, org}
}

func (h host) revision(key string) uint64 {
	if _, ok := h.t.State[key]; !ok {
		return 0
	}
	return max(h.t.revisions[key], 1)
}

func (h host) stateGet(key string) ([]byte, uint64, error) {
	return slices.Clone(h.t.State[key]), h.revision(key), nil
}

func (h host) statePut(key string, value []byte, revision uint64, compare bool) (uint64, error) {
	now := h.revision(key)
	if compare && now != revision {
		return 0, ErrStale
	}
	if h.t.State == nil {
		h.t.State = map[string][]byte{}
	}
	if h.t.revisions == nil {
		h.t.revisions = map[string]uint64{}
	}
	h.t.State[key], h.t.revisions[key] = append([]byte{}, value...), now+1
	return now + 1, nil
}

func (h host) stateDelete(key string, revision uint64, compare bool) error {
	if compare && h.revision(key) != revision {
		return ErrStale
	}
	delete(h.t.State, key)
	return nil
}

func (h host) fetch(r Request) (int, error) {
	if h.t.Fetch == nil {
		return 0, ErrRefused
	}
	status, header, body := h.t.Fetch(r)
	h.t.answer, h.t.body = header, body
	return status, nil
}

func (h host) fetchHeader(name string) []string { return h.t.answer.Values(name) }
func (h host) fetchBody() []byte                { return h.t.body }

func (h host) metric(sort uint32, name string, value int64) {
	if h.t.Metrics == nil {
		h.t.Metrics = map[string]int64{}
	}
	if sort == 1 {
		h.t.Metrics[name] = value
		return
	}
	h.t.Metrics[name] += value
}
