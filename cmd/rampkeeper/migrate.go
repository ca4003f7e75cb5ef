package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

func migrateCommand() *cobra.Command {
	var url, urlFile string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Bring the database's schema up to date. It needs a login that may act as the
owners of the schemas; see deploy/postgres/roles.sql, which is run once before.
Replicas may go on running: schema changes keep the previous version working.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if urlFile != "" {
				raw, err := os.ReadFile(urlFile)
				if err != nil {
					return fmt.Errorf("--database-url-file: %w", err)
				}
				url = string(raw)
			}
			if url == "" {
				return usageError{fmt.Errorf("name the database with --database-url-file FILE, or RAMPKEEPER_MIGRATE_URL in the environment")}
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
	cmd.Flags().Lookup("database-url").DefValue = ""
	return cmd
}
