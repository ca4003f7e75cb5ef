package main

import (
	"context"
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
			c, err := a.connect()
			if err != nil {
				return err
			}
			params := client.ListCatalogParams{}
			if len(args) == 1 {
				params.Q = &args[0]
			}
			setIf(&params.Type, typ)
			if !all {
				params.Requestable = new(true)
			}
			entries, err := catalog(cmd.Context(), c, params)
			if err != nil {
				return err
			}
			return a.printCatalog(entries)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also show what you may know of but not ask for")
	cmd.Flags().StringVar(&typ, "type", "", "only resources of this type")
	return cmd
}

func catalog(ctx context.Context, c *client.Client, params client.ListCatalogParams) ([]client.CatalogEntry, error) {
	entries, _, err := collect(0, func(cursor *string, limit int) (client.CatalogPage, error) {
		params.Cursor, params.Limit = cursor, &limit
		return decode[client.CatalogPage](c.ListCatalog(ctx, &params))
	}, func(p client.CatalogPage) ([]client.CatalogEntry, string) { return p.Items, p.NextCursor })
	return entries, err
}

func (a *app) printCatalog(entries []client.CatalogEntry) error {
	t := table{
		head: []string{"resource", "role", "at most", "decided by", "contract", "title"},
		wide: []string{"contract", "title"}, cut: []string{"decided by"},
		empty: "There is nothing here that you may ask for. Why not: ramp explain ROLE on RESOURCE.",
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Resource)
		for _, o := range e.Offers {
			t.rows = append(t.rows, []string{e.Resource, o.Role, access.Seconds(o.MaxDurationSeconds).String(), decidedBy(o), o.Contract, e.Title})
		}
		if len(e.Offers) == 0 {
			t.rows = append(t.rows, []string{e.Resource, "–", "–", "not for you to ask for", "", e.Title})
		}
	}
	return a.print(entries, strings.Join(names, "\n"), t)
}

// decidedBy says who decides, in the order of the stages.
func decidedBy(o client.CatalogOffer) string {
	var steps []string
	for _, s := range o.Stages {
		var seats []string
		for _, seat := range s.Seats {
			seats = append(seats, seatText(seat.Count, seat.From))
		}
		steps = append(steps, strings.Join(seats, " and "))
	}
	people := strings.Join(steps, ", then ")
	switch {
	case people == "":
		return "itself"
	case o.Auto && o.AutoMaxDurationSeconds > 0:
		return "itself up to " + access.Seconds(o.AutoMaxDurationSeconds).String() + ", else " + people
	case o.Auto:
		return "itself within limits, else " + people
	}
	return people
}
