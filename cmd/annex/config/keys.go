package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// key describes one setting.
type key struct {
	path   string // in the file, with dots
	flag   string // empty: there is none
	help   string
	secret bool
	value
}

// keys are all settings, placed in c.
func keys(c *Config) []key {
	return append(append(processKeys(c), edgeKeys(c)...), roomKeys(c)...)
}

func processKeys(c *Config) []key {
	return []key{
		{path: "data", flag: "data", help: "directory of everything that is kept", value: text(&c.Data, notEmpty)},
		{path: "adminPassword", secret: true, help: "password of the first administrator; generated and shown once when empty", value: text(&c.AdminPassword, checkPassword)},
		{path: "drain", flag: "drain", help: "how long calls in flight may go on after SIGTERM", value: duration(&c.Drain, 0, time.Hour)},
		{path: "admin.address", flag: "admin-listen", help: "address of the listener for metrics, health and profiling, or off", value: text(&c.Admin.Address, checkAdmin)},
		{path: "admin.profiling", help: "serve profiles on the admin listener, which must be a loopback one then", value: truth(&c.Admin.Profiling)},
		{path: "log.level", flag: "log-level", help: "debug, info, warn or error", value: level(&c.Log.Level)},
		{path: "log.format", flag: "log-format", help: "text or json", value: choice(&c.Log.Format, FormatText, FormatJSON)},
		{path: "log.access", flag: "access-log", help: "where a line of JSON for each call goes: off, stdout, stderr, or a file", value: text(&c.Log.Access, notEmpty)},
		{path: "tracing.endpoint", help: "OpenTelemetry collector that takes OTLP over HTTP, such as http://localhost:4318", value: text(&c.Tracing.Endpoint, checkUpstream)},
		{path: "tracing.ratio", help: "part of the calls that is traced, from 0 to 1, unless the client has decided", value: fraction(&c.Tracing.Ratio)},
	}
}

func edgeKeys(c *Config) []key {
	return []key{
		{path: "listeners", flag: "listen", help: "address to listen on, as HOST:PORT, or http://HOST:PORT for plain HTTP; may be repeated", value: listeners{&c.Listeners}},
		{path: "tls.certificate", flag: "tls-certificate", help: "PEM file of the server's certificate chain; without it the local authority issues one", value: text(&c.TLS.Certificate, nil)},
		{path: "tls.key", flag: "tls-key", help: "PEM file of its key", value: text(&c.TLS.Key, nil)},
		{path: "publicURL", flag: "public-url", help: "how clients reach the gateway, such as https://api.example.com; otherwise as their requests say", value: text(&c.PublicURL, checkOrigin)},
		{path: "trustedProxies", flag: "trusted-proxy", help: "network of balancers whose X-Forwarded fields are believed; may be repeated", value: networks(&c.TrustedProxies)},
		{path: "cors.origins", help: "origins whose pages may call, such as https://app.example.com", value: texts(&c.CORS.Origins, checkCORSOrigin)},
		{path: "cors.credentials", help: "let them send cookies", value: truth(&c.CORS.Credentials)},
		{path: "cors.maxAge", help: "how long a browser may remember the answer to a preflight", value: duration(&c.CORS.MaxAge, 0, 24*time.Hour)},
		{path: "session.lifetime", help: "how long a login lasts", value: duration(&c.Session.Lifetime, time.Minute, 365*24*time.Hour)},
	}
}

