package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/internal/config"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// noVersion is what the migration library calls a database without a schema.
const noVersion = -1

func migrateCommand() *cobra.Command {
	var url, urlFile string
	var force int
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Bring the database's schema up to date. It needs a login that may act as the
owners of the schemas; see deploy/postgres/roles.sql, which is run once before.
Replicas may go on running: schema changes keep the previous version working.

A migration that fails leaves the schema marked dirty, and the error says what
to look at. Once that is put right, --force records the version that the schema
really has, and changes nothing else; then migrate again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if urlFile != "" {
				var err error
				if url, err = config.ReadSecret(urlFile); err != nil {
					return fmt.Errorf("--database-url-file: %w", err)
				}
			}
			if url == "" {
				return usageError{fmt.Errorf("name the database with --database-url-file FILE, or RAMPKEEPER_MIGRATE_URL in the environment")}
			}
			if cmd.Flags().Changed("force") {
				if force < 0 || force > int(store.Newest()) {
					return usageError{fmt.Errorf("--force: this program knows the versions 0 (nothing is there) to %d", store.Newest())}
				}
				version := force
				if version == 0 {
					version = noVersion
				}
				if err := store.ForceVersion(cmd.Context(), url, version); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "the schema is recorded as version %d; now migrate\n", force)
				return nil
			}
			before, after, err := store.Migrate(cmd.Context(), url)
			if err != nil {
				return err
			}
			if before == after {
				fmt.Fprintf(cmd.OutOrStdout(), "the schema is up to date (version %d)\n", after)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the schema went from version %d to %d\n", before, after)
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "database-url", os.Getenv("RAMPKEEPER_MIGRATE_URL"), "connection string of the migrating login")
	cmd.Flags().StringVar(&urlFile, "database-url-file", "", "file that holds it")
	cmd.Flags().IntVar(&force, "force", 0, "record this version after a failed migration was put right by hand")
	cmd.Flags().Lookup("database-url").DefValue = ""
	return cmd
}
