package config

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

const mask = "********"

// shown is the value of a key, masked if it is secret.
func (k key) shown() any {
	v := k.plain()
	if k.secret && v != "" {
		return mask
	}
	return v
}

// PrintYAML writes the effective values as a file that could be read again,
// each with its origin as a comment.
func (l *Loaded) PrintYAML(w io.Writer) error {
	var b strings.Builder
	for _, group := range l.groups() {
		indent := ""
		if group.name != "" {
			fmt.Fprintf(&b, "%s:\n", group.name)
			indent = "  "
		}
		for _, k := range group.keys {
			name := k.path[strings.LastIndexByte(k.path, '.')+1:]
			l.printKey(&b, indent, name, k)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type group struct {
	name string
	keys []key
}

// groups are the keys as the file has them: those without a group first.
func (l *Loaded) groups() []group {
	all := []group{{}}
	index := map[string]int{"": 0}
	for _, k := range keys(&l.Config) {
		name, _, nested := strings.Cut(k.path, ".")
		if !nested {
			name = ""
		}
		i, ok := index[name]
		if !ok {
			i = len(all)
			index[name] = i
			all = append(all, group{name: name})
		}
		all[i].keys = append(all[i].keys, k)
	}
	return all
}

func (l *Loaded) printKey(b *strings.Builder, indent, name string, k key) {
	origin := "# " + l.Origin(k.path)
	switch v := k.shown().(type) {
	case []string:
		if len(v) == 0 {
			fmt.Fprintf(b, "%s%s: [] %s\n", indent, name, origin)
			return
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, origin)
		for _, s := range v {
			fmt.Fprintf(b, "%s  - %s\n", indent, quoted(s))
		}
	case []map[string]any:
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, origin)
		for _, m := range v {
			lead := "- "
			for _, field := range listenerKeys() {
				if value, ok := m[field]; ok {
					fmt.Fprintf(b, "%s  %s%s: %s\n", indent, lead, field, quoted(value))
					lead = "  "
				}
			}
		}
	default:
		fmt.Fprintf(b, "%s%s: %s %s\n", indent, name, quoted(v), origin)
	}
}

// quoted writes a scalar; JSON's form is YAML's, too.
func quoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return `""`
	}
	return string(b)
}

// printed is a value with its origin.
type printed struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
	Env    string `json:"env"`
}

// PrintJSON writes the effective values as a list.
func (l *Loaded) PrintJSON(w io.Writer) error {
	var all []printed
	for _, k := range keys(&l.Config) {
		all = append(all, printed{k.path, k.shown(), l.Origin(k.path), k.env()})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

// WriteSchema writes the JSON Schema of the file.
func WriteSchema(w io.Writer) error {
	defaults := Default()
	root := object()
	groups := map[string]map[string]any{}
	for _, k := range keys(&defaults) {
		s := map[string]any{"description": k.help + " (environment: " + k.env() + ")"}
		for name, v := range k.schema() {
			s[name] = v
		}
		if v := k.plain(); v != "" && !k.secret {
			s["default"] = v
		}
		group, name, nested := strings.Cut(k.path, ".")
		if !nested {
			properties(root)[k.path] = s
			continue
		}
		if groups[group] == nil {
			groups[group] = object()
			properties(root)[group] = groups[group]
		}
		properties(groups[group])[name] = s
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of annex serve"
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(root)
}

func object() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
}

func properties(o map[string]any) map[string]any {
	p, _ := o["properties"].(map[string]any)
	return p
}

// Differences are the keys that have other values in o, but for those in
// except.
func (l *Loaded) Differences(o *Loaded, except ...string) []string {
	var paths []string
	theirs := keys(&o.Config)
	for i, k := range keys(&l.Config) {
		if quoted(k.plain()) != quoted(theirs[i].plain()) && !slices.Contains(except, k.path) {
			paths = append(paths, k.path)
		}
	}
	return paths
}
