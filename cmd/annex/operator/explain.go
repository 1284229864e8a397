package operator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/core"
)

func explainCommand() *cobra.Command {
	at := &target{}
	var user, contentType, form string
	c := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Tell where a call would go, and why",
		Long: "Tell where a call would go: which filters match and why the others do not, what authorization says, and in which\n" +
			"order systems would be visited. It is worked out by what leads real calls, and no system is visited.",
		Example: "  annex explain GET /api/backup/b-1 --user ada@acme\n  annex explain GET /api/org --content-type 'application/*+xml'",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			s, err := at.open(c)
			if err != nil {
				return err
			}
			var raw json.RawMessage
			_, err = s.Do(c.Context(), client.Call{
				Method: http.MethodPost, Path: extensions + "explain", Out: &raw,
				In: map[string]string{"method": strings.ToUpper(args[0]), "url": args[1], "user": user, "contentType": contentType},
			})
			if err != nil {
				return err
			}
			if form != asTable {
				return printer{c.OutOrStdout(), form}.structured(raw)
			}
			var x explanation
			if err := json.Unmarshal(raw, &x); err != nil {
				return core.WrapError(core.BadUpstream, err, "the gateway's answer cannot be read")
			}
			return x.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&user, "user", "", "who calls, as USER@ORGANISATION; by default you")
	c.Flags().StringVar(&contentType, "content-type", "", "content type of a response, to see who would process it")
	addOutput(c, &form)
	at.addFlags(c)
	return c
}

// explanation is the gateway's answer.
type explanation struct {
	Method, Path, Scope, Tenant, Refusal string
	User                                 struct{ Name string }
	Allowed, Native                      bool
	Before, Dispatch, Response           []visit
	Checks                               []struct {
		System, Reason string
		Allowed        bool
		Actions        []struct{ Action, Resource, Owner, Rule, Reason string }
	}
	Filters []struct {
		Filter, System, Stage, URLPattern, ResponseContentType, Reason string
		Matched                                                        bool
	}
}

type visit struct {
	System, Filter, Stage string
	Priority              int
}

func (x explanation) print(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %s, called by %s\n", x.Method, x.Path, x.User.Name)
	if x.Scope != "" {
		fmt.Fprintf(b, "scope: %s%s\n", x.Scope, of(x.Tenant))
	}
	if x.Allowed {
		fmt.Fprintln(b, "outcome: the call goes ahead")
	} else {
		fmt.Fprintf(b, "outcome: refused: %s\n", x.Refusal)
	}
	visits(b, "before authorization", x.Before)
	visits(b, "shown the request, in this order", x.Dispatch)
	if x.Native {
		fmt.Fprintln(b, "  at last the native API, if nobody answered")
	}
	visits(b, "shown the response, in this order", x.Response)
	x.printChecks(b)
	fmt.Fprintf(b, "\nfilters considered: %d\n", len(x.Filters))
	for _, f := range x.Filters {
		what := map[bool]string{true: "matches", false: "does not match"}[f.Matched]
		fmt.Fprintf(b, "  %s of %s %s%s\n", cmp.Or(f.URLPattern, f.ResponseContentType), f.System, what, because(f.Reason))
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

func (x explanation) printChecks(b *strings.Builder) {
	if len(x.Checks) == 0 {
		return
	}
	fmt.Fprintln(b, "\nauthorization:")
	for _, k := range x.Checks {
		fmt.Fprintf(b, "  %s: %s%s\n", k.System, map[bool]string{true: "allowed", false: "refused"}[k.Allowed], because(k.Reason))
		for _, a := range k.Actions {
			fmt.Fprintf(b, "    action %s", a.Action)
			if a.Resource != "" {
				fmt.Fprintf(b, " on resource %s%s", a.Resource, of(a.Owner))
			}
			if a.Rule != "" {
				fmt.Fprintf(b, ", by rule %s", a.Rule)
			}
			fmt.Fprintf(b, "%s\n", because(a.Reason))
		}
	}
}

func visits(b *strings.Builder, title string, list []visit) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for i, v := range list {
		fmt.Fprintf(b, "  %d. %s (priority %d, stage %s, filter %s)\n", i+1, v.System, v.Priority, v.Stage, v.Filter)
	}
}

func of(owner string) string {
	if owner == "" {
		return ""
	}
	return " of " + owner
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
