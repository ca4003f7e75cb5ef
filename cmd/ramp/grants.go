package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) grantsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "grants", Short: "List, show, extend, shorten and end grants"}
	cmd.AddCommand(
		a.grantsListCommand(), a.grantsShowCommand(), a.grantsActivateCommand(),
		a.grantsEndCommand("release"), a.grantsEndCommand("revoke"),
		a.grantsExtendCommand(), a.grantsShortenCommand(),
	)
	return cmd
}

func (a *app) grantsListCommand() *cobra.Command {
	var all, mine bool
	var contract, resource string
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List grants that you may see, newest first",
		Example: "  ramp grants ls --mine\n  ramp grants ls -a --resource postgres/database:prod/orders",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usage("--limit must be 1 or more")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			params := client.ListGrantsParams{}
			if !all {
				params.Live = new(true)
			}
			if mine {
				params.Holder = new("me")
			}
			setIf(&params.Contract, contract)
			setIf(&params.Resource, resource)
			grants, more, err := listGrants(cmd.Context(), c, params, limit)
			if err != nil {
				return err
			}
			if err := a.printGrants(grants, grants); err != nil {
				return err
			}
			a.sayMore(more)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also those that are over")
	cmd.Flags().BoolVar(&mine, "mine", false, "only your own")
	cmd.Flags().StringVar(&contract, "contract", "", "only those under this contract")
	cmd.Flags().StringVar(&resource, "resource", "", "only those on this resource")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many")
	return cmd
}

func listGrants(ctx context.Context, c *client.Client, params client.ListGrantsParams, most int) (grants []client.Grant, more bool, err error) {
	return collect(most, func(cursor *string, limit int) (client.GrantPage, error) {
		params.Cursor, params.Limit = cursor, &limit
		return decode[client.GrantPage](c.ListGrants(ctx, &params))
	}, func(p client.GrantPage) ([]client.Grant, string) { return p.Items, p.NextCursor })
}

// printGrants shows grants as a table, or v in another format.
func (a *app) printGrants(grants []client.Grant, v any) error {
	t := table{
		head: []string{"grant", "state", "holder", "role", "resource", "ends", "left", "ended by", "contract", "request"},
		wide: []string{"ended by", "contract", "request"}, cut: []string{"holder"}, empty: "No grants.",
	}
	var ids []string
	for _, g := range grants {
		ids = append(ids, g.ID.String())
		state, remaining := string(g.State), ""
		if g.Overdue {
			state += " (overdue)"
		}
		if g.State == access.Active {
			remaining = left(g.ExpiresAt)
		}
		t.rows = append(t.rows, []string{
			g.ID.String(), state, g.Holder.Name, g.Role, g.Resource, endOf(g), remaining, endedBy(g), g.Contract, g.RequestID.String(),
		})
	}
	return a.print(v, strings.Join(ids, "\n"), t)
}

// endOf is when a grant ended, or will.
func endOf(g client.Grant) string {
	if !g.EndedAt.IsZero() {
		return clock(g.EndedAt)
	}
	return clock(g.ExpiresAt)
}

// endedBy is what ended a grant, or who will.
func endedBy(g client.Grant) string {
	if g.EndReason != "" {
		return string(g.EndReason)
	}
	return map[access.ExpiryClass]string{
		access.ExpiryNative: "the target", access.ExpiryDecision: "the target, by asking", access.ExpiryReaper: "the broker",
	}[g.ExpiryClass]
}

func (a *app) grantsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show GRANT",
		Short:             "Show a grant, and what you may do with it",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGrants(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(g, g.ID.String(), table{rows: grantRows(g)})
		},
	}
}

func grantRows(g client.Grant) [][]string {
	state := string(g.State)
	if g.Overdue {
		state += " (overdue: its removal is not verified yet)"
	}
	rows := [][]string{
		{"grant", g.ID.String()},
		{"state", state},
		{"holder", g.Holder.Name},
		{"access", g.Role + " on " + g.Resource},
		{"contract", g.Contract},
		{"request", g.RequestID.String()},
	}
	switch {
	case !g.EndedAt.IsZero():
		rows = append(rows, []string{"ended", strings.TrimSpace(clock(g.EndedAt) + "  " + string(g.EndReason))})
	case g.State == access.Lapsed || g.State == access.Cancelled:
		rows = append(rows, []string{"never began", string(g.EndReason)})
	default:
		if g.State == access.Scheduled {
			rows = append(rows, []string{"starts", clock(g.StartAt)})
		}
		ends := clock(g.ExpiresAt)
		if g.State == access.Active {
			ends += fmt.Sprintf("  (%s left)", left(g.ExpiresAt))
		}
		rows = append(rows, []string{"ends", ends}, []string{"at worst", clock(g.WorstCaseEnd) + ", even if the broker is down"})
	}
	return append(rows, canRows(g.Can)...)
}

func (a *app) findGrant(ctx context.Context, arg string) (*client.Client, client.Grant, error) {
	var id access.GrantID
	if err := id.UnmarshalText([]byte(arg)); err != nil {
		return nil, client.Grant{}, usage("%q is %w; 'ramp grants ls' shows them", arg, err)
	}
	c, err := a.connect()
	if err != nil {
		return nil, client.Grant{}, err
	}
	g, err := decode[client.Grant](c.GetGrant(ctx, id, &client.GetGrantParams{}))
	return c, g, err
}
