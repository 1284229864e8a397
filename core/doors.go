package core

import (
	"context"
	"crypto/x509"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"
)

// Conn is a running external system, safe for concurrent use.
type Conn interface {
	// Do takes one message and gives it back, changed or answered: without a
	// Response it goes on to the next system, with one it is answered. At the
	// response stage the message arrives answered, and what is given back
	// replaces the answer. Do returns soon after ctx ends. A streamed body of
	// the response outlives Do; closing it ends the exchange.
	Do(ctx context.Context, m Message) (Message, error)
	// Close lets calls in flight end and frees what the Conn holds. It waits
	// no longer than the time limits of those calls.
	Close() error
}

// Kind is one way of reaching external systems. The life of a system: Check,
// when it is registered; Open, when it is enabled; any number of calls; Close,
// when it is disabled, changed or deleted.
type Kind interface {
	// Name is the word in System.Kind.
	Name() string
	// Stages tells where systems of this kind may stand.
	Stages() []Stage
	// Check reports why sys is not a valid registration, or nil. It has no
	// side effect, and its error is an *Error with code Invalid.
	Check(ctx context.Context, sys System) error
	// Open starts the system. A dead peer is no error here: it is one of Do.
	Open(ctx context.Context, sys System) (Conn, error)
}

// Around is offered by a Conn whose guest stands around a call: one instance
// sees the request and later the response of the same call.
type Around interface {
	// Begin reserves what one call needs. It waits for a free guest no longer
	// than ctx lasts.
	Begin(ctx context.Context) (Visit, error)
}

// Visit is one call's stay with a guest. Request comes first, Response at
// most once and only if Request gave the message on unanswered, Done last and
// always.
type Visit interface {
	Request(ctx context.Context, m Message) (Message, error)
	Response(ctx context.Context, m Message) (Message, error)
	Done()
}

// Mounter is offered by a Kind that serves a path of the gateway's own
// listener, such as the MQTT WebSocket.
type Mounter interface {
	Mount() (path string, h http.Handler)
}

// Prober is offered by a Kind or a Conn that knows whether it is in order.
type Prober interface {
	// Ready returns nil, or what is wrong. It does not wait.
	Ready() error
}

// Revoker is offered by a Kind that keeps sessions open on behalf of a
// credential: they end at once when the credential does.
type Revoker interface {
	// Revoke ends the sessions that systemID opened, but those whose
	// credential keep still accepts. A nil keep accepts none.
	Revoke(systemID string, keep func(credentialID string) bool)
}

// Host is what the gateway lends to kinds. A kind that needs more asks for
// one of the optional interfaces by type assertion.
type Host interface {
	// Admit tells which system connects with these credentials and which
	// credential that was. It fails with Unauthenticated.
	Admit(ctx context.Context, user, secret string) (sys System, credentialID string, err error)
	// State is a small memory of one system, kept across restarts.
	State(systemID string) State
	// Log is where a kind logs.
	Log() *slog.Logger
}

// State is the memory of one system.
type State interface {
	// Get returns the value of key and its revision; revision 0 means there
	// is none.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Put stores value if key is still at revision (0: not there), and gives
	// the new revision. A nil value deletes. Another revision is Stale.
	Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// TokenMinter is offered by a Host that can issue a short-lived token which
// acts as a caller.
type TokenMinter interface {
	MintToken(ctx context.Context, c Caller) (string, error)
}

// ModuleSource is offered by a Host that keeps uploaded WASM modules.
type ModuleSource interface {
	// OpenModule gives the bytes of the module with that digest, or NotFound.
	OpenModule(ctx context.Context, digest string) (io.ReadCloser, error)
}

// IdentitySigner is offered by a Host that vouches for callers: it signs who
// calls, for one audience, for a minute.
type IdentitySigner interface {
	SignIdentity(ctx context.Context, c Caller, audience, tenant string) (string, error)
}

// Truster is offered by a Host with which certificates can be registered that
// calls to external endpoints trust.
type Truster interface {
	// TrustPool returns the certificates of configured, which may be nil, and
	// those that are registered. It is not to be changed, and the same until
	// one of both changes.
	TrustPool(configured *x509.CertPool) *x509.CertPool
}

// Streamer is offered by a Conn that bounds its own waits: a request body may
// flow through it for as long as it flows, so the road sets no limit on Do.
type Streamer interface {
	// Streams reports that this is so.
	Streams() bool
}

// Reporter is offered by a Conn that tells the operator how it goes.
type Reporter interface {
	// Report does not wait.
	Report() Report
}

// Report is how a running system goes. The names are those of the kind; what
// is set in a registration has the name that it has there.
type Report struct {
	Limits map[string]int64 // that hold for it, those by default too
	Counts map[string]int64 // of what happened since it was opened, and of what there is now
}

// LogLine is a line that a system wrote.
type LogLine struct {
	Time  time.Time
	Level slog.Level
	Call  string // the id of the call that it was about; may be empty
	Text  string
}

// LogSource is offered by a Kind that keeps what its systems say.
type LogSource interface {
	// Logs yields the last lines of a system, the oldest first, and with
	// follow those that come, until ctx ends.
	Logs(ctx context.Context, systemID string, follow bool) iter.Seq[LogLine]
}
