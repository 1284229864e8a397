// Command annex is the gateway and its operator's tool.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/cmd/annex/operator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	begun := false
	root := newRoot(&begun)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exit.OK
	}
	if errors.Is(err, exit.ErrDifferent) {
		return exit.Different
	}
	fmt.Fprintln(stderr, "annex:", err)
	if !begun { // cobra itself refused the command line
		fmt.Fprintf(stderr, "run '%s --help' to see how it is used\n", c.CommandPath())
		return exit.UsageError
	}
	return exit.Code(err)
}

func newRoot(begun *bool) *cobra.Command {
	root := operator.Group("annex", "A gateway that lets other programs become part of an API")
	root.Long = "Annex stands in front of an API. Others extend that API without touching it: as a service over MQTT,\n" +
		"as an HTTPS endpoint, or as a WASM module that runs inside the gateway."
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRun = func(*cobra.Command, []string) { *begun = true }
	root.AddCommand(serveCommand(), demoCommand(), configCommand(), adminCommand(), versionCommand(), compileCommand())
	root.AddCommand(operator.Commands()...)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "annex %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is what the Go toolchain noted when it built this.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v += " " + s.Value
		}
	}
	return cmp.Or(v, "(devel)")
}
