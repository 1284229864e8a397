package operator

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/exit"
)

// nounCommand has the verbs of one noun.
func nounCommand(n noun) *cobra.Command {
	r := &target{}
	v := verbs{n, r}
	g := Group(n.word, "Look at and change "+plural(n.what), v.list(), v.get(), v.delete())
	if !n.fixed {
		g.AddCommand(v.create())
	}
	if !n.fixed && !n.constant {
		g.AddCommand(v.update())
	}
	if n.enabled != "" {
		g.AddCommand(v.switching("enable", true), v.switching("disable", false))
	}
	if n.sub != "" {
		g.AddCommand(v.members())
	}
	if n.word == "ext" {
		g.AddCommand(v.logs())
	}
	r.addFlags(g)
	return g
}

func plural(s string) string {
	if s[len(s)-1] == 's' {
		return s + "es"
	}
	return s + "s"
}

// verbs makes the commands of a noun.
type verbs struct {
	noun
	at *target
}

func (v verbs) list() *cobra.Command {
	var form, filter, sort string
	c := &cobra.Command{
		Use: "list", Short: "List " + plural(v.what), Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			s, err := v.at.open(c)
			if err != nil {
				return err
			}
			list, err := s.all(c.Context(), v.path, filter, sort)
			if err != nil {
				return err
			}
			return printer{c.OutOrStdout(), form}.list(list, v.columns)
		},
	}
	addOutput(c, &form)
	c.Flags().StringVar(&filter, "filter", "", "only those that it keeps, such as 'name==a*;enabled==true'")
	c.Flags().StringVar(&sort, "sort", "", "attribute to sort by; with a '-' in front the other way round")
	return c
}

func (v verbs) get() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: "get NAME ...", Short: "Show " + article(v.what), Args: cobra.MinimumNArgs(1),
		Long: fmt.Sprintf("Show %s. NAME is %s.", article(v.what), v.help()),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			s, err := v.at.open(c)
			if err != nil {
				return err
			}
			var list []object
			for _, name := range args {
				o, _, err := v.fetch(c, s, name)
				if err != nil {
					return err
				}
				list = append(list, o)
			}
			p := printer{c.OutOrStdout(), form}
			if len(list) == 1 {
				return p.one(list[0], v.columns)
			}
			return p.list(list, v.columns)
		},
		ValidArgsFunction: v.suggest,
	}
	addOutput(c, &form)
	return c
}

// below opens a session, and gives the path of what lies below an entity.
func (v verbs) below(c *cobra.Command, name, part string) (*session, string, error) {
	s, err := v.at.open(c)
	if err != nil {
		return nil, "", err
	}
	f, err := s.resolve(c.Context(), v.word, name)
	return s, v.path + "/" + url.PathEscape(f.ID) + "/" + part, err
}

// fetch gives an entity by its name, and its tag.
func (v verbs) fetch(c *cobra.Command, s *session, name string) (object, string, error) {
	f, err := s.resolve(c.Context(), v.word, name)
	if err != nil {
		return object{}, "", err
	}
	var out rawObject
	h, err := s.Do(c.Context(), client.Call{Method: http.MethodGet, Path: v.path + "/" + url.PathEscape(f.ID), Out: &out})
	return out.object, h.Get("ETag"), err
}

func (v verbs) create() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: "create", Short: "Register " + article(v.what), Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			s, err := v.at.open(c)
			if err != nil {
				return err
			}
			o, err := v.register(c, s)
			if err != nil {
				return err
			}
			return printer{c.OutOrStdout(), form}.one(o, append(v.columns, v.once...))
		},
	}
	addOutput(c, &form)
	addFields(c, v.noun, true)
	return c
}

// register makes a new entity of the flags. What they name is looked up before
// anything is changed.
func (v verbs) register(c *cobra.Command, s *session) (object, error) {
	body := map[string]any{}
	up := uploading{c, s, v.noun, body, &[]string{}}
	held, err := v.named(c, s)
	if err == nil && v.upload != nil {
		err = v.upload(c.Context(), up)
	}
	if err == nil {
		err = missingFields(c, v.noun)
	}
	if err == nil {
		err = filled(c, v.noun, s, true, body)
	}
	if err != nil {
		return object{}, up.undo(c.Context(), err)
	}
	var out rawObject
	if _, err := s.Do(c.Context(), client.Call{Method: http.MethodPost, Path: v.path, In: body, Out: &out}); err != nil {
		return object{}, up.undo(c.Context(), err)
	}
	return out.object, v.setMembers(c, s, out.object, held)
}

