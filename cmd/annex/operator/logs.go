package operator

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
)

// maxLogLine bounds a line of an extension, which the gateway keeps shorter.
const maxLogLine = 1 << 20

// logs shows what an extension wrote.
func (v verbs) logs() *cobra.Command {
	var follow bool
	var form string
	c := &cobra.Command{
		Use: "logs NAME", Short: "Show what the module of an extension wrote", Args: cobra.ExactArgs(1),
		Long: "Show the last lines that the WASM module of an external service wrote, each with the id of the call that it was\n" +
			"about. NAME is " + v.help() + ".",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(form); err != nil {
				return err
			}
			s, path, err := v.below(c, args[0], "logs")
			if err != nil {
				return err
			}
			call := client.Call{Method: http.MethodGet, Path: path}
			if follow {
				call.Query = url.Values{"follow": {"true"}}
			}
			lines, err := s.Stream(c.Context(), call)
			if err != nil {
				return err
			}
			defer lines.Close()
			err = printLog(c.OutOrStdout(), lines, form == "json")
			if c.Context().Err() != nil {
				return nil // enough was seen
			}
			return err
		},
		ValidArgsFunction: v.suggest,
	}
	addOutput(c, &form)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what it writes from now on, until Ctrl-C")
	return c
}

// printLog writes lines that come as JSON, as they are or to be read.
func printLog(w io.Writer, from io.Reader, raw bool) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLogLine)
	for lines.Scan() {
		var l struct{ Time, Level, RequestID, Text string }
		text := lines.Text()
		if !raw {
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return fmt.Errorf("the gateway sent a line that is no JSON: %w", err)
			}
			text = printable(fmt.Sprintf("%s %-5s %s %s", l.Time, l.Level, cmp.Or(l.RequestID, "-"), l.Text))
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return lines.Err()
}
