package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) connectorsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "connectors", Short: "List and test the connections to targets"}
	list := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the connectors",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := decode[client.ConnectorList](c.ListConnectors(cmd.Context()))
			if err != nil {
				return err
			}
			t := table{head: []string{"connector", "type", "expiry", "at worst"}, empty: "No connectors are configured."}
			var names []string
			for _, k := range page.Items {
				names = append(names, k.Name)
				t.rows = append(t.rows, []string{k.Name, k.Type, string(k.ExpiryClass), overstay(k.ResidualSeconds)})
			}
			return a.print(page.Items, strings.Join(names, "\n"), t)
		},
	}
	test := &cobra.Command{
		Use:   "test NAME",
		Short: "Prove that a connector can do its work, and no more than that",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			result, err := decode[client.ConnectorTest](c.TestConnector(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			t := table{head: []string{"", "check", "seen"}, cut: []string{"seen"}, empty: "This connector has nothing to check."}
			for _, k := range result.Checks {
				mark := "✓"
				if !k.OK {
					mark = "✗"
				}
				t.rows = append(t.rows, []string{mark, k.Name, k.Detail})
			}
			if err := a.print(result, args[0], t); err != nil {
				return err
			}
			if !result.OK {
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	cmd.AddCommand(list, test)
	return cmd
}

// overstay says how late access may end at worst.
func overstay(residual *int64) string {
	if residual == nil {
		return "until the broker ends it"
	}
	return access.Seconds(*residual).String() + " late"
}
