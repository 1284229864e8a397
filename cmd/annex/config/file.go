package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const maxFile = 1 << 20

func (l *Loaded) readFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if len(b) > maxFile {
		return fmt.Errorf("%s: it is larger than 1 MiB, which no configuration is", name)
	}
	return l.readYAML(name, b)
}

// readYAML applies the text of a file.
func (l *Loaded) readYAML(name string, b []byte) error {
	r := &reader{loaded: l, name: name, keys: map[string]key{}}
	for _, k := range keys(&l.Config) {
		r.keys[k.path] = k
	}
	file, err := parse(b)
	if err != nil {
		return r.syntax(err)
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return fmt.Errorf("%s:%d: a second document; one is needed", name, line(file.Docs[1].Body))
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil // an empty file says nothing
	}
	if file.Docs[0].Body.Type() == ast.CommentType || file.Docs[0].Body.Type() == ast.NullType {
		return nil
	}
	return r.mapping("", file.Docs[0].Body)
}

// parse turns a panic of the library over strange input into an error.
func parse(b []byte) (f *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("this is not YAML")
		}
	}()
	return parser.ParseBytes(b, 0)
}

// reader walks through a file.
type reader struct {
	loaded *Loaded
	name   string
	keys   map[string]key
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func (r *reader) syntax(err error) error {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil && e.GetToken().Position != nil {
		return fmt.Errorf("%s:%d: %s", r.name, e.GetToken().Position.Line, e.GetMessage())
	}
	return fmt.Errorf("%s: %w", r.name, err)
}

func (r *reader) fail(n ast.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", r.name, line(n), fmt.Sprintf(format, args...))
}

func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// mapping reads the keys below prefix.
func (r *reader) mapping(prefix string, n ast.Node) error {
	values, ok := pairs(n)
	if !ok {
		return r.fail(n, "%skeys with values are needed here", within(prefix))
	}
	var errs []error
	for _, v := range values {
		errs = append(errs, r.entry(prefix, v))
	}
	return errors.Join(errs...)
}

func within(prefix string) string {
	if prefix == "" {
		return ""
	}
	return strings.TrimSuffix(prefix, ".") + ": "
}

func (r *reader) entry(prefix string, v *ast.MappingValueNode) error {
	name, ok := plainText(v.Key)
	if !ok {
		return r.fail(v.Key, "%sthis cannot be a key", within(prefix))
	}
	path := prefix + name
	if k, ok := r.keys[path]; ok {
		return r.leaf(k, v.Key, v.Value)
	}
	if r.isGroup(path) {
		if v.Value.Type() == ast.NullType {
			return nil
		}
		return r.mapping(path+".", v.Value)
	}
	near, _ := nearest(path, r.known())
	return r.fail(v.Key, "%q is not a known key; the nearest is %q", path, near)
}

func (r *reader) known() []string {
	var all []string
	for path := range r.keys {
		all = append(all, path)
		if group, _, ok := strings.Cut(path, "."); ok && !slices.Contains(all, group) {
			all = append(all, group)
		}
	}
	slices.Sort(all)
	return all
}

func (r *reader) isGroup(path string) bool {
	for k := range r.keys {
		if strings.HasPrefix(k, path+".") {
			return true
		}
	}
	return false
}

// leaf reads the value of a key.
func (r *reader) leaf(k key, at, n ast.Node) error {
	origin := fmt.Sprintf("%s:%d", r.name, line(at))
	if ls, ok := k.value.(listeners); ok {
		return r.listeners(k, ls, origin, n)
	}
	texts, err := r.texts(k.path, k.several(), n)
	if err != nil {
		return err
	}
	return r.loaded.apply(k, origin, texts)
}

// texts reads one scalar, or a sequence of them where several are possible.
func (r *reader) texts(path string, several bool, n ast.Node) ([]string, error) {
	if seq, ok := n.(*ast.SequenceNode); ok && several {
		texts := make([]string, 0, len(seq.Values))
		for _, v := range seq.Values {
			t, ok := plainText(v)
			if !ok {
				return nil, r.fail(v, "%s: a list of plain values is needed", path)
			}
			texts = append(texts, t)
		}
		return texts, nil
	}
	t, ok := plainText(n)
	switch {
	case ok:
		return []string{t}, nil
	case n.Type() == ast.NullType:
		return nil, r.fail(n, "%s: it has no value; leave the key out to have the default", path)
	case several:
		return nil, r.fail(n, "%s: a list is needed", path)
	}
	return nil, r.fail(n, "%s: one plain value is needed", path)
}

// listeners reads entries that are texts or mappings, but not both.
func (r *reader) listeners(k key, ls listeners, origin string, n ast.Node) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok || len(seq.Values) == 0 || !mappings(seq) {
		texts, err := r.texts(k.path, true, n)
		if err != nil {
			return err
		}
		return r.loaded.apply(k, origin, texts)
	}
	var maps []map[string]string
	for _, v := range seq.Values {
		m, err := r.listener(v)
		if err != nil {
			return err
		}
		maps = append(maps, m)
	}
	if err := ls.setMaps(maps); err != nil {
		return fmt.Errorf("%s: %s: %w", origin, k.path, err)
	}
	r.loaded.origins[k.path] = origin
	return nil
}

func mappings(seq *ast.SequenceNode) bool {
	return slices.ContainsFunc(seq.Values, func(n ast.Node) bool { _, ok := pairs(n); return ok })
}

func (r *reader) listener(n ast.Node) (map[string]string, error) {
	if t, ok := plainText(n); ok {
		return textListener(t), nil
	}
	values, ok := pairs(n)
	if !ok {
		return nil, r.fail(n, "listeners: an address or a mapping is needed")
	}
	m := map[string]string{}
	for _, v := range values {
		name, _ := plainText(v.Key)
		if !slices.Contains(listenerKeys(), name) {
			near, _ := nearest(name, listenerKeys())
			return nil, r.fail(v.Key, "listeners: %q is not a known key; the nearest is %q", name, near)
		}
		t, ok := plainText(v.Value)
		if !ok {
			return nil, r.fail(v.Value, "listeners: %s: one plain value is needed", name)
		}
		m[name] = t
	}
	if m["address"] == "" {
		return nil, r.fail(n, "listeners: the key address is missing")
	}
	return m, nil
}

func textListener(t string) map[string]string {
	if address, plain := strings.CutPrefix(t, "http://"); plain {
		return map[string]string{"address": address, "tls": "false"}
	}
	return map[string]string{"address": strings.TrimPrefix(t, "https://")}
}

// plainText gives the text of a scalar as it stands in the file.
func plainText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}
