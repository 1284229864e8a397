package config

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// file writes a configuration.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "annex.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func flags(t *testing.T, args ...string) *Flags {
	t.Helper()
	fs := pflag.NewFlagSet("annex", pflag.ContinueOnError)
	f := AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFlagsWinOverVariablesOverTheFileOverDefaults(t *testing.T) {
	name := file(t, "log:\n  level: debug\n  format: json\ndrain: 5s\nlimits: {bufferedBody: 2MiB}\n")
	l, err := Load(Source{
		File: name, Env: []string{"ANNEX_LOG_LEVEL=warn", "ANNEX_DRAIN=6s", "ANNEX_DRAIN=7s", "ANNEX_DATA="},
		Flags: flags(t, "--log-level", "error", "--listen", "127.0.0.1:1,http://127.0.0.1:2", "--listen", "127.0.0.1:3"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Log.Level != slog.LevelError || l.Log.Format != FormatJSON || l.Drain != 7*time.Second || l.Limits.BufferedBody != 2<<20 || l.Data != Default().Data {
		t.Errorf("got %+v", l.Config)
	}
	if n := len(l.Listeners); n != 3 || l.Listeners[0].Plain || !l.Listeners[1].Plain || l.Listeners[1].Address != "127.0.0.1:2" {
		t.Errorf("listeners %+v", l.Listeners)
	}
	for path, want := range map[string]string{
		"log.level": "--log-level", "drain": "ANNEX_DRAIN", "log.format": name + ":3", "limits.bufferedBody": name + ":5", "data": "default", "listeners": "--listen",
	} {
		if got := l.Origin(path); got != want {
			t.Errorf("%s comes from %q, want %q", path, got, want)
		}
	}
	again, err := Load(Source{Env: []string{FileVariable + "=" + name}})
	if err != nil || again.Drain != 5*time.Second {
		t.Errorf("the file that %s names: %v, %v", FileVariable, again, err)
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	for _, c := range []struct {
		name, text string
		env        []string
		want       []string
	}{
		{"an unknown key", "log:\n  lewel: debug\n", nil, []string{"annex.yaml:2", `"log.lewel"`, `"log.level"`}},
		{"an unknown key at the top", "\nlimit: 1\n", nil, []string{"annex.yaml:2", `"limit"`, `"limits"`}},
		{"a word that is none", "log:\n  level: loud\n", nil, []string{"annex.yaml:2", "log.level", "debug, info, warn or error"}},
		{"a time without a unit", "drain: 10\n", nil, []string{"annex.yaml:1", "drain", "such as 90s"}},
		{"a time out of its range", "session:\n  lifetime: 1s\n", nil, []string{"annex.yaml:2", "session.lifetime", "1m"}},
		{"a size that overflows", "limits:\n  module: 99999999999999GiB\n", nil, []string{"annex.yaml:2", "limits.module"}},
		{"a negative size", "limits:\n  module: -1\n", nil, []string{"annex.yaml:2", "limits.module"}},
		{"a list for one value", "drain: [1s, 2s]\n", nil, []string{"annex.yaml:1", "one plain value"}},
		{"a mapping for one value", "data: {a: b}\n", nil, []string{"annex.yaml:1", "one plain value"}},
		{"a mapping for a list", "trustedProxies: {a: b}\n", nil, []string{"annex.yaml:1", "a list is needed"}},
		{"a value for a group", "log: loud\n", nil, []string{"annex.yaml:1", "log: keys with values"}},
		{"no value", "data:\n", nil, []string{"annex.yaml:1", "leave the key out"}},
		{"a network with bits of a host", "trustedProxies: [10.0.0.1/8]\n", nil, []string{"annex.yaml:1", "10.0.0.0/8"}},
		{"a key twice", "drain: 1s\ndrain: 2s\n", nil, []string{"annex.yaml:2", "drain"}},
		{"a text cut off", "data: \"abc\nlog:\n  level: debug\n", nil, []string{"annex.yaml"}},
		{"tabs for spaces", "log:\n\tlevel: debug\n", nil, []string{"annex.yaml:2"}},
		{"a second document", "drain: 1s\n---\ndrain: 2s\n", nil, []string{"annex.yaml:3", "second document"}},
		{"a listener without an address", "listeners:\n  - tls: false\n", nil, []string{"annex.yaml:2", "address is missing"}},
		{"an unknown key of a listener", "listeners:\n  - {address: '127.0.0.1:1', tsl: false}\n", nil, []string{"annex.yaml:2", `"tsl"`, `"tls"`}},
		{"one address twice", "listeners: ['127.0.0.1:1', '127.0.0.1:1']\n", nil, []string{"annex.yaml:1", "given twice"}},
		{"half a certificate", "tls:\n  key: k.pem\n", nil, []string{"tls.certificate", "together"}},
		{"profiles for everybody", "admin: {address: '0.0.0.0:1'}\n", nil, []string{"annex.yaml:1", "admin.profiling"}},
		{"credentials for no origin", "cors: {credentials: true}\n", nil, []string{"annex.yaml:1", "cors.origins"}},
		{"all of several mistakes", "drain: x\nlog: {level: y}\n", []string{"ANNEX_LIMITS_MODULE=z"}, []string{"annex.yaml:1", "annex.yaml:2", "ANNEX_LIMITS_MODULE"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Source{File: file(t, c.text), Env: c.env})
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is missing in: %v", w, err)
				}
			}
		})
	}
	if _, err := Load(Source{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Load(Source{File: file(t, strings.Repeat("# long\n", 1<<18))}); err == nil || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("a file that is too long: %v", err)
	}
}

func TestVariablesThatNearlyAreOursAreToldOf(t *testing.T) {
	l, err := Load(Source{Env: []string{"ANNEX_LOG_LEWEL=debug", "ANNEX_SOMETHING_OF_SOMEBODY_ELSE=1", "PATH=/bin"}})
	if err != nil || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "ANNEX_LOG_LEVEL?") {
		t.Errorf("got %q, %v", l.Warnings, err)
	}
}

// What is printed is read back as the same, but for what is masked.
func TestWhatIsPrintedCanBeReadAgain(t *testing.T) {
	for _, text := range []string{
		"",
		"listeners:\n  - {address: '127.0.0.1:1', certificate: a.pem, key: b.pem}\n  - http://127.0.0.1:2\ntrustedProxies: [10.0.0.0/8, '::1']\ndata: \"a: b #c\"\n" +
			"cors: {origins: ['https://a.test'], credentials: true, maxAge: 1h}\ntracing: {endpoint: 'http://localhost:4318', ratio: 0.25}\nlimits: {module: 5000, bufferedBody: 3KiB}\n",
	} {
		l, err := Load(Source{File: file(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := l.PrintYAML(&out); err != nil {
			t.Fatal(err)
		}
		again, err := Load(Source{File: file(t, out.String())})
		if err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		for i, k := range keys(&l.Config) {
			if b := keys(&again.Config)[i]; !reflect.DeepEqual(k.plain(), b.plain()) {
				t.Errorf("%s: %v became %v", k.path, k.plain(), b.plain())
			}
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	l, err := Load(Source{File: file(t, "adminPassword: do not tell\nupstream: {password: nor this, value: or that}\n")})
	if err != nil {
		t.Fatal(err)
	}
	var yaml, json bytes.Buffer
	if err := l.PrintYAML(&yaml); err != nil {
		t.Fatal(err)
	}
	if err := l.PrintJSON(&json); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"do not tell", "nor this", "or that"} {
		if strings.Contains(yaml.String()+json.String(), secret) {
			t.Errorf("%q is told", secret)
		}
	}
}

// Every key has a variable of its own, and a default that it takes itself.
func TestKeysAreSound(t *testing.T) {
	c := Default()
	var variables []string
	for _, k := range keys(&c) {
		variables = append(variables, k.env())
		if k.help == "" {
			t.Errorf("%s: nobody says what it is", k.path)
		}
		text, ok := k.plain().(string)
		if ok && text != "" && k.set([]string{text}) != nil {
			t.Errorf("%s: its own default %q is refused", k.path, text)
		}
	}
	slices.Sort(variables)
	if len(slices.Compact(variables)) != len(keys(&c)) {
		t.Error("two keys have one variable")
	}
}

func FuzzAFileNeverBreaksTheReader(f *testing.F) {
	f.Add("log:\n  level: debug\n")
	f.Add("listeners:\n  - {address: a, tls: &x false}\n  - *x\n")
	f.Add("? [a]\n: {b: !!binary x}\n<<: *z\n")
	f.Add("a: |\n  b\n---\n- c")
	f.Fuzz(func(t *testing.T, text string) {
		l := &Loaded{Config: Default(), origins: map[string]string{}}
		if err := l.readYAML("annex.yaml", []byte(text)); err != nil && !strings.Contains(err.Error(), "annex.yaml") {
			t.Errorf("no place is named: %v", err)
		}
	})
}
