package core

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// The kinds of external systems that the product knows.
const (
	KindMQTT  = "mqtt"
	KindHTTPS = "https"
	KindWASM  = "wasm"
	KindAMQP  = "amqp"
)

// DefaultPriority is neutral: between 100, which is asked first, and 0.
const DefaultPriority = 50

// Meta is what every registered entity carries beside its own fields.
type Meta struct {
	Revision   uint64 // of the store; 0 before it is stored
	Created    time.Time
	CreatedBy  string // a user's URN, or "" for the gateway itself
	Modified   time.Time
	ModifiedBy string
	// OperationKey makes a registration repeatable: creating with a key that
	// was used gives what was created then.
	OperationKey string `json:",omitempty"`
}

// System is the registration of an external system: a service reached over
// MQTT or AMQP, a WASM module, or an HTTPS endpoint. Settings is the JSON of
// one of the four *Settings types, according to Kind.
type System struct {
	Meta
	ID, Kind, Vendor, Name, Version, Namespace, Description string

	Enabled, AuthorizationEnabled bool
	Priority                      int // 100 first, 0 last
	Settings                      json.RawMessage
}

// MQTTSettings has nothing to set: the topics follow from the triplet.
type MQTTSettings struct{}

// HTTPSSettings are those of an external endpoint.
type HTTPSSettings struct {
	RootURL    string // https only; what a filter's .* matched is appended to it
	NoIdentity bool   `json:",omitempty"` // leaves X-Annex-Identity out
}

// AMQPSettings are those of a service of the older flavour.
type AMQPSettings struct {
	Exchange, RoutingKey string
}

// Validate checks that the service can be told where its messages are.
func (a AMQPSettings) Validate() error {
	for name, value := range map[string]string{"Exchange": a.Exchange, "RoutingKey": a.RoutingKey} {
		if value == "" || len(value) > 255 || strings.ContainsFunc(value, unicode.IsControl) {
			return Errorf(Invalid, "%s %q: a service on AMQP needs 1 to 255 bytes here, without control characters", name, value)
		}
	}
	return nil
}

// WASMSettings are those of a module. A zero limit means the default.
type WASMSettings struct {
	Module      string          // "sha256:<hex>" of an uploaded module
	Config      json.RawMessage `json:",omitempty"` // handed to the guest: a string as the text in it, other JSON as it is
	MemoryBytes int64           // linear memory; default 128 MiB
	DeadlineMS  int64           // guest time of one call; default 100 ms
	StartMS     int64           `json:",omitempty"` // guest time of a start; default 5 s
	Concurrency int             // guests at once; default 4 times the processors
	LogLines    int             `json:",omitempty"` // of the log in a second; default 100
	BodyBytes   int64           `json:",omitempty"` // of a body that is kept for it; default 10 MiB
	StateBytes  int64           `json:",omitempty"` // in the store, of a module of the border annex; default 1 MiB
	Rewrite     bool            // may change the method and the path of a request

	Border   string            `json:",omitempty"` // "http-wasm", "proxy-wasm" or "annex"; default: what the module is written for
	Clusters map[string]string `json:",omitempty"` // where guests may call: a name, and https://host:port
	VMConfig json.RawMessage   `json:",omitempty"` // of a proxy-wasm guest's machine; Config is its plugin's
	RootID   string            `json:",omitempty"` // which plugin of a proxy-wasm module is meant

	VMID        string            `json:",omitempty"` // the machine of a proxy-wasm plugin, which finds those of its vendor; default: one that nobody else finds
	Properties  map[string]string `json:",omitempty"` // what proxy-wasm plugins read beside, or in place of, what the gateway knows, by names with dots
	Environment map[string]string `json:",omitempty"` // variables that guests read through WASI
	// FailurePolicy tells what becomes of a call when the module fails:
	// [FailClosed] (the default) or [FailOpen].
	FailurePolicy string `json:",omitempty"`
}

// The failure policies of a module.
const (
	FailClosed = "closed" // the call fails
	FailOpen   = "open"   // the call goes on without the module
)

// FailsOpen reports whether calls go on without the system when it fails.
func (s System) FailsOpen() bool {
	if s.Kind != KindWASM {
		return false
	}
	set, err := DecodeSettings[WASMSettings](s)
	return err == nil && set.FailurePolicy == FailOpen
}

