package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bindings are the values of the placeholders that were seen so far.
type bindings map[string]string

var placeholder = regexp.MustCompile(`\$\{(\w+)(?::(\w+))?\}`)

// kinds are what a placeholder can be held to be.
func kinds() map[string]string {
	return map[string]string{
		"":       `.+?`,
		"uuid":   `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
		"number": `[0-9]+`,
		"time":   `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z`,
	}
}

// fill puts the values of placeholders into a text that is sent.
func (b bindings) fill(text string) (string, error) {
	var unknown error
	out := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := placeholder.FindStringSubmatch(p)[1]
		v, ok := b[name]
		if !ok {
			unknown = fmt.Errorf("${%s} has no value yet", name)
		}
		return v
	})
	return out, unknown
}

// match compares a text that was received. A placeholder that has a value must
// have it again; one that has none gets it.
func (b bindings) match(want, got string) error {
	var re strings.Builder
	var names []string
	re.WriteString(`(?s)\A`)
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(want, -1) {
		re.WriteString(regexp.QuoteMeta(want[at:m[0]]))
		at = m[1]
		name, kind := want[m[2]:m[3]], ""
		if m[4] >= 0 {
			kind = want[m[4]:m[5]]
		}
		if v, ok := b[name]; ok {
			re.WriteString(regexp.QuoteMeta(v))
			continue
		}
		expr, ok := kinds()[kind]
		if !ok {
			return fmt.Errorf("${%s:%s}: there is no kind %q", name, kind, kind)
		}
		names = append(names, name)
		re.WriteString("(" + expr + ")")
	}
	re.WriteString(regexp.QuoteMeta(want[at:]) + `\z`)
	found := regexp.MustCompile(re.String()).FindStringSubmatch(got)
	if found == nil {
		now := placeholder.ReplaceAllStringFunc(want, func(p string) string {
			if v, ok := b[placeholder.FindStringSubmatch(p)[1]]; ok {
				return v
			}
			return p
		})
		return fmt.Errorf("want %q\n got %q", now, got)
	}
	for i, name := range names {
		if v, ok := b[name]; ok && v != found[i+1] {
			return fmt.Errorf("${%s} stands for %q and for %q", name, v, found[i+1])
		}
		b[name] = found[i+1]
	}
	return nil
}

// matchJSON compares two JSON texts: the same members, in any order, and the
// same values, strings with placeholders. A string that is nothing but a placeholder
// may stand for a number.
func (b bindings) matchJSON(want, got string) error {
	w, err := decodeJSON(want)
	if err != nil {
		return fmt.Errorf("the transcript's JSON: %w", err)
	}
	g, err := decodeJSON(got)
	if err != nil {
		return fmt.Errorf("%w in %q", err, got)
	}
	return b.matchValue("", w, g)
}

func decodeJSON(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func (b bindings) matchValue(path string, want, got any) error {
	at := func(err error) error {
		if err == nil || path == "" {
			return err
		}
		return fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), err)
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return at(fmt.Errorf("want an object, got %v", got))
		}
		if names := slices.Sorted(maps.Keys(w)); !slices.Equal(names, slices.Sorted(maps.Keys(g))) {
			return at(fmt.Errorf("want the members %v\n got %v", names, slices.Sorted(maps.Keys(g))))
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			if err := b.matchValue(path+"."+name, w[name], g[name]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(w) != len(g) {
			return at(fmt.Errorf("want %d elements, got %v", len(w), got))
		}
		for i := range w {
			if err := b.matchValue(fmt.Sprintf("%s[%d]", path, i), w[i], g[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		if n, ok := got.(json.Number); ok && placeholder.FindString(w) == w {
			return at(b.match(w, n.String()))
		}
		if g, ok := got.(string); ok {
			return at(b.match(w, g))
		}
	}
	if want != got {
		return at(fmt.Errorf("want %v, got %v", want, got))
	}
	return nil
}

func TestDifferencesAreFound(t *testing.T) {
	for _, tt := range []struct{ name, want, got, err string }{
		{"the same", `{"a":1,"b":[true,null]}`, `{"b":[true,null],"a":1}`, ""},
		{"a placeholder takes a value and keeps it", `["${x}","${x}"]`, `["1","1"]`, ""},
		{"a placeholder for a number", `["${n:number}","${n}"]`, `[42,42]`, ""},
		{"a placeholder within a text", `["urn:${x:uuid}:a"]`, `["urn:01234567-89ab-cdef-0123-456789abcdef:a"]`, ""},
		{"another value", `{"a":{"b":"x"}}`, `{"a":{"b":"y"}}`, `a.b: want "x"`},
		{"another kind of value", `[1]`, `["1"]`, "[0]: want 1"},
		{"a member too many", `{"a":1}`, `{"a":1,"b":2}`, "want the members [a]"},
		{"a member that is missing", `{"a":1,"b":2}`, `{"a":1}`, "want the members [a b]"},
		{"an element too many", `[1]`, `[1,2]`, "want 1 elements"},
		{"null is no text", `["${x}"]`, `[null]`, "want ${x}"},
		{"a placeholder with two values", `["${x}","${x}"]`, `["1","2"]`, `[1]: want "1"`},
		{"a placeholder of another kind", `["${x:uuid}"]`, `["1"]`, "want"},
		{"no JSON", `{}`, `<a/>`, "invalid character"},
		{"two values", `{}`, `{} {}`, "more than one value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := bindings{}.matchJSON(tt.want, tt.got)
			if tt.err == "" && err == nil {
				return
			}
			if tt.err == "" || err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}
