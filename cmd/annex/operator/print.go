package operator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// object is an entity as the gateway shows it.
type object struct {
	raw    json.RawMessage // as it came: with its order of members
	fields map[string]any
}

func newObject(raw json.RawMessage) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	o := object{raw: raw}
	if err := d.Decode(&o.fields); err != nil {
		return o, core.WrapError(core.BadUpstream, err, "the gateway sent what is no JSON object")
	}
	return o, nil
}

// get gives the member at a path such as "externalSystem.id", nil when there
// is none.
func (o object) get(path string) any {
	var at any = o.fields
	for part := range strings.SplitSeq(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[part]
	}
	return at
}

// text gives the member at a path for people.
func (o object) text(path string) string {
	path, otherwise, _ := strings.Cut(path, "?")
	var words []string
	for p := range strings.SplitSeq(path, "/") {
		words = append(words, textOf(o.get(p)))
	}
	return cmp.Or(strings.TrimRight(strings.Join(words, "/"), "/"), otherwise)
}

// textOf writes a value in one line. What could lead a terminal is left out.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any:
		var words []string
		for _, w := range v {
			words = append(words, textOf(w))
		}
		return strings.Join(words, ",")
	case map[string]any: // a reference
		return textOf(v["name"])
	}
	line := strings.ReplaceAll(printable(fmt.Sprint(v)), "\n", " ")
	if r := []rune(line); len(r) > maxCell {
		return string(r[:maxCell-1]) + "…"
	}
	return line
}

// printable leaves out what could lead a terminal, but for the ends of lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r != '\n' && unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
}

// maxCell is the longest text in a table, in characters.
const maxCell = 100

// column is one of a table: what stands above it, and the path of the member
// that it shows; several paths with '/' between them are shown like that. Behind
// a '?' is what an empty one means.
type column struct{ title, path string }

// The forms in which commands print.
const (
	asTable = "table"
	asJSON  = "json"
	asYAML  = "yaml"
)

func addOutput(c *cobra.Command, form *string) {
	c.Flags().StringVarP(form, "output", "o", asTable, "table, json or yaml")
	must(c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{asTable, asJSON, asYAML}, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for what only a mistake in the program itself can make fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// checkOutput refuses a form that there is not, before anything is done.
func checkOutput(form string) error {
	switch form {
	case asTable, asJSON, asYAML:
		return nil
	}
	return exit.Usagef("--output %q: table, json or yaml is needed", form)
}

// printer writes objects in one form.
type printer struct {
	w    io.Writer
	form string
}

// list writes objects: a table, or an array.
func (p printer) list(objects []object, columns []column) error {
	if err := checkOutput(p.form); err != nil {
		return err
	}
	if p.form == asTable {
		return p.table(objects, columns)
	}
	raw := make([]json.RawMessage, 0, len(objects))
	for _, o := range objects {
		raw = append(raw, o.raw)
	}
	b, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	return p.structured(b)
}

// one writes an object: a table with one line, or the object.
func (p printer) one(o object, columns []column) error {
	if p.form != asTable {
		return p.structured(o.raw)
	}
	if err := p.table([]object{o}, columns); err != nil {
		return err
	}
	return p.status(o)
}

// status writes how an object goes, if the gateway tells.
func (p printer) status(o object) error {
	s, ok := o.get("status").(map[string]any)
	if !ok {
		return nil
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	state := textOf(s["state"])
	if m := textOf(s["message"]); m != "" {
		state += ": " + m
	}
	fmt.Fprintf(t, "\nSTATE\t%s\n", state)
	for _, part := range []string{"limits", "counts"} {
		m, _ := s[part].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(t, "%s\t%s\t%s\n", strings.ToUpper(part), name, textOf(m[name]))
		}
	}
	return t.Flush()
}

func (p printer) table(objects []object, columns []column) error {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.title
	}
	fmt.Fprintln(t, strings.Join(line, "\t"))
	for _, o := range objects {
		for i, c := range columns {
			line[i] = o.text(c.path)
		}
		fmt.Fprintln(t, strings.Join(line, "\t"))
	}
	return t.Flush()
}

func (p printer) structured(raw []byte) error {
	var out bytes.Buffer
	if p.form == asYAML {
		b, err := yaml.JSONToYAML(raw)
		if err != nil {
			return err
		}
		out.Write(b)
	} else {
		if err := json.Indent(&out, raw, "", "  "); err != nil {
			return err
		}
		out.WriteByte('\n')
	}
	_, err := p.w.Write(out.Bytes())
	return err
}