func roomKeys(c *Config) []key {
	return []key{
		{path: "upstream.url", flag: "upstream", help: "the native API that is extended, such as https://api.internal:8080; otherwise the built-in one alone", value: text(&c.Upstream.URL, checkUpstream)},
		{path: "upstream.credentials", help: "on whose behalf the native API is called: none, forward (the credential as it came), identity (a signed statement on the caller), basic (upstream.user) or header (upstream.header)", value: choice(&c.Upstream.Credentials, CredentialsNone, CredentialsForward, CredentialsIdentity, CredentialsBasic, CredentialsHeader)},
		{path: "upstream.user", help: "user name at the native API, with credentials basic", value: text(&c.Upstream.User, nil)},
		{path: "upstream.password", secret: true, help: "its password", value: text(&c.Upstream.Password, nil)},
		{path: "upstream.header", help: "header field that every call to the native API carries, with credentials header, such as X-Api-Key", value: text(&c.Upstream.Header, nil)},
		{path: "upstream.value", secret: true, help: "its value", value: text(&c.Upstream.Value, nil)},
		{path: "upstream.builtIn", help: "keep the built-in API in front of the upstream: organisations, queries, what users see of services", value: truth(&c.Upstream.BuiltIn)},
		{path: "trust.files", flag: "trust", help: "PEM file with certificate authorities of external endpoints; may be repeated", value: texts(&c.Trust.Files, notEmpty)},
		{path: "trust.system", help: "trust the authorities of this machine for external endpoints", value: truth(&c.Trust.System)},
		{path: "endpoints.loopback", help: "loopback addresses of external endpoints: allow, refuse, or auto (allowed while the gateway listens on loopback only)", value: choice(&c.Endpoints.Loopback, Auto, Allow, Refuse)},
		{path: "endpoints.private", help: "private addresses of external endpoints: allow, refuse or auto", value: choice(&c.Endpoints.Private, Auto, Allow, Refuse)},
		{path: "endpoints.networks", help: "networks of external endpoints that are allowed in any case", value: networks(&c.Endpoints.Networks)},
		{path: "limits.bufferedBody", help: "largest body that is kept in memory, for services over MQTT and for modules", value: size(&c.Limits.BufferedBody, 1<<10, 1<<30)},
		{path: "limits.adminBody", help: "largest body of a registration", value: size(&c.Limits.AdminBody, 1<<10, 64<<20)},
		{path: "limits.module", help: "largest WASM module", value: size(&c.Limits.Module, 1<<10, 1<<30)},
		{path: "mqtt.timeout", help: "how long to wait for the reply of a service", value: duration(&c.MQTT.Timeout, 10*time.Millisecond, time.Hour)},
		{path: "mqtt.sendRights", help: "tell services the names of the caller's rights", value: truth(&c.MQTT.SendRights)},
		{path: "wasm.maxMemory", help: "largest memory that a module may be registered with", value: size(&c.WASM.MaxMemory, 64<<10, 4<<30)},
		{path: "wasm.maxDeadline", help: "longest time for one call that a module may be registered with", value: duration(&c.WASM.MaxDeadline, time.Millisecond, time.Hour)},
		{path: "wasm.maxStart", help: "longest time for the start of a guest that a module may be registered with", value: duration(&c.WASM.MaxStart, time.Millisecond, time.Hour)},
		{path: "wasm.maxConcurrency", help: "most guests at once that a module may be registered with", value: number(&c.WASM.MaxConcurrency, 1, 1<<16)},
		{path: "wasm.maxLogLines", help: "most lines of the log in a second that a module may be registered with", value: number(&c.WASM.MaxLogLines, 1, 1<<20)},
		{path: "wasm.maxBody", help: "largest body that a module may be registered to have kept in memory; without a word of its own limits.bufferedBody holds", value: size(&c.WASM.MaxBody, 1<<10, 1<<30)},
		{path: "wasm.maxState", help: "largest state in the store that a module may be registered with", value: size(&c.WASM.MaxState, 1<<10, 1<<30)},
		{path: "wasm.compileTimeout", help: "how long compiling a module may take", value: duration(&c.WASM.CompileTimeout, time.Second, time.Hour)},
	}
}

// env is the environment variable of a key: log.level is ANNEX_LOG_LEVEL,
// publicURL is ANNEX_PUBLIC_URL.
func (k key) env() string {
	var b strings.Builder
	b.WriteString("ANNEX_")
	lower := false
	for _, r := range k.path {
		switch {
		case r == '.':
			b.WriteByte('_')
		case unicode.IsUpper(r) && lower:
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
		lower = unicode.IsLower(r)
	}
	return b.String()
}

// several reports whether the setting takes more than one value.
func (k key) several() bool {
	switch k.value.(type) {
	case listeners, list[string], list[netip.Prefix]:
		return true
	}
	return false
}

func notEmpty(s string) error {
	if s == "" {
		return fmt.Errorf("it is empty; leave the setting out to have the default")
	}
	return nil
}

func checkPassword(s string) error {
	if len(s) > 1024 {
		return fmt.Errorf("at most 1024 bytes are possible, this one has %d", len(s))
	}
	return nil
}

func checkAdmin(s string) error {
	if s == Off {
		return nil
	}
	return checkAddress(s)
}

func checkOrigin(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || s != u.Scheme+"://"+u.Host {
		return fmt.Errorf("%q: a URL with scheme and host alone is needed, such as https://api.example.com", s)
	}
	return nil
}

func checkCORSOrigin(s string) error {
	if s == "" || s == "*" {
		return fmt.Errorf("%q: name each origin, such as https://app.example.com", s)
	}
	return checkOrigin(s)
}

func checkUpstream(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: an http or https URL without user, query and fragment is needed", redact(u, s))
	}
	return nil
}

// redact keeps a password out of an error.
func redact(u *url.URL, s string) string {
	switch {
	case u != nil && u.User != nil:
		return u.Redacted()
	case u == nil && strings.Contains(s, "@"):
		return "(not shown)"
	}
	return s
}

// loopback reports whether the address is one of this machine alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
