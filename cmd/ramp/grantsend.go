package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) grantsActivateCommand() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:               "activate GRANT",
		Short:             "Start a grant now whose start has come",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGrants(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if g, err = decode[client.Grant](c.ActivateGrant(cmd.Context(), g.ID)); err != nil {
				return err
			}
			if !noWait && beingMade(g) {
				a.say("Making %s on %s; Ctrl-C stops only the waiting.", g.Role, g.Resource)
				if g, err = a.awaitGrant(cmd.Context(), c, g, func(g client.Grant) bool { return !beingMade(g) }); err != nil {
					return err
				}
			}
			return a.printGrants([]client.Grant{g}, g)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the access is there")
	return cmd
}

func (a *app) grantsEndCommand(verb string) *cobra.Command {
	var reason string
	var noWait bool
	cmd := &cobra.Command{
		Use:               verb + " GRANT…",
		Short:             map[string]string{"release": "Give your own access back early", "revoke": "End somebody's access now"}[verb],
		Long:              "It is over when the target has been read back; the command waits for that.",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeGrants(verb == "release"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ended := []client.Grant{}
			failed := forEach(args, func(arg string) error {
				c, g, err := a.findGrant(cmd.Context(), arg)
				if err != nil {
					return err
				}
				end := c.ReleaseGrant
				if verb == "revoke" {
					end = c.RevokeGrant
				}
				if g, err = decode[client.Grant](end(cmd.Context(), g.ID, client.End{Reason: reason})); err != nil {
					return err
				}
				if !noWait && g.State == access.Revoking {
					a.say("Removing %s on %s and reading it back; Ctrl-C stops only the waiting.", g.Role, g.Resource)
					if g, err = a.awaitGrant(cmd.Context(), c, g, func(g client.Grant) bool { return g.State != access.Revoking }); err != nil {
						return err
					}
				}
				ended = append(ended, g)
				return nil
			})
			if len(ended) == 0 && failed != nil {
				return failed
			}
			if err := a.printGrants(ended, ended); err != nil {
				return err
			}
			return failed
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; auditors read it")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is verified gone")
	return cmd
}

// awaitGrant waits until done says so of the grant.
func (a *app) awaitGrant(ctx context.Context, c *client.Client, g client.Grant, done func(client.Grant) bool) (client.Grant, error) {
	g, err := await(ctx, a, g, func(tag *string) (*http.Response, error) {
		return c.GetGrant(ctx, g.ID, &client.GetGrantParams{IfNoneMatch: tag, Prefer: new("wait=20")})
	}, done)
	if ctx.Err() != nil {
		return g, fail(exitPending, "stopped waiting; the broker goes on, and how far it is shows: ramp grants show %s", g.ID)
	}
	return g, err
}

func (a *app) grantsExtendCommand() *cobra.Command {
	var e client.Extension
	var noWait bool
	cmd := &cobra.Command{
		Use:               "extend GRANT --for DURATION",
		Short:             "Ask for more time; it is decided like a new request",
		Example:           "  ramp grants extend grt_01m8… --for 30m --reason \"Not done yet\"",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGrants(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := a.findGrant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			req, err := decode[client.Request](c.ExtendGrant(cmd.Context(), g.ID, &client.ExtendGrantParams{IdempotencyKey: new(rand.Text())}, e))
			if err != nil {
				return suggest(err, func(most access.Seconds) string {
					return fmt.Sprintf("ramp grants extend %s --for %s%s", g.ID, most, flagsText(e.Reason, e.Ticket, ""))
				})
			}
			if noWait {
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
		Use:               "shorten GRANT --to DURATION",
		Short:             "Make a grant end earlier",
		Example:           "  ramp grants shorten grt_01m8… --to 20m",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGrants(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return usage("say with --to how long it should last from its start, such as --to 20m; 'ramp grants release' ends it now")
			}
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
	return cmd
}
