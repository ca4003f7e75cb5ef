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
		Args: cobra.MinimumNArgs(2),
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
			return a.request(cmd.Context(), ask, dryRun, noWait)
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
	var words []string
	for _, w := range args {
		if w != "on" {
			words = append(words, w)
		}
	}
	if len(words)%2 != 0 {
		return nil, usage("write what you ask for as ROLE on RESOURCE, such as pg/readonly on postgres/database:prod/orders")
	}
	var items []client.Item
	for i := 0; i < len(words); i += 2 {
		items = append(items, client.Item{Role: words[i], Resource: words[i+1]})
	}
	return items, nil
}

func (a *app) request(ctx context.Context, ask client.Ask, dryRun, noWait bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	if dryRun {
		answer, err := decode[client.DryRun](c.SubmitRequest(ctx, &client.SubmitRequestParams{DryRun: &dryRun}, ask))
		if err != nil {
			return err
		}
		return a.printDecision(answer.Decision)
	}
	resp, err := c.SubmitRequest(ctx, &client.SubmitRequestParams{IdempotencyKey: new(rand.Text())}, ask)
	existing := err == nil && resp.StatusCode == http.StatusOK
	req, err := decode[client.Request](resp, err)
	if err != nil {
		return suggest(err, ask)
	}
	if existing {
		a.say("You have asked for just this already: request #%d.", req.Number)
	}
	if noWait {
		return errors.Join(a.printRequests([]client.Request{req}, req), pendingExit(req))
	}
	return a.follow(ctx, c, req)
}

func pendingExit(req client.Request) error {
	if req.State == access.Pending {
		return &exitError{code: exitPending}
	}
	return nil
}

// suggest adds a command that would work to a refusal that says what would.
func suggest(err error, ask client.Ask) error {
	p := (*problem)(nil)
	if !errors.As(err, &p) || p.Code != "policy_refused" {
		return err
	}
	for _, r := range p.Reasons {
		_, most, ok := strings.Cut(r.Fix, "at most ")
		if !ok {
			continue
		}
		if d, parseErr := access.ParseSeconds(strings.TrimRight(strings.Fields(most)[0], ".,;")); parseErr == nil {
			return &exitError{code: exitDenied, err: fmt.Errorf("%w\n  try: ramp request %s --for %s%s", err, itemsText(ask.Items), d, reasonFlag(ask))}
		}
	}
	return err
}

func itemsText(items []client.Item) string {
	var parts []string
	for _, it := range items {
		parts = append(parts, it.Role+" on "+it.Resource)
	}
	return strings.Join(parts, " ")
}

func reasonFlag(ask client.Ask) string {
	var s string
	if ask.Reason != "" {
		s += fmt.Sprintf(" --reason %q", ask.Reason)
	}
	if ask.Ticket != "" {
		s += fmt.Sprintf(" --ticket %q", ask.Ticket)
	}
	return s
}

// follow waits until the request is decided and its grants are there.
func (a *app) follow(ctx context.Context, c *client.Client, req client.Request) error {
	said, tag := "", ""
	for {
		if now := progressOf(req); now != said {
			a.say("%s", now)
			said = now
		}
		if settled(req) {
			break
		}
		next, changed, err := watch[client.Request](func(tag *string) (*http.Response, error) {
			return c.GetRequest(ctx, req.ID, &client.GetRequestParams{IfNoneMatch: tag, Prefer: new("wait=20")})
		}, tag)
		if ctx.Err() != nil {
			a.say("\nStopped waiting; request #%d stays open.\n  go on:     ramp requests watch %d\n  take back: ramp requests withdraw %d", req.Number, req.Number, req.Number)
			return &exitError{code: exitPending}
		}
		if err != nil {
			return err
		}
		if tag = next; changed != nil {
			req = *changed
		}
	}
	if req.State != access.Approved {
		if err := a.printRequests([]client.Request{req}, req); err != nil {
			return err
		}
		return &exitError{code: exitDenied}
	}
	for _, g := range req.Grants {
		if g.State == access.Active {
			a.say("  use it:    ramp connect %s\n  end early: ramp grants release %s", g.ID, g.ID)
		}
	}
	return a.printGrants(req.Grants, req.Grants)
}

// settled says whether there is nothing left to wait for.
func settled(req client.Request) bool {
	if req.State == access.Pending {
		return false
	}
	for _, g := range req.Grants {
		if g.State == access.Provisioning || g.State == access.Scheduled && !g.StartAt.After(time.Now()) {
			return false
		}
	}
	return true
}

// progressOf is one sentence on where the request stands.
func progressOf(req client.Request) string {
	switch req.State {
	case access.Pending:
		return fmt.Sprintf("Request #%d waits for %s. Decide by %s.", req.Number, missing(req), clock(req.DecideBy))
	case access.Approved:
		return fmt.Sprintf("Request #%d is approved%s.", req.Number, accessOf(req))
	default:
	}
	sentences := []string{fmt.Sprintf("Request #%d is %s.", req.Number, req.State)}
	if req.StateReason != "" {
		sentences = append(sentences, req.StateReason)
	}
	for _, v := range req.Votes {
		if v.Decision == access.Deny {
			sentences = append(sentences, v.Voter.Name+": "+v.Reason)
		}
	}
	return strings.Join(sentences, " ")
}

// accessOf says how far the access of an approved request is.
func accessOf(req client.Request) string {
	for _, g := range req.Grants {
		switch g.State {
		case access.Scheduled:
			if g.StartAt.After(time.Now()) {
				return "; the access starts at " + clock(g.StartAt)
			}
			return "; the access is being made"
		case access.Provisioning:
			return "; the access is being made"
		case access.Active:
			return fmt.Sprintf("; you have %s on %s until %s", g.Role, g.Resource, clock(g.ExpiresAt))
		default:
		}
	}
	return ""
}

// missing names who is still needed, and who could do it.
func missing(req client.Request) string {
	var wants []string
	for _, t := range req.Approvals {
		for _, stage := range t.Stages {
			if !stage.Open {
				continue
			}
			for _, seat := range stage.Seats {
				if seat.Missing == 0 {
					continue
				}
				want := fmt.Sprintf("%d of %s", seat.Missing, seat.From)
				var names []string
				for _, p := range seat.Eligible {
					names = append(names, p.Name)
				}
				if len(names) > 4 {
					names = append(names[:4], fmt.Sprintf("%d more", len(seat.Eligible)-4))
				}
				if len(names) > 0 {
					want += " (" + strings.Join(names, ", ") + ")"
				}
				wants = append(wants, want)
			}
		}
	}
	if len(wants) == 0 {
		return "a decision"
	}
	return strings.Join(wants, " and ")
}
