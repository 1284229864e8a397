package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/cmd/annex/operator"
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/storage/badger"
)

func adminCommand() *cobra.Command {
	return operator.Group("admin", "Repair a data directory while the gateway does not run", resetPasswordCommand())
}

func resetPasswordCommand() *cobra.Command {
	var data, user string
	c := &cobra.Command{
		Use:   "reset-password",
		Short: "Give a user a new password",
		Long: "Give a user of a data directory a new password, and end all sessions of that user. The gateway must not be running:\n" +
			"the directory belongs to one process at a time. The password is that of ANNEX_PASSWORD, or a generated one that is\n" +
			"shown once.",
		Example: "  annex admin reset-password --data /var/lib/annex\n  annex admin reset-password --data /var/lib/annex --user ada@acme",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return resetPassword(c.Context(), data, user, os.Getenv("ANNEX_PASSWORD"), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&data, "data", config.Default().Data, "data directory of the gateway")
	c.Flags().StringVar(&user, "user", "administrator@"+core.SystemOrg, "who gets the password, as USER@ORGANISATION")
	return c
}

func resetPassword(ctx context.Context, data, user, password string, out, logs io.Writer) (err error) {
	at := strings.LastIndexByte(user, '@')
	if at < 1 || at == len(user)-1 {
		return exit.Usagef("--user %q: USER@ORGANISATION is needed, such as administrator@%s", user, core.SystemOrg)
	}
	dir := filepath.Join(data, "store")
	if _, err := os.Stat(dir); err != nil {
		return core.WrapError(core.NotFound, err, "%s is no data directory of a gateway (--data names it)", data)
	}
	store, err := badger.Open(dir, badger.Options{Log: newLog(logs, config.FormatText, config.Default().Log.Level)})
	if err != nil {
		return fmt.Errorf("%w (stop the gateway first, if it runs)", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	done, err := gateway.ResetPassword(ctx, store, user[:at], user[at+1:], password)
	if err != nil {
		return err
	}
	if password == "" {
		fmt.Fprintf(out, "%s has the password %s (shown only now)\n", user, done.Password)
	} else {
		fmt.Fprintf(out, "%s has the new password\n", user)
	}
	if !done.Enabled {
		fmt.Fprintf(out, "the user, or the organisation, is disabled and cannot log in before it is enabled\n")
	}
	return nil
}
