package operator

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/annex-gateway/annex/core"
)

// passwordVariable is the environment variable that holds a password.
const passwordVariable = "ANNEX_PASSWORD"

// askPassword gives the password of the environment, or asks for it without
// echo, or, where there is no terminal, reads the first line of the input.
func askPassword(c *cobra.Command, prompt string) (string, error) {
	if p := os.Getenv(passwordVariable); p != "" {
		return p, nil
	}
	in := c.InOrStdin()
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.ErrOrStderr(), prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		return string(b), err
	}
	line, err := bufio.NewReader(io.LimitReader(in, 1<<16)).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		if err == nil || errors.Is(err, io.EOF) {
			err = core.Errorf(core.Invalid, "a password is needed: set %s, or write it to the standard input", passwordVariable)
		}
		return "", err
	}
	return line, nil
}
