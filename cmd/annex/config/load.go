package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Source is where a Config is read from. The zero Source gives the defaults.
type Source struct {
	File  string   // YAML; empty: none
	Env   []string // as from os.Environ
	Flags *Flags   // nil: none
}

// FileVariable is the environment variable that names the file where no flag
// does.
const FileVariable = "ANNEX_CONFIG"

// Loaded is a Config that knows where it came from.
type Loaded struct {
	Config
	// Warnings are about what looks like a mistake and is none for sure.
	Warnings []string
	origins  map[string]string
}

// Load reads the settings. The error names every mistake, with file and line.
func Load(src Source) (*Loaded, error) {
	l := &Loaded{Config: Default(), origins: map[string]string{}}
	var errs []error
	if src.File == "" {
		src.File, _ = lookup(src.Env, FileVariable)
	}
	if src.File != "" {
		errs = append(errs, l.readFile(src.File))
	}
	errs = append(errs, l.readEnv(src.Env))
	if src.Flags != nil {
		errs = append(errs, l.readFlags(src.Flags))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, l.validate()
}

// Origin tells where the value of a key came from: "default", "FILE:LINE", a
// variable or a flag.
func (l *Loaded) Origin(path string) string {
	if o, ok := l.origins[path]; ok {
		return o
	}
	return "default"
}

// apply sets one key and remembers from where.
func (l *Loaded) apply(k key, origin string, texts []string) error {
	if err := k.set(texts); err != nil {
		return fmt.Errorf("%s: %s: %w", origin, k.path, err)
	}
	l.origins[k.path] = origin
	return nil
}

func (l *Loaded) readEnv(env []string) error {
	var errs []error
	for _, k := range keys(&l.Config) {
		v, ok := lookup(env, k.env())
		if !ok {
			continue
		}
		texts := []string{v}
		if k.several() {
			texts = splitList(v)
		}
		errs = append(errs, l.apply(k, k.env(), texts))
	}
	l.warnOfVariables(env)
	return errors.Join(errs...)
}

// warnOfVariables finds variables that nearly are ours.
func (l *Loaded) warnOfVariables(env []string) {
	known := []string{FileVariable}
	for _, k := range keys(&l.Config) {
		known = append(known, k.env())
	}
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "ANNEX_") || slices.Contains(known, name) {
			continue
		}
		if near, distance := nearest(name, known); distance <= 3 {
			l.Warnings = append(l.Warnings, fmt.Sprintf("the environment variable %s is not known; did you mean %s?", name, near))
		}
	}
}

// lookup gives a variable that is set to something.
func lookup(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v, v != ""
		}
	}
	return "", false
}

func splitList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// validate checks what no key can be judged by alone.
func (l *Loaded) validate() error {
	errs := l.validateListeners()
	if !l.TLS.whole() {
		errs = append(errs, l.fail("tls.certificate", "tls.certificate and tls.key are needed together, or neither"))
	}
	switch {
	case l.Admin.Address == Off:
	case l.hasListener(l.Admin.Address):
		errs = append(errs, l.fail("admin.address", "%s is a listener for clients, too; choose another", l.Admin.Address))
	case l.Admin.Profiling && !loopback(l.Admin.Address):
		errs = append(errs, l.fail("admin.address", "%s is not a loopback address; set admin.profiling to false to have the metrics there", l.Admin.Address))
	}
	if l.CORS.Credentials && len(l.CORS.Origins) == 0 {
		errs = append(errs, l.fail("cors.credentials", "it needs cors.origins"))
	}
	return errors.Join(errs...)
}

func (l *Loaded) fail(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %s", l.Origin(path), path, fmt.Sprintf(format, args...))
}

func (l *Loaded) validateListeners() []error {
	var errs []error
	if len(l.Listeners) == 0 {
		errs = append(errs, l.fail("listeners", "at least one is needed"))
	}
	seen := map[string]bool{}
	for _, x := range l.Listeners {
		if seen[x.Address] && !anyPort(x.Address) {
			errs = append(errs, l.fail("listeners", "%s is given twice", x.Address))
		}
		seen[x.Address] = true
		if x.Plain && x.Pair != (Pair{}) {
			errs = append(errs, l.fail("listeners", "%s has tls: false and a certificate; remove one of them", x.Address))
		}
		if !x.whole() {
			errs = append(errs, l.fail("listeners", "%s needs certificate and key, or neither", x.Address))
		}
	}
	return errs
}

func (l *Loaded) hasListener(address string) bool {
	return !anyPort(address) && slices.ContainsFunc(l.Listeners, func(x Listener) bool { return x.Address == address })
}

// anyPort reports whether the system is to choose the port.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }

func (p Pair) whole() bool { return (p.Certificate == "") == (p.Key == "") }

// Host is the host part of the address.
func (x Listener) Host() string {
	host, _, _ := net.SplitHostPort(x.Address)
	return host
}
