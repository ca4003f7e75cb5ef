package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) contractsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "contracts", Short: "Check, compare and apply policy documents"}
	cmd.AddCommand(a.contractsListCommand(), a.contractsShowCommand(), a.contractsLintCommand(), a.contractsDiffCommand(), a.contractsApplyCommand())
	return cmd
}

func (a *app) contractsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the contracts that you may see",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			params := client.ListContractsParams{}
			all, _, err := collect(0, func(cursor *string, limit int) (client.ContractList, error) {
				params.Cursor, params.Limit = cursor, &limit
				return decode[client.ContractList](c.ListContracts(cmd.Context(), &params))
			}, func(p client.ContractList) ([]client.Contract, string) { return p.Items, p.NextCursor })
			if err != nil {
				return err
			}
			t := table{head: []string{"contract", "state", "roles", "at most", "description"}, cut: []string{"roles", "description"}, empty: "No contracts that you may see."}
			var names []string
			for _, k := range all {
				names = append(names, k.Name)
				t.rows = append(t.rows, []string{k.Name, string(k.State), rolesText(k), access.Seconds(k.MaxDurationSeconds).String(), k.Description})
			}
			return a.print(all, strings.Join(names, "\n"), t)
		},
	}
}

func (a *app) contractsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a contract as it was written",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeContracts,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			k, err := decode[client.Contract](c.GetContract(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if a.format == "table" && k.Source != "" {
				fmt.Fprintln(a.out, plain(strings.TrimSpace(k.Source)))
				return nil
			}
			return a.print(k, k.Name, table{rows: [][]string{
				{"contract", k.Name},
				{"description", k.Description},
				{"state", string(k.State)},
				{"roles", rolesText(k)},
				{"at most", access.Seconds(k.MaxDurationSeconds).String()},
			}})
		},
	}
}

func rolesText(k client.Contract) string {
	var roles []string
	for _, p := range k.Permits {
		for _, r := range p.Roles {
			if !slices.Contains(roles, r) {
				roles = append(roles, r)
			}
		}
	}
	return strings.Join(roles, ", ")
}
