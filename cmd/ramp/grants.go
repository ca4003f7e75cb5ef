package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) grantsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "grants", Short: "List, show, extend, shorten and end grants", Args: cobra.NoArgs}
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
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			params := &client.ListGrantsParams{Limit: &limit}
			if !all {
				params.Live = new(true)
			}
			if mine {
				params.Holder = new("me")
			}
			setIf(&params.Contract, contract)
			setIf(&params.Resource, resource)
			page, err := decode[client.GrantPage](c.ListGrants(cmd.Context(), params))
			if err != nil {
				return err
			}
			if page.NextCursor != "" {
				defer a.say("There are more; --limit shows up to 200.")
			}
			return a.printGrants(page.Items, page.Items)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also those that are over")
	cmd.Flags().BoolVar(&mine, "mine", false, "only your own")
	cmd.Flags().StringVar(&contract, "contract", "", "only those under this contract")
	cmd.Flags().StringVar(&resource, "resource", "", "only those on this resource")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many")
	return cmd
}

// printGrants shows grants as a table, or v in another format.
func (a *app) printGrants(grants []client.Grant, v any) error {
	t := table{
		head: []string{"grant", "state", "holder", "role", "resource", "ends", "left", "ended by", "contract", "request"},
		wide: []string{"ended by", "contract", "request"}, empty: "No grants.",
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
		ended := string(g.EndReason)
		if ended == "" {
			ended = map[access.ExpiryClass]string{access.ExpiryNative: "the target", access.ExpiryReaper: "the broker"}[g.ExpiryClass]
		}
		t.rows = append(t.rows, []string{
			g.ID.String(), state, g.Holder.Name, g.Role, g.Resource, clock(g.ExpiresAt), remaining, ended, g.Contract, g.RequestID.String(),
		})
	}
	return a.print(v, strings.Join(ids, "\n"), t)
}

func (a *app) grantsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show GRANT",
		Short: "Show a grant, and what you may do with it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			rows := [][]string{
				{"grant", g.ID.String()},
				{"state", string(g.State)},
				{"holder", g.Holder.Name},
				{"access", g.Role + " on " + g.Resource},
				{"contract", g.Contract},
				{"ends", clock(g.ExpiresAt)},
				{"at worst", worstCase(g)},
			}
			if g.EndReason != "" {
				rows = append(rows, []string{"end", strings.TrimSpace(string(g.EndReason) + "  " + clock(g.EndedAt))})
			}
			for _, can := range g.Can {
				word := "you may"
				if !can.Allowed {
					word = "you may not"
				}
				rows = append(rows, []string{word, strings.TrimSpace(can.Action + "  " + can.Why)})
			}
			return a.print(g, g.ID.String(), table{rows: rows})
		},
	}
}

// worstCase says when the access is over even if the broker is down.
func worstCase(g client.Grant) string {
	switch {
	case !g.WorstCaseEnd.IsZero():
		return clock(g.WorstCaseEnd) + ", even if the broker is down"
	case g.ExpiryClass == access.ExpiryNative:
		return "the target itself refuses new sessions from then on; one that is open needs the broker to end it"
	default:
		return "only the broker ends it"
	}
}

func (a *app) findGrant(ctx context.Context, arg string) (*client.Client, client.Grant, error) {
	var id access.GrantID
	if err := id.UnmarshalText([]byte(arg)); err != nil {
		return nil, client.Grant{}, usage("%q is %w; 'ramp grants ls' shows them", arg, err)
	}
	c, err := a.connect(ctx)
	if err != nil {
		return nil, client.Grant{}, err
	}
	g, err := decode[client.Grant](c.GetGrant(ctx, id, &client.GetGrantParams{}))
	return c, g, err
}

func (a *app) grantsActivateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "activate GRANT",
		Short: "Start a grant that waits for its start",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if g, err = decode[client.Grant](c.ActivateGrant(cmd.Context(), g.ID)); err != nil {
				return err
			}
			return a.printGrants([]client.Grant{g}, g)
		},
	}
}

