package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) requestCommand() *cobra.Command {
	var ask client.Ask
	var dryRun, noWait bool
	var startAt string
	cmd := &cobra.Command{
		Use:   "request ROLE on RESOURCE",
		Short: "Ask for a role on a resource",
		Long: `Ask for a role on a resource, and wait until it is decided and the access is
there. Ctrl-C ends the waiting and leaves the request open.`,
		Example: `  ramp request pg/readonly on postgres/database:prod/orders --for 1h --reason "Order 4711 is stuck"
  ramp request pg/readonly on postgres/database:prod/orders --for 1h --dry-run
  ramp request pg/readonly on postgres/database:prod/orders pg/readonly on postgres/database:prod/billing --for 1h`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeItems,
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := parseItems(args)
			if err != nil {
				return err
			}
			ask.Items = items
			if startAt != "" {
				if ask.StartAt, err = time.Parse(time.RFC3339, startAt); err != nil {
					return usage("--start-at must be a time such as %s", time.Now().Add(time.Hour).Format(time.RFC3339))
				}
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if dryRun {
				answer, err := decode[client.DryRun](c.SubmitRequest(cmd.Context(), &client.SubmitRequestParams{DryRun: &dryRun}, ask))
				if err != nil {
					return err
				}
				return a.printDecision(answer.Decision)
			}
			return a.request(cmd.Context(), c, ask, noWait)
		},
	}
	cmd.Flags().StringVar(&ask.Duration, "for", "1h", "how long, such as 30m, 2h, 1d")
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why; the approvers and auditors read it")
	cmd.Flags().StringVar(&ask.Ticket, "ticket", "", "the ticket this is about")
	cmd.Flags().StringVar(&ask.Contract, "contract", "", "ask under this contract")
	cmd.Flags().StringVar(&startAt, "start-at", "", "not before this time (RFC 3339)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be decided, and ask nothing")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the decision")
	return cmd
}

// parseItems reads ROLE on RESOURCE, once or more; "on" may be left out.
func parseItems(args []string) ([]client.Item, error) {
	words := withoutOn(args)
	if len(words)%2 != 0 {
		return nil, usage("write what you ask for as ROLE on RESOURCE, such as pg/readonly on postgres/database:prod/orders")
	}
	var items []client.Item
	for i := 0; i < len(words); i += 2 {
		items = append(items, client.Item{Role: words[i], Resource: words[i+1]})
	}
	return items, nil
}

func withoutOn(args []string) []string {
	var words []string
	for _, w := range args {
		if w != "on" {
			words = append(words, w)
		}
	}
	return words
}

func (a *app) request(ctx context.Context, c *client.Client, ask client.Ask, noWait bool) error {
	resp, err := c.SubmitRequest(ctx, &client.SubmitRequestParams{IdempotencyKey: new(rand.Text())}, ask)
	existing := err == nil && resp.StatusCode == http.StatusOK
	req, err := decode[client.Request](resp, err)
	if err != nil && ctx.Err() != nil {
		return fail(exitPending, "stopped before the broker answered; whether you have asked shows: ramp requests ls --mine")
	}
	if err != nil {
		return suggest(err, func(most access.Seconds) string { return "ramp request " + askText(ask, most) })
	}
	if existing {
		a.say("You have asked for just this already: request #%d.", req.Number)
	}
	if noWait {
		if err := a.printRequests([]client.Request{req}, req); err != nil {
			return err
		}
		return pendingExit(req)
	}
	return a.follow(ctx, c, req)
}

func pendingExit(req client.Request) error {
	if req.State == access.Pending {
		return &exitError{code: exitPending}
	}
	return nil
}

// suggest adds a command that would work to a refusal that says how long
// would.
func suggest(err error, command func(most access.Seconds) string) error {
	p := (*problem)(nil)
	if !errors.As(err, &p) || p.Code != "policy_refused" {
		return err
	}
	for _, r := range p.Reasons {
		_, text, ok := strings.Cut(r.Fix, "at most ")
		word, _, _ := strings.Cut(text, " ")
		if !ok || r.Code != access.DurationTooLong {
			continue
		}
		if most, parseErr := access.ParseSeconds(strings.TrimRight(word, ".,;")); parseErr == nil {
			return fail(exitDenied, "%w\n  try: %s", err, command(most))
		}
	}
	return err
}

// askText is the command line of an ask, but for another time.
func askText(ask client.Ask, most access.Seconds) string {
	var words []string
	for _, it := range ask.Items {
		words = append(words, quote(it.Role)+" on "+quote(it.Resource))
	}
	words = append(words, "--for "+most.String())
	if !ask.StartAt.IsZero() {
		words = append(words, "--start-at "+ask.StartAt.Format(time.RFC3339))
	}
	return strings.Join(words, " ") + flagsText(ask.Reason, ask.Ticket, ask.Contract)
}

func flagsText(reason, ticket, contract string) string {
	var s strings.Builder
	for _, f := range [][2]string{{"reason", reason}, {"ticket", ticket}, {"contract", contract}} {
		if f[1] != "" {
			fmt.Fprintf(&s, " --%s %s", f[0], quote(f[1]))
		}
	}
	return s.String()
}
