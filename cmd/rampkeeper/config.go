package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/internal/config"
)

// configFlags are the flags that every command which reads configuration has.
type configFlags struct {
	file string
	set  map[string]*string
}

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "config", "c", os.Getenv("RAMPKEEPER_CONFIG"), "YAML file with the configuration")
	f.set = map[string]*string{
		"http.listen":    cmd.Flags().String("listen", "", "address of the API (http.listen)"),
		"metrics.listen": cmd.Flags().String("metrics-listen", "", "address of /metrics (metrics.listen)"),
		"log.level":      cmd.Flags().String("log-level", "", "debug, info, warn or error (log.level)"),
	}
}

func (f *configFlags) load() (*config.Loaded, error) {
	given := map[string]string{}
	for key, value := range f.set {
		if *value != "" {
			given[key] = *value
		}
	}
	return config.Load(config.Input{File: f.file, Environ: os.Environ(), Flags: given})
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check and show the configuration", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var flags configFlags
	validate := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration; exit 0 if the server would take it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := flags.load(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
			return nil
		},
	}
	var printFlags configFlags
	show := &cobra.Command{
		Use:   "print",
		Short: "Show every setting with its source, secrets redacted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := printFlags.load()
			if err != nil {
				return err
			}
			return loaded.Print(cmd.OutOrStdout())
		},
	}
	flags.add(validate)
	printFlags.add(show)
	cmd.AddCommand(validate, show)
	return cmd
}
