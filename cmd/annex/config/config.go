// Package config reads what a gateway process is told: from one strict YAML
// file, from environment variables and from flags, in rising order of
// importance, and remembers where each value came from.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is what a gateway process is told. [Default] gives a usable one.
type Config struct {
	Data           string // directory of everything that is kept
	Listeners      []Listener
	TLS            Pair // of listeners without a certificate of their own
	PublicURL      string
	TrustedProxies []netip.Prefix
	AdminPassword  string // the first administrator's
	Drain          time.Duration
	Admin          Admin
	Log            Log
	Tracing        Tracing
	Trust          Trust
	Endpoints      Endpoints
	Limits         Limits
	MQTT           MQTT
	WASM           WASM
	Session        Session
	Upstream       Upstream
	CORS           CORS
}

// Listener is one address that clients reach the gateway at.
type Listener struct {
	Address string // HOST:PORT
	Plain   bool   // HTTP without TLS, for a balancer that ends TLS
	Pair           // empty: the Pair of Config, or else the local authority
}

// Pair names the PEM files of a server certificate.
type Pair struct{ Certificate, Key string }

// Admin is the second listener, for metrics, health and profiling.
type Admin struct {
	Address   string // HOST:PORT, or Off
	Profiling bool
}

// Off is the address of a listener that there is not.
const Off = "off"

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // FormatText or FormatJSON
	Access string // where a line for each call goes: Off, Stdout, Stderr, or a file
}

// The names of where lines can go without a file.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Tracing says where spans go.
type Tracing struct {
	Endpoint string  // of a collector that takes OTLP over HTTP; empty: none
	Ratio    float64 // the part of the calls that is traced, unless the client has decided
}

// The forms of log lines.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Trust says whose certificates external endpoints may show.
type Trust struct {
	Files  []string // PEM
	System bool     // the authorities that this machine trusts, too
}

// Endpoints says which addresses external endpoints may have.
type Endpoints struct {
	Loopback, Private string         // Auto, Allow or Refuse
	Networks          []netip.Prefix // allowed in any case
}

// What may be said of a range of addresses. Auto allows it while the gateway
// itself listens on loopback only.
const (
	Auto   = "auto"
	Allow  = "allow"
	Refuse = "refuse"
)

// Limits are those of bodies, in bytes.
type Limits struct{ BufferedBody, AdminBody, Module int64 }

// MQTT is about services on the messaging bus.
type MQTT struct {
	Timeout    time.Duration // for a reply
	SendRights bool          // tell services the caller's rights
}

// WASM caps what registrations of modules may ask for.
type WASM struct {
	MaxMemory      int64
	MaxDeadline    time.Duration
	MaxStart       time.Duration
	MaxConcurrency int
	MaxLogLines    int
	MaxBody        int64
	MaxState       int64
	CompileTimeout time.Duration
}

// Session is about logins.
type Session struct{ Lifetime time.Duration }

// Upstream is the native API that is extended; without URL the built-in one.
type Upstream struct {
	URL            string
	Credentials    string // one of the constants below
	User, Password string // with CredentialsBasic
	Header, Value  string // with CredentialsHeader
	BuiltIn        bool   // the built-in API stays in front of it
}

// What an upstream is told about the caller.
const (
	CredentialsNone     = "none"
	CredentialsForward  = "forward"
	CredentialsIdentity = "identity"
	CredentialsBasic    = "basic"
	CredentialsHeader   = "header"
)

// CORS says which pages of other origins may call.
type CORS struct {
	Origins     []string
	Credentials bool
	MaxAge      time.Duration
}

// DefaultListen is where a gateway listens that is told nothing.
const DefaultListen = "127.0.0.1:8443"

// DefaultAdmin is the address of its admin listener.
const DefaultAdmin = "127.0.0.1:8444"

// Default is the Config of a process that is told nothing.
func Default() Config {
	return Config{
		Data:      "annex-data",
		Listeners: []Listener{{Address: DefaultListen}},
		Drain:     15 * time.Second,
		Admin:     Admin{Address: DefaultAdmin, Profiling: true},
		Log:       Log{Level: slog.LevelInfo, Format: FormatText, Access: Stderr},
		Tracing:   Tracing{Ratio: 1},
		Endpoints: Endpoints{Loopback: Auto, Private: Auto},
		Limits:    Limits{BufferedBody: 10 << 20, AdminBody: 1 << 20, Module: 64 << 20},
		MQTT:      MQTT{Timeout: 10 * time.Second},
		WASM:      WASM{MaxMemory: 1 << 30, MaxDeadline: 10 * time.Second, MaxStart: time.Minute, MaxConcurrency: 256, MaxLogLines: 10_000, MaxBody: 64 << 20, MaxState: 16 << 20, CompileTimeout: time.Minute},
		Session:   Session{Lifetime: 24 * time.Hour},
		Upstream:  Upstream{Credentials: CredentialsNone},
		CORS:      CORS{MaxAge: 10 * time.Minute},
	}
}
