package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// addFields gives a command a flag for each field that can be set there.
func addFields(c *cobra.Command, n noun, create bool) {
	f := c.Flags()
	for _, x := range n.fields {
		help := x.help
		switch {
		case x.born && !create:
			continue
		case create && x.needed:
			help += " (needed)"
		case create && x.initial != nil && x.kind != truth:
			help += fmt.Sprintf(" (default %v)", x.initial)
		}
		switch x.kind {
		case truth:
			f.Bool(x.flag, create && x.initial == true, help)
		case whole:
			f.Int(x.flag, 0, help)
		case several, pairs, references, members:
			f.StringArray(x.flag, nil, help)
		default:
			f.String(x.flag, "", help)
		}
	}
}

// filled gives the value of every field that the flags set, and of a new
// entity also those that it begins with.
func filled(c *cobra.Command, n noun, s *session, create bool, body map[string]any) error {
	for _, x := range n.fields {
		if c.Flags().Lookup(x.flag) == nil || x.path == "" {
			continue
		}
		v, err := s.value(c, x, create)
		if err != nil {
			return fmt.Errorf("--%s: %w", x.flag, err)
		}
		if v != nil {
			set(body, x.path, v)
		}
	}
	if n.complete != nil {
		n.complete(body, c.Flags().Changed)
	}
	return nil
}

// missingFields tells which flags a new entity lacks.
func missingFields(c *cobra.Command, n noun) error {
	var lacks []string
	for _, x := range n.fields {
		if x.needed && !c.Flags().Changed(x.flag) {
			lacks = append(lacks, "--"+x.flag)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return exit.Usagef("%s needs %s", article("new "+n.what), strings.Join(lacks, ", "))
}

// value reads one field; nil when nothing is said.
func (s *session) value(c *cobra.Command, x field, create bool) (any, error) {
	f := c.Flags()
	if !f.Changed(x.flag) {
		switch {
		case !create || x.initial == nil:
			return nil, nil
		case x.kind == reach:
			return s.reach(c.Context(), x, fmt.Sprint(x.initial))
		}
		return x.initial, nil
	}
	switch x.kind {
	case truth:
		return f.GetBool(x.flag)
	case whole:
		return f.GetInt(x.flag)
	case several:
		return f.GetStringArray(x.flag)
	case pairs:
		list, err := f.GetStringArray(x.flag)
		if err != nil {
			return nil, err
		}
		return mapOf(list)
	case references:
		names, err := f.GetStringArray(x.flag)
		if err != nil {
			return nil, err
		}
		return s.refs(c.Context(), x, names)
	}
	text, err := f.GetString(x.flag)
	if err != nil {
		return nil, err
	}
	return s.textValue(c, x, text)
}

// mapOf reads NAME=VALUE. An empty one takes all away.
func mapOf(list []string) (map[string]any, error) {
	m := map[string]any{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if p == "" {
			continue
		}
		if _, twice := m[name]; !ok || name == "" || twice {
			return nil, exit.Usagef("%q: NAME=VALUE is needed, and each name once", p)
		}
		m[name] = value
	}
	return m, nil
}

// textValue reads a field that is given as one text.
func (s *session) textValue(c *cobra.Command, x field, text string) (any, error) {
	switch x.kind {
	case content:
		b, err := os.ReadFile(text)
		return string(b), err
	case secret:
		return firstLine(c, text)
	case document:
		return jsonValue(text)
	case reach:
		return s.reach(c.Context(), x, text)
	case reference:
		to, err := s.resolveAny(c.Context(), x.nouns, text)
		if err != nil {
			return nil, err
		}
		if x.path == "extensionId" { // the one reference that is a bare id
			return to.ID, nil
		}
		return map[string]any{"id": to.ID, "name": to.Name}, nil
	}
	return text, nil
}

func (s *session) refs(ctx context.Context, x field, names []string) ([]any, error) {
	out := []any{}
	for _, name := range names {
		if name == "" { // --role "" takes all away
			continue
		}
		to, err := s.resolveAny(ctx, x.nouns, name)
		if err != nil {
			return nil, err
		}
		out = append(out, map[string]any{"id": to.ID, "name": to.Name})
	}
	return out, nil
}

// reach reads a part of an ACL rule: a word, or what it names.
func (s *session) reach(ctx context.Context, x field, text string) (any, error) {
	for _, a := range []core.Access{core.AccessShared, core.AccessPublished} {
		if strings.EqualFold(text, string(a)) {
			return map[string]any{"access": string(a)}, nil
		}
	}
	to, err := s.resolveAny(ctx, x.nouns, text)
	if err != nil {
		return nil, err
	}
	return map[string]any{"access": string(core.AccessEntity), "entity": map[string]any{"id": to.ID, "name": to.Name}}, nil
}

// jsonValue reads JSON, or the JSON in the file behind an @.
func jsonValue(text string) (any, error) {
	b := []byte(text)
	if file, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if b, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	if !json.Valid(b) {
		return nil, exit.Usagef("JSON is needed, or @FILE with JSON in it; %.40q is none", b)
	}
	return json.RawMessage(b), nil
}

// firstLine reads a secret from a file, or with "-" from the input.
func firstLine(c *cobra.Command, file string) (string, error) {
	in := c.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, 1<<16)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", exit.Usagef("the first line is empty")
	}
	return line, nil
}