func (v verbs) update() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: "update NAME", Short: "Change what the flags say, and leave the rest", Args: cobra.ExactArgs(1),
		Long: fmt.Sprintf("Change what the flags say of %s, and leave the rest. NAME is %s.", article(v.what), v.help()),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			if !v.anyField(c) {
				return exit.Usagef("say with a flag what shall change; '%s --help' lists them", c.CommandPath())
			}
			s, err := v.at.open(c)
			if err != nil {
				return err
			}
			o, err := v.edit(c, s, args[0])
			if err != nil {
				return err
			}
			return printer{c.OutOrStdout(), form}.one(o, v.columns)
		},
		ValidArgsFunction: v.suggest,
	}
	addOutput(c, &form)
	addFields(c, v.noun, false)
	return c
}

// edit changes what the flags say.
func (v verbs) edit(c *cobra.Command, s *session, name string) (object, error) {
	held, err := v.named(c, s)
	if err != nil {
		return object{}, err
	}
	up := uploading{c, s, v.noun, nil, &[]string{}}
	now, err := v.change(c, s, name, func(body map[string]any) error {
		if up.body = body; v.upload != nil {
			if err := v.upload(c.Context(), up); err != nil {
				return err
			}
		}
		return filled(c, v.noun, s, false, body)
	})
	if err != nil {
		return object{}, up.undo(c.Context(), err)
	}
	return now, v.setMembers(c, s, now, held)
}

func (v verbs) anyField(c *cobra.Command) bool {
	for _, x := range v.fields {
		if c.Flags().Changed(x.flag) {
			return true
		}
	}
	return false
}

// change reads an entity, changes its members, and puts it back unless others
// have changed it since.
func (v verbs) change(c *cobra.Command, s *session, name string, edit func(map[string]any) error) (object, error) {
	o, tag, err := v.fetch(c, s, name)
	if err != nil {
		return o, err
	}
	if err := edit(o.fields); err != nil {
		return o, err
	}
	id, _ := o.get("id").(string)
	var out rawObject
	_, err = s.Do(c.Context(), client.Call{Method: http.MethodPut, Path: v.path + "/" + url.PathEscape(id), IfMatch: tag, In: o.fields, Out: &out})
	return out.object, err
}

func (v verbs) switching(word string, on bool) *cobra.Command {
	return &cobra.Command{
		Use: word + " NAME ...", Short: map[bool]string{true: "Let it take part", false: "Make it as if it were not there"}[on],
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := v.at.open(c)
			if err != nil {
				return err
			}
			for _, name := range args {
				if _, err := v.turn(c, s, name, on); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%sd %s %s\n", word, v.what, name)
			}
			return nil
		},
		ValidArgsFunction: v.suggest,
	}
}

func (v verbs) turn(c *cobra.Command, s *session, name string, on bool) (object, error) {
	return v.change(c, s, name, func(body map[string]any) error {
		body[v.enabled] = on
		return nil
	})
}

func (v verbs) delete() *cobra.Command {
	var force, recursive bool
	c := &cobra.Command{
		Use: "delete NAME ...", Short: "Delete " + article(v.what), Args: cobra.MinimumNArgs(1),
		Long: fmt.Sprintf("Delete %s, with all that belongs to it. NAME is %s.", article(v.what), v.help()),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := v.at.open(c)
			if err != nil {
				return err
			}
			for _, name := range args {
				if force {
					if _, err := v.turn(c, s, name, false); err != nil {
						return err
					}
				}
				if err := v.remove(c, s, name, recursive); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "deleted %s %s\n", v.what, name)
			}
			return nil
		},
		ValidArgsFunction: v.suggest,
	}
	if v.enabled != "" {
		c.Flags().BoolVar(&force, "force", false, "disable it first, if it is enabled")
	}
	if v.recursive {
		c.Flags().BoolVar(&recursive, "recursive", false, "delete it with its users")
	}
	return c
}

func (v verbs) remove(c *cobra.Command, s *session, name string, recursive bool) error {
	f, err := s.resolve(c.Context(), v.word, name)
	if err != nil {
		return err
	}
	call := client.Call{Method: http.MethodDelete, Path: v.path + "/" + url.PathEscape(f.ID)}
	if recursive {
		call.Query = url.Values{"force": {"true"}, "recursive": {"true"}}
	}
	_, err = s.Do(c.Context(), call)
	return err
}

// suggest gives the shell the names of what there is.
func (v verbs) suggest(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := v.at.open(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := s.all(c.Context(), v.path, "", "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, o := range list {
		names = append(names, v.nameOf(o))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// nameOf is what people call an entity.
func (n noun) nameOf(o object) string {
	switch {
	case n.naming.triplet:
		return o.text("vendor/name/version")
	case n.naming.member:
		return o.text(n.naming.attribute) + "@" + o.text("orgEntityRef")
	case n.naming.attribute == "":
		return o.text("id")
	}
	return o.text(n.naming.attribute)
}
