package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/plugins/wasm"
)

const compileName = "compile-wasm"

// compileCommand is the process that a gateway starts for each WASM module
// that it compiles. It is not for people.
func compileCommand() *cobra.Command {
	return &cobra.Command{
		Use: compileName, Hidden: true, Args: cobra.NoArgs,
		Short: "Compile one WASM module into a gateway's cache (started by the gateway itself)",
		RunE: func(c *cobra.Command, _ []string) error {
			return wasm.RunCompiler(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}
}

// compilerProgram is how this program starts itself for that. It is nil where
// the house stands in another program, as it does in tests.
func compilerProgram() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok || !strings.HasSuffix(info.Path, "/cmd/annex") {
		return nil
	}
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe", compileName} // also when the file was replaced by an update
	}
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{self, compileName}
}
