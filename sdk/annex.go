package sdk

import "errors"

// What follows is the gateway's own: a module that calls any of it runs in
// Annex alone. One that does not is a plain http-wasm module.

// The stages at which an extension may stand, as Stage gives them.
const (
	AtArrival      = "arrival"
	AtAuthenticate = "authenticate"
	AtAuthorize    = "authorize"
	AtDispatch     = "dispatch"
	AtResponse     = "response"
	AtLog          = "log"
)

// Stage is where on its road the call is shown to the extension.
func (c *Call) Stage() string { return c.host.stage() }

// Caller is who makes the call. All of it is empty where nobody is known, as
// at the stages arrival and authenticate.
type Caller struct {
	User, UserID string
	Org, OrgID   string
	Provider     bool // a system administrator
}

// Caller tells who makes the call.
func (c *Call) Caller() Caller {
	return Caller{
		User: c.host.caller(0), UserID: c.host.caller(1), Org: c.host.caller(2), OrgID: c.host.caller(3),
		Provider: c.host.caller(4) != "",
	}
}

// HasRight reports whether the caller holds the right of that name.
func (c *Call) HasRight(name string) bool { return c.host.hasRight(name) }

// Rights are the names of the caller's rights. They are empty for a system
// administrator, who holds all: HasRight tells.
func (c *Call) Rights() []string { return c.host.rights() }

// Claim says, at the stage authenticate, on behalf of which user the call is
// made. The gateway looks the user up; a claim of nobody refuses the call. At
// any other stage the call fails.
func (c *Call) Claim(user, org string) { c.host.claim(user, org) }

// Errors of the state and of Fetch.
var (
	ErrStale   = errors.New("the value has changed since")
	ErrTooBig  = errors.New("a key, a value or all of them together are too large")
	ErrState   = errors.New("the store did not do it")
	ErrRefused = errors.New("the registration does not allow this call")
	ErrFetch   = errors.New("the call failed")
	ErrLate    = errors.New("the call took too long")
)

// State is a small memory of the extension, kept across calls and restarts,
// and the same for all of its guests.
type State struct{ host host }

// State gives the extension's memory.
func (c *Call) State() State { return State{c.host} }

// Get gives the value of a key, and its revision for PutIf and DeleteIf; 0
// means that there is none.
func (s State) Get(key string) (value []byte, revision uint64, err error) {
	return s.host.stateGet(key)
}

// Put stores a value.
func (s State) Put(key string, value []byte) error {
	_, err := s.host.statePut(key, value, 0, false)
	return err
}

// PutIf stores a value if the key is still at the revision, 0 for one that is
// not there. Otherwise it gives ErrStale.
func (s State) PutIf(key string, value []byte, revision uint64) (uint64, error) {
	return s.host.statePut(key, value, revision, true)
}

// Delete forgets a key.
func (s State) Delete(key string) error { return s.host.stateDelete(key, 0, false) }

// DeleteIf forgets a key if it is still at the revision.
func (s State) DeleteIf(key string, revision uint64) error {
	return s.host.stateDelete(key, revision, true)
}

// Request is a call to somebody else.
type Request struct {
	Method  string // default: GET
	URL     string // at a place that the registration names among its clusters
	Header  [][2]string
	Body    []byte
	Timeout uint32 // milliseconds; default: as long as the extension may run
}

// Answer is what came back.
type Answer struct {
	Status int
	host   host
}

// Header are the values of a header field of the answer. They are there until
// the next Fetch.
func (a *Answer) Header(name string) []string { return a.host.fetchHeader(name) }

// Body is the body of the answer. It is there until the next Fetch.
func (a *Answer) Body() []byte { return a.host.fetchBody() }

// Fetch calls somebody else and waits for the answer. That is the extension's
// own time.
func (c *Call) Fetch(r Request) (*Answer, error) {
	if r.Method == "" {
		r.Method = "GET"
	}
	status, err := c.host.fetch(r)
	if err != nil {
		return nil, err
	}
	return &Answer{Status: status, host: c.host}, nil
}

// Count adds to a counter of that name, which the gateway exports.
func (c *Call) Count(name string, n int64) { c.host.metric(0, name, n) }

// Gauge says how something of that name stands now.
func (c *Call) Gauge(name string, value int64) { c.host.metric(1, name, value) }

// Record adds a value to the histogram of that name.
func (c *Call) Record(name string, value int64) { c.host.metric(2, name, value) }
