package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// declaration is one object of the files that are applied.
type declaration struct {
	Kind   string         `json:"kind"`
	At     string         `json:"at"` // FILE:LINE
	Object map[string]any `json:"object"`
	dir    string         // that files are named from
	lines  map[string]int // of members, by their JSON pointer
}

// maxDocument bounds the size of one file.
const maxDocument = 8 << 20

// readDeclarations reads a file, every file with a name in .yaml or .yml below
// a directory, or with "-" what comes in. The error names file and line.
func readDeclarations(path string, in io.Reader) ([]declaration, error) {
	if path == "-" {
		b, err := io.ReadAll(io.LimitReader(in, maxDocument))
		if err != nil {
			return nil, err
		}
		return parseDeclarations("-", ".", b)
	}
	var all []declaration
	files, err := documentFiles(path)
	for _, file := range files {
		b, readErr := os.ReadFile(file)
		if readErr != nil {
			return nil, readErr
		}
		list, parseErr := parseDeclarations(file, filepath.Dir(file), b)
		err = errors.Join(err, parseErr)
		all = append(all, list...)
	}
	if err == nil && len(all) == 0 {
		err = exit.Usagef("%s: nothing is declared there", path)
	}
	return all, err
}

// documentFiles are the files that a path stands for, in order.
func documentFiles(path string) ([]string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, exit.Usage{Err: err}
	}
	if !st.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(file); err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

// parseDeclarations reads YAML documents. Each is a mapping of kinds to an
// object of that kind, or to a list of them.
func parseDeclarations(file, dir string, b []byte) ([]declaration, error) {
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, badYAML(file, err)
	}
	p := documentParser{file: file, dir: dir}
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType {
			p.document(doc.Body)
		}
	}
	return p.all, errors.Join(p.errs...)
}

// badYAML puts the file in front of where the parser found a mistake.
func badYAML(file string, err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		pos := at.GetToken().Position
		return exit.Usagef("%s:%d:%d: %s", file, pos.Line, pos.Column, at.GetMessage())
	}
	return exit.Usagef("%s: %s", file, strings.TrimSpace(err.Error()))
}

// documentParser collects what documents declare, and every mistake.
type documentParser struct {
	file, dir string
	all       []declaration
	errs      []error
}

func (p *documentParser) fail(n ast.Node, format string, args ...any) {
	p.errs = append(p.errs, exit.Usagef("%s: %s", p.at(n), fmt.Sprintf(format, args...)))
}

func (p *documentParser) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", p.file, n.GetToken().Position.Line)
}

func (p *documentParser) document(body ast.Node) {
	pairs, ok := mapping(body)
	if !ok {
		p.fail(body, "a mapping of kinds to objects is needed, such as 'org:' with the members of an organisation below")
		return
	}
	for _, pair := range pairs {
		kind := pair.Key.GetToken().Value
		if _, known := declarable(kind); !known {
			p.fail(pair.Key, "%q is no kind; one of %s is needed", kind, strings.Join(declarableWords(), ", "))
			continue
		}
		p.objects(kind, pair.Value, nil)
	}
}

// objects reads an object or a list of them, all below one parent.
func (p *documentParser) objects(kind string, n ast.Node, parent *parentRef) {
	if list, ok := n.(*ast.SequenceNode); ok {
		for _, v := range list.Values {
			p.object(kind, v, parent)
		}
		return
	}
	p.object(kind, n, parent)
}

// parentRef is the object that nested ones belong to.
type parentRef struct{ member, name string }

func (p *documentParser) object(kind string, n ast.Node, parent *parentRef) {
	pairs, ok := mapping(n)
	if !ok {
		p.fail(n, "the members of %s are needed here", article(nounOf(kind).what))
		return
	}
	d := declaration{Kind: kind, At: p.at(n), Object: map[string]any{}, dir: p.dir, lines: map[string]int{}}
	type nested struct {
		child
		node ast.Node
	}
	var inside []nested
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		if c, ok := childOf(kind, key); ok {
			inside = append(inside, nested{c, pair.Value})
			continue
		}
		var v any
		if err := yaml.NodeToValue(pair.Value, &v, yaml.Strict()); err != nil {
			p.errs = append(p.errs, badYAML(p.file, err))
			return
		}
		d.Object[key] = v
		noteLines(d.lines, "", pair)
	}
	if parent != nil {
		if _, twice := d.Object[parent.member]; twice {
			p.fail(n, "%s: what it stands below says that already", parent.member)
			return
		}
		d.Object[parent.member] = map[string]any{"name": parent.name}
	}
	p.all = append(p.all, d)
	for _, x := range inside {
		p.objects(x.kind, x.node, &parentRef{x.member, pathOf(kind, d.Object, parent)})
	}
}