// EncodeSettings gives the bytes for System.Settings.
func EncodeSettings(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a guest gets its configuration as it was given
	if err := e.Encode(v); err != nil {
		panic("core: settings that cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// DecodeSettings reads sys.Settings strictly as a T.
func DecodeSettings[T any](sys System) (T, error) {
	var v T
	if len(sys.Settings) == 0 {
		return v, nil
	}
	d := json.NewDecoder(bytes.NewReader(sys.Settings))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, WrapError(Invalid, err, "the settings of %s do not fit its kind %q", sys.Triplet(), sys.Kind)
	}
	return v, nil
}

// Triplet is "vendor/name/version": the user name of a service on MQTT, and
// unique among the systems of its family. A service on AMQP has no version,
// and its namespace is what is unique.
func (s System) Triplet() string {
	if s.Kind == KindAMQP {
		return s.Namespace
	}
	return s.Vendor + "/" + s.Name + "/" + s.Version
}

// IsEndpoint reports whether the system is an external endpoint; all other
// kinds are external services.
func (s System) IsEndpoint() bool { return s.Kind == KindHTTPS }

// The URN prefixes of the two families of systems.
const (
	ServicePrefix  = "urn:vcloud:extension-api:"
	EndpointPrefix = "urn:vcloud:extensionEndpoint:"
)

// SystemID is the id of the system of that kind and triplet.
func SystemID(kind, vendor, name, version string) string {
	prefix := ServicePrefix
	if kind == KindHTTPS {
		prefix = EndpointPrefix
	}
	return prefix + vendor + ":" + name + ":" + version
}

// DerivedID is the id that the system has by what it is: that of its triplet,
// or of its namespace for a service on AMQP.
func (s System) DerivedID() string {
	if s.Kind == KindAMQP {
		return ServicePrefix + s.Namespace
	}
	return SystemID(s.Kind, s.Vendor, s.Name, s.Version)
}

// UUID is the bare uuid under which the XML API knows the system. It is
// derived from the id, so it survives deletion and registration anew.
func (s System) UUID() string {
	h := sha256.Sum256([]byte("annex system " + s.ID))
	h[6] = h[6]&0x0f | 0x80 // version 8: made by the application's own rule
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

var (
	wordRE    = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}\z`)
	spaceRE   = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.\-]{0,254}\z`)
	versionRE = regexp.MustCompile(`\A(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\z`)
)

// reservedNamespace is that of the product itself.
const reservedNamespace = "com.vmware.vcloud"

// Validate checks what a registration can be judged by alone; what its kind
// demands is checked by [Kind.Check].
func (s System) Validate() error {
	if err := s.validNames(); err != nil {
		return err
	}
	switch {
	case s.Namespace == reservedNamespace:
		return Errorf(Invalid, "namespace %s: it is reserved; choose one of your own, such as com.acme.backup", s.Namespace)
	case s.Priority < 0 || s.Priority > 100:
		return Errorf(Invalid, "priority %d: 0 (last) to 100 (first) is needed", s.Priority)
	case len(s.Description) > 4096:
		return Errorf(Invalid, "description: at most 4096 bytes are kept, this one has %d", len(s.Description))
	case s.ID != s.DerivedID():
		return Errorf(Invalid, "id %q does not belong to %s %s", s.ID, s.Kind, s.Triplet())
	case strings.TrimSpace(s.Kind) == "":
		return Errorf(Invalid, "kind: the kind of the system is missing")
	}
	return nil
}

// validNames checks what the system's id is made of.
func (s System) validNames() error {
	const words = "1 to 128 letters, digits, '_', '-' and '.' are needed, starting with a letter, digit or '_'"
	switch {
	case s.Kind == KindAMQP:
		return s.validTexts()
	case !wordRE.MatchString(s.Vendor):
		return Errorf(Invalid, "vendor %q: %s", s.Vendor, words)
	case !wordRE.MatchString(s.Name):
		return Errorf(Invalid, "name %q: %s", s.Name, words)
	}
	return s.validVersion()
}

// validTexts is validNames for the older flavour, where vendor and name are
// texts for people.
func (s System) validTexts() error {
	switch {
	case len(s.Vendor) > 255 || strings.ContainsFunc(s.Vendor, unicode.IsControl):
		return Errorf(Invalid, "vendor: at most 255 bytes without control characters are allowed")
	case s.Name == "" || len(s.Name) > 128 || strings.ContainsFunc(s.Name, unicode.IsControl):
		return Errorf(Invalid, "name: a service needs a name of 1 to 128 bytes without control characters")
	case !spaceRE.MatchString(s.Namespace):
		return Errorf(Invalid, "namespace %q: 1 to 255 letters, digits, '_', '-' and '.' are needed, such as com.acme.backup", s.Namespace)
	case s.Version == "":
		return nil
	}
	return s.validVersion()
}

func (s System) validVersion() error {
	if !versionRE.MatchString(s.Version) {
		return Errorf(Invalid, "version %q: a semantic version without pre-release part is needed, such as 1.0.0", s.Version)
	}
	return nil
}

// Module is an uploaded WASM module, named by its content.
type Module struct {
	Meta
	Digest string // "sha256:<hex>"
	Size   int64  // bytes
}
