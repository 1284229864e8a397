// Package operator is the command line of who runs a gateway: logging in,
// looking at what is registered, changing it. It speaks the JSON API and
// nothing else.
package operator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/core"
)

// Commands are the operator's commands.
func Commands() []*cobra.Command {
	list := []*cobra.Command{loginCommand(), logoutCommand(), contextCommand(), applyCommand(), diffCommand(), explainCommand()}
	for _, n := range nouns() {
		list = append(list, nounCommand(n))
	}
	return list
}

// Group is a command that only holds others.
func Group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("%q is not a command of %s", args[0], c.CommandPath())
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}

// session is a gateway that somebody is logged in to.
type session struct {
	*client.Client
	context *loginContext
}

// target is which gateway a command talks to, and in whose name.
type target struct {
	context string // empty: of the environment, or the current one
	tenant  string // name or id of an organisation; empty: the caller's own
}

func (r *target) addFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&r.context, "context", "", "login to use (environment: "+contextVariable+"; default: the current one)")
	f.StringVar(&r.tenant, "tenant", "", "organisation that the command is about, where that is not your own")
}

// open gives the session of the chosen context.
func (r *target) open(c *cobra.Command) (*session, error) {
	file, err := loadContexts()
	if err != nil {
		return nil, err
	}
	chosen, err := file.choose(r.context)
	if err != nil {
		return nil, err
	}
	if chosen.Token == "" {
		return nil, core.Errorf(core.Unauthenticated, "nobody is logged in at %s: run 'annex login %s --context %s'", chosen.URL, chosen.URL, chosen.Name)
	}
	cl, err := chosen.client()
	if err != nil {
		return nil, err
	}
	s := &session{cl, chosen}
	if r.tenant == "" {
		return s, nil
	}
	org, err := s.resolve(c.Context(), "org", r.tenant)
	s.Tenant = org.ID
	return s, err
}

// nounOf gives a noun that the program itself names.
func nounOf(word string) noun {
	all := nouns()
	i := slices.IndexFunc(all, func(n noun) bool { return n.word == word })
	if i < 0 {
		panic("operator: there is no noun " + word)
	}
	return all[i]
}

// article puts "a" or "an" in front of a noun.
func article(s string) string {
	if strings.ContainsRune("aeiouAEIO", rune(s[0])) {
		return "an " + s
	}
	return "a " + s
}
