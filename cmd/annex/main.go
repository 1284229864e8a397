// Command annex is the gateway and its operator's tool.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/core"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitUnreachable = 5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(root.ErrOrStderr(), "annex:", describe(err))
	return exitCode(err)
}

// describe gives an error's text and what caused it: here the person who
// reads it is the operator.
func describe(err error) string {
	var e *core.Error
	if errors.As(err, &e) && err.Error() == e.Error() {
		return e.Error()
	}
	return err.Error()
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "annex",
		Short: "A gateway that lets other programs become part of an API",
		Long: "Annex stands in front of an API. Others extend that API without touching it: as a service over MQTT,\n" +
			"as an HTTPS endpoint, or as a WASM module that runs inside the gateway.",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nrun 'annex %s --help' for the flags", err, c.Name())}
	})
	root.AddCommand(serveCommand(), demoCommand(), versionCommand())
	return root
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// Unwrap gives the cause.
func (u usageError) Unwrap() error { return u.error }

func exitCode(err error) int {
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	switch core.ErrorCode(err) {
	case core.NotFound:
		return exitNotFound
	case core.Unauthenticated, core.Forbidden:
		return exitDenied
	case core.BadUpstream:
		return exitUnreachable
	}
	return exitFailed
}

func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return usageError{err}
	}
	return nil
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "annex", version()) },
	}
}

// version is what the Go toolchain noted when it built this.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
