package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

const declaredHelp = "The files are YAML. Each document maps kinds to an object, or to a list of objects, with the members that\n" +
	"'annex KIND get NAME -o yaml' shows. What an object refers to is named by id or by name, and may be in the same files.\n" +
	"What belongs to an object can be written inside it: filters, rights, classes, links and definitions in ext, filters in\n" +
	"endpoint, actions and resources in class, rules in action, files in definition. The module of a service can be a file:\n" +
	"'wasm: {file: hello.wasm}'."

// applying is what apply and diff are told.
type applying struct {
	at     *target
	path   string
	prune  bool
	form   string
	dryRun bool
}

func applyCommand() *cobra.Command {
	a := &applying{at: &target{}}
	c := &cobra.Command{
		Use: "apply -f FILE|DIR", Short: "Make what is registered as files say, all at once", Args: cobra.NoArgs,
		Long: "Make what is registered as files say, in one step that is taken as a whole or not at all. At most 1000 objects are\n" +
			"taken at once, and no more than the store can write in one commit: more are refused, and nothing is changed.\n" +
			"What is not in the files stays as it is; with --prune, what belongs to an object of the files and is not in them\n" +
			"is deleted.\n\n" + declaredHelp,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c) },
	}
	a.addFlags(c)
	return c
}

func diffCommand() *cobra.Command {
	a := &applying{at: &target{}, dryRun: true}
	c := &cobra.Command{
		Use: "diff -f FILE|DIR", Short: "Tell what 'annex apply' would change", Args: cobra.NoArgs,
		Long: fmt.Sprintf("Tell what 'annex apply' with the same files would change, and change nothing. The exit code is %d when nothing would\n"+
			"change, and %d when something would. Modules that are files are uploaded for the comparison and deleted after it.\n\n", exit.OK, exit.Different) + declaredHelp,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c) },
	}
	a.addFlags(c)
	return c
}

func (a *applying) addFlags(c *cobra.Command) {
	c.Flags().StringVarP(&a.path, "file", "f", "", "YAML file, directory with YAML files, or - for standard input")
	c.Flags().BoolVar(&a.prune, "prune", false, "delete what belongs to an object of the files and is not in them")
	addOutput(c, &a.form)
	a.at.addFlags(c)
}

// applied is the gateway's answer.
type applied struct {
	Applied bool     `json:"applied"`
	Changes []change `json:"changes"`
}

type change struct {
	Change, Kind, Name string
	Differences        []struct {
		Member   string
		From, To json.RawMessage
	}
}

func (a *applying) run(c *cobra.Command) error {
	if err := checkOutput(a.form); err != nil {
		return err
	}
	if a.path == "" {
		return exit.Usagef("-f is missing: name a YAML file, a directory with YAML files, or - for standard input")
	}
	list, err := readDeclarations(a.path, c.InOrStdin())
	if err != nil {
		return err
	}
	s, err := a.at.open(c)
	if err != nil {
		return err
	}
	modules, err := s.uploadDeclared(c, list)
	if err == nil {
		err = a.send(c, s, list)
	}
	if a.dryRun {
		s.forget(c.Context(), modules)
	}
	return err
}

func (a *applying) send(c *cobra.Command, s *session, list []declaration) error {
	body, err := encode(list, a.dryRun, a.prune)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	_, err = s.Do(c.Context(), client.Call{Method: http.MethodPost, Path: extensions + "apply", In: body, Out: &raw})
	if err != nil {
		return located(err, list)
	}
	var out applied
	if err := json.Unmarshal(raw, &out); err != nil {
		return core.WrapError(core.BadUpstream, err, "the gateway's answer cannot be read")
	}
	if a.form == asTable {
		err = out.print(c.OutOrStdout())
	} else {
		err = printer{c.OutOrStdout(), a.form}.structured(raw)
	}
	if err == nil && a.dryRun && out.count() > 0 {
		err = exit.ErrDifferent
	}
	return err
}

// count is how many objects change.
func (o applied) count() int {
	n := 0
	for _, c := range o.Changes {
		if c.Change != "none" {
			n++
		}
	}
	return n
}

func (o applied) print(w io.Writer) error {
	marks := map[string]string{"create": "+", "update": "~", "delete": "-"}
	for _, c := range o.Changes {
		mark, changes := marks[c.Change]
		if !changes {
			continue
		}
		fmt.Fprintf(w, "%s %s %s\n", mark, c.Kind, textOf(c.Name))
		for _, d := range c.Differences {
			if d.From == nil && d.To == nil {
				fmt.Fprintf(w, "    %s: another one, which is not shown\n", d.Member)
				continue
			}
			fmt.Fprintf(w, "    %s: %s -> %s\n", d.Member, plain(d.From), plain(d.To))
		}
	}
	verb := map[bool]string{true: "changed", false: "would change"}[o.Applied]
	_, err := fmt.Fprintf(w, "%d of %d objects %s\n", o.count(), len(o.Changes), verb)
	return err
}

// plain is a JSON value in one line.
func plain(raw json.RawMessage) string {
	if raw == nil {
		return "none"
	}
	return textOf(string(raw))
}

// uploadDeclared uploads the modules that declarations name by file, and puts
// their ids in the place. It gives those that were not there before.
func (s *session) uploadDeclared(c *cobra.Command, list []declaration) (fresh []string, err error) {
	for _, d := range list {
		w, ok := d.Object["wasm"].(map[string]any)
		if !ok || d.Kind != "ext" {
			continue
		}
		if d.Object["kind"] == nil {
			d.Object["kind"] = core.KindWASM
		}
		file, ok := w["file"].(string)
		if !ok {
			continue
		}
		if w["module"] != nil {
			return fresh, exit.Usagef("%s: wasm has both file and module; give one of them", d.At)
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(d.dir, file)
		}
		id, known, err := s.uploadOnce(c, file)
		if err != nil {
			return fresh, fmt.Errorf("%s: wasm.file: %w", d.At, err)
		}
		if !known {
			fresh = append(fresh, id)
		}
		delete(w, "file")
		w["module"] = id
	}
	return fresh, nil
}

// uploadOnce uploads a module unless the gateway has it, and tells which.
func (s *session) uploadOnce(c *cobra.Command, file string) (id string, known bool, err error) {
	if id, err = digestOf(file); err != nil {
		return "", false, err
	}
	have, err := s.all(c.Context(), modulesPath, equals("id", id), "")
	if err != nil || len(have) > 0 {
		return id, true, err
	}
	id, err = s.uploadFile(c.Context(), file, c.ErrOrStderr())
	return id, false, err
}

// forget deletes modules again. One that somebody registered meanwhile stays:
// the gateway refuses.
func (s *session) forget(ctx context.Context, modules []string) {
	for _, id := range modules {
		_, _ = s.Do(ctx, client.Call{Method: http.MethodDelete, Path: modulesPath + "/" + url.PathEscape(id)})
	}
}
