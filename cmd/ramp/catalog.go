package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) catalogCommand() *cobra.Command {
	var all bool
	var typ string
	cmd := &cobra.Command{
		Use:     "catalog [TEXT]",
		Aliases: []string{"catalogue"},
		Short:   "Show what you may ask for",
		Example: "  ramp catalog orders",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			params := &client.ListCatalogParams{Limit: new(200)}
			if len(args) == 1 {
				params.Q = &args[0]
			}
			if typ != "" {
				params.Type = &typ
			}
			if !all {
				params.Requestable = new(true)
			}
			page, err := every(func(cursor *string) (client.CatalogPage, error) {
				params.Cursor = cursor
				return decode[client.CatalogPage](c.ListCatalog(cmd.Context(), params))
			}, func(p client.CatalogPage) ([]client.CatalogEntry, string) { return p.Items, p.NextCursor })
			if err != nil {
				return err
			}
			t := table{
				head: []string{"resource", "role", "at most", "decided by", "contract", "title"}, wide: []string{"contract", "title"},
				empty: "There is nothing that you may ask for. A contract admin can tell why: ramp explain ROLE on RESOURCE.",
			}
			var names []string
			for _, e := range page {
				names = append(names, e.Resource)
				for _, o := range e.Offers {
					by := stagesText(o.Stages)
					if o.Auto {
						by = "itself, within limits; else " + by
					}
					if len(o.Stages) == 0 {
						by = "itself"
					}
					t.rows = append(t.rows, []string{e.Resource, o.Role, access.Seconds(o.MaxDurationSeconds).String(), by, o.Contract, e.Title})
				}
			}
			return a.print(page, strings.Join(names, "\n"), t)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also show what you may know of but not ask for")
	cmd.Flags().StringVar(&typ, "type", "", "only resources of this type")
	return cmd
}

// stagesText says who decides, in the order of the stages.
func stagesText(stages []client.ContractStage) string {
	var steps []string
	for _, s := range stages {
		var seats []string
		for _, seat := range s.Seats {
			seats = append(seats, fmt.Sprintf("%d of %s", seat.Count, seat.From))
		}
		steps = append(steps, strings.Join(seats, " and "))
	}
	return strings.Join(steps, ", then ")
}

// every follows the cursors of a list to its end.
func every[P, T any](get func(cursor *string) (P, error), split func(P) ([]T, string)) ([]T, error) {
	all := []T{}
	var cursor *string
	for {
		page, err := get(cursor)
		if err != nil {
			return nil, err
		}
		items, next := split(page)
		all = append(all, items...)
		if next == "" {
			return all, nil
		}
		cursor = &next
	}
}