// noteLines notes on which line a member and all below it stand.
func noteLines(lines map[string]int, above string, pair *ast.MappingValueNode) {
	at := above + "/" + pair.Key.GetToken().Value
	lines[at] = pair.Key.GetToken().Position.Line
	noteBelow(lines, at, pair.Value)
}

func noteBelow(lines map[string]int, at string, n ast.Node) {
	pairs, _ := mapping(n)
	for _, pair := range pairs {
		noteLines(lines, at, pair)
	}
	if list, ok := n.(*ast.SequenceNode); ok {
		for i, v := range list.Values {
			lines[fmt.Sprintf("%s/%d", at, i)] = v.GetToken().Position.Line
			noteBelow(lines, fmt.Sprintf("%s/%d", at, i), v)
		}
	}
}

// member finds the JSON pointer in the gateway's words about a member.
var member = regexp.MustCompile(` at (/[^\s,;:]+)`)

// located puts the line of the member that an error of the gateway is about in
// the place of the line on which its object begins.
func located(err error, list []declaration) error {
	var e *core.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, d := range list {
		_, about, ok := strings.Cut(e.Message, d.At+": "+d.Kind+": ")
		found := member.FindStringSubmatch(about)
		if !ok || found == nil || d.lines[found[1]] == 0 {
			continue
		}
		file := d.At[:strings.LastIndexByte(d.At, ':')]
		exact := fmt.Sprintf("%s:%d: ", file, d.lines[found[1]])
		return core.Errorf(e.Code, "%s", strings.Replace(e.Message, d.At+": ", exact, 1))
	}
	return err
}

// mapping gives the pairs of a mapping, whatever its form.
func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// pathOf is the name by which nested objects refer to what they belong to.
func pathOf(kind string, object map[string]any, parent *parentRef) string {
	if nounOf(kind).naming.triplet {
		return fmt.Sprintf("%v/%v/%v", object["vendor"], object["name"], object["version"])
	}
	if parent == nil {
		return fmt.Sprint(object["name"])
	}
	return fmt.Sprintf("%s/%v", parent.name, object["name"])
}

// child is a kind whose objects can be written inside another.
type child struct{ key, kind, member string }

func childOf(kind, key string) (child, bool) {
	children := map[string][]child{
		"ext": {
			{"filters", "filter", "externalSystem"},
			{"rights", "right", "service"},
			{"classes", "class", "service"},
			{"links", "link", "service"},
			{"definitions", "definition", "service"},
		},
		"endpoint":   {{"filters", "filter", "externalSystem"}},
		"class":      {{"actions", "action", "resourceClass"}, {"resources", "resource", "resourceClass"}},
		"action":     {{"rules", "acl", "resourceClassAction"}},
		"definition": {{"files", "file", "apiDefinition"}},
	}[kind]
	i := slices.IndexFunc(children, func(c child) bool { return c.key == key })
	if i < 0 {
		return child{}, false
	}
	return children[i], true
}

// declarable gives a noun whose objects can be declared: what is shown once,
// or is content, cannot.
func declarable(word string) (noun, bool) {
	if !slices.Contains(declarableWords(), word) {
		return noun{}, false
	}
	return nounOf(word), true
}

func declarableWords() []string {
	var words []string
	for _, n := range nouns() {
		if n.word != "token" && n.word != "module" {
			words = append(words, n.word)
		}
	}
	return words
}

// encode writes the declarations for the gateway.
func encode(list []declaration, dryRun, prune bool) (json.RawMessage, error) {
	return json.Marshal(map[string]any{"objects": list, "dryRun": dryRun, "prune": prune})
}
