package config

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// Flags are what was given on the command line.
type Flags struct{ given map[string][]string } // by path

// AddFlags defines a flag for every setting that has one.
func AddFlags(fs *pflag.FlagSet) *Flags {
	f := &Flags{given: map[string][]string{}}
	defaults := Default()
	for _, k := range keys(&defaults) {
		if k.flag == "" {
			continue
		}
		v := &flagValue{key: k, flags: f}
		fs.Var(v, k.flag, k.help)
	}
	return f
}

// Given reports whether a flag set the key.
func (f *Flags) Given(path string) bool { return len(f.given[path]) > 0 }

func (l *Loaded) readFlags(f *Flags) error {
	var errs []error
	for _, k := range keys(&l.Config) {
		if texts, ok := f.given[k.path]; ok {
			errs = append(errs, l.apply(k, "--"+k.flag, texts))
		}
	}
	return errors.Join(errs...)
}

// flagValue notes what is given. Its key belongs to a Config that serves for
// showing the default and for checking only.
type flagValue struct {
	key   key
	flags *Flags
}

// Set checks and notes one value.
func (v *flagValue) Set(s string) error {
	texts := []string{s}
	if v.key.several() {
		texts = append(v.flags.given[v.key.path], splitList(s)...)
	}
	if err := v.key.set(texts); err != nil {
		return err
	}
	v.flags.given[v.key.path] = texts
	return nil
}

// String shows the default.
func (v *flagValue) String() string {
	if v.key.value == nil {
		return ""
	}
	switch p := v.key.plain().(type) {
	case string:
		return p
	case []string:
		return strings.Join(p, ",")
	case []map[string]any:
		return DefaultListen
	}
	return ""
}

// Type is the word for the value in the help.
func (v *flagValue) Type() string {
	switch v.key.value.(type) {
	case listeners:
		return "address"
	case list[string]:
		return "file"
	}
	return "value"
}
