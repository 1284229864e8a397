package operator

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
)

// memberField is the flag that replaces what the entity holds.
func (n noun) memberField() (field, bool) {
	for _, x := range n.fields {
		if x.kind == members {
			return x, true
		}
	}
	return field{}, false
}

// named gives what the flag names, before anything is changed; nil without the
// flag.
func (v verbs) named(c *cobra.Command, s *session) ([]any, error) {
	x, ok := v.memberField()
	if !ok || !c.Flags().Changed(x.flag) {
		return nil, nil
	}
	names, err := c.Flags().GetStringArray(x.flag)
	if err != nil {
		return nil, err
	}
	return s.refs(c.Context(), x, names)
}

// setMembers puts others in the place of all that the entity held; nil leaves
// them.
func (v verbs) setMembers(c *cobra.Command, s *session, o object, values []any) error {
	if values == nil {
		return nil
	}
	_, err := s.Do(c.Context(), client.Call{
		Method: http.MethodPut, Path: v.path + "/" + url.PathEscape(o.text("id")) + "/" + v.sub, In: map[string]any{"values": values},
	})
	return err
}

// members lists what an entity holds.
func (v verbs) members() *cobra.Command {
	var form string
	x, _ := v.memberField()
	held := nounOf(x.nouns[0])
	c := &cobra.Command{
		Use: v.sub + " NAME", Short: "List the " + plural(held.what) + " of " + article(v.what), Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			s, path, err := v.below(c, args[0], v.sub)
			if err != nil {
				return err
			}
			list, err := s.all(c.Context(), path, "", "")
			if err != nil {
				return err
			}
			return printer{c.OutOrStdout(), form}.list(list, held.columns)
		},
		ValidArgsFunction: v.suggest,
	}
	addOutput(c, &form)
	return c
}
