package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/cmd/annex/operator"
)

func configCommand() *cobra.Command {
	return operator.Group("config", "Look at the configuration", configPrintCommand(), configCheckCommand(), configSchemaCommand())
}

func configPrintCommand() *cobra.Command {
	var conf *configured
	var output string
	c := &cobra.Command{
		Use:   "print",
		Short: "Print the effective settings and where each comes from",
		Long: "Print the settings that 'annex serve' with the same file, environment and flags would have, with their origin.\n" +
			"Secrets are masked. A flag wins over the environment, the environment over the file.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := conf.load()
			if err != nil {
				return err
			}
			switch output {
			case "yaml":
				return loaded.PrintYAML(c.OutOrStdout())
			case "json":
				return loaded.PrintJSON(c.OutOrStdout())
			}
			return exit.Usagef("--output %q: yaml or json is needed", output)
		},
	}
	conf = addConfigFlags(c)
	c.Flags().StringVarP(&output, "output", "o", "yaml", "yaml or json")
	return c
}

func configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Tell whether a configuration file can be used",
		Long:  "Read a configuration file and the certificates and authorities that it names, and tell every mistake.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			loaded, err := config.Load(config.Source{File: args[0]})
			if err != nil {
				return exit.Usage{Err: err}
			}
			if err := checkFiles(loaded.Config); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s can be used\n", args[0])
			return err
		},
	}
}

func configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the configuration file", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return config.WriteSchema(c.OutOrStdout()) },
	}
}