func (a *app) grantsEndCommand(verb string) *cobra.Command {
	var reason string
	var noWait bool
	cmd := &cobra.Command{
		Use:   verb + " GRANT…",
		Short: map[string]string{"release": "Give your own access back early", "revoke": "End somebody's access now"}[verb],
		Long:  "It is over when the target has been read back; the command waits for that.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ended []client.Grant
			for _, arg := range args {
				c, g, err := a.findGrant(cmd.Context(), arg)
				if err != nil {
					return err
				}
				if verb == "release" {
					g, err = decode[client.Grant](c.ReleaseGrant(cmd.Context(), g.ID, client.End{Reason: reason}))
				} else {
					g, err = decode[client.Grant](c.RevokeGrant(cmd.Context(), g.ID, client.End{Reason: reason}))
				}
				if err != nil {
					return err
				}
				if !noWait {
					if g, err = a.awaitEnd(cmd.Context(), c, g); err != nil {
						return err
					}
				}
				ended = append(ended, g)
			}
			return a.printGrants(ended, ended)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; auditors read it")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is verified gone")
	return cmd
}

// awaitEnd waits until the removal is verified.
func (a *app) awaitEnd(ctx context.Context, c *client.Client, g client.Grant) (client.Grant, error) {
	if g.State == access.Revoking {
		a.say("Removing %s on %s and reading it back; Ctrl-C stops only the waiting.", g.Role, g.Resource)
	}
	tag := ""
	for g.State == access.Revoking || g.State == access.Provisioning || g.State == access.Active {
		next, changed, err := watch[client.Grant](func(tag *string) (*http.Response, error) {
			return c.GetGrant(ctx, g.ID, &client.GetGrantParams{IfNoneMatch: tag, Prefer: new("wait=20")})
		}, tag)
		if ctx.Err() != nil {
			return g, &exitError{code: exitPending, err: fmt.Errorf("stopped waiting; the removal goes on: ramp grants show %s", g.ID)}
		}
		if err != nil {
			return g, err
		}
		if tag = next; changed != nil {
			g = *changed
		}
	}
	return g, nil
}

func (a *app) grantsExtendCommand() *cobra.Command {
	var e client.Extension
	var noWait bool
	cmd := &cobra.Command{
		Use:     "extend GRANT --for DURATION",
		Short:   "Ask for more time; it is decided like a new request",
		Example: "  ramp grants extend grt_01m8… --for 30m --reason \"Not done yet\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			req, err := decode[client.Request](c.ExtendGrant(cmd.Context(), g.ID, &client.ExtendGrantParams{IdempotencyKey: new(rand.Text())}, e))
			if err != nil {
				return err
			}
			if noWait || req.State != access.Pending {
				a.say("%s", progressOf(req))
				if err := a.printRequests([]client.Request{req}, req); err != nil {
					return err
				}
				return pendingExit(req)
			}
			return a.follow(cmd.Context(), c, req)
		},
	}
	cmd.Flags().StringVar(&e.Duration, "for", "30m", "how much longer")
	cmd.Flags().StringVar(&e.Reason, "reason", "", "why")
	cmd.Flags().StringVar(&e.Ticket, "ticket", "", "the ticket this is about")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the decision")
	return cmd
}

func (a *app) grantsShortenCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "shorten GRANT --to DURATION",
		Short: "Make a grant end earlier",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			tag := fmt.Sprintf("%q", fmt.Sprint(g.Version))
			g, err = decode[client.Grant](c.ShortenGrant(cmd.Context(), g.ID, &client.ShortenGrantParams{IfMatch: &tag}, client.NewEnd{Duration: to}))
			if err != nil {
				return err
			}
			return a.printGrants([]client.Grant{g}, g)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "how long it should last from its start, such as 20m")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}
