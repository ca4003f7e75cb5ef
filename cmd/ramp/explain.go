package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) explainCommand() *cobra.Command {
	var body client.Explain
	cmd := &cobra.Command{
		Use:   "explain ROLE on RESOURCE",
		Short: "Show what would be decided, clause by clause",
		Example: `  ramp explain pg/readonly on postgres/database:prod/orders --for 2h
  ramp explain pg/readonly on postgres/database:prod/orders --as 'https://login.example.com|ada'`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeItems,
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := parseItems(args)
			if err != nil {
				return err
			}
			body.Items = items
			c, err := a.connect()
			if err != nil {
				return err
			}
			d, err := decode[client.Decision](c.ExplainDecision(cmd.Context(), body))
			if err != nil {
				return err
			}
			return a.printDecision(d)
		},
	}
	cmd.Flags().StringVar(&body.Duration, "for", "", "how long (default: the contract's)")
	cmd.Flags().StringVar(&body.Reason, "reason", "", "the reason that would be given")
	cmd.Flags().StringVar(&body.Ticket, "ticket", "", "the ticket that would be given")
	cmd.Flags().StringVar(&body.Contract, "contract", "", "ask under this contract")
	cmd.Flags().StringVar((*string)(&body.Subject), "as", "", "for this person (issuer|subject); auditors and contract admins only")
	return cmd
}

// printDecision shows a decision with its trace, and exits 3 for a refusal.
func (a *app) printDecision(d client.Decision) error {
	if !a.human() {
		if err := a.print(d, string(d.Outcome), table{}); err != nil {
			return err
		}
		return refusedExit(d)
	}
	fmt.Fprintf(a.out, "%s (policy revision %d)\n", outcomeText(d.Outcome), d.PolicyRevision)
	for i, it := range d.Items {
		fmt.Fprintln(a.out, "\n"+inline(it.Item.Role+" on "+it.Item.Resource))
		if o := it.Offer; o != nil {
			fmt.Fprintln(a.out, inline(fmt.Sprintf("  by contract %s, for %s (at most %s)", o.Contract, o.Duration, o.MaxDuration)))
			for _, s := range o.Stages {
				for _, seat := range s.Seats {
					fmt.Fprintln(a.out, inline("  "+s.Name+": "+seatText(seat.Count, seat.From)))
				}
			}
			if o.Auto != "" {
				fmt.Fprintln(a.out, inline("  granted by itself: rule "+o.Auto))
			}
		}
		a.printReasons(d.Reasons, func(r access.Reason) bool { return r.Item == i })
		if err := a.printTrace(it.Trace); err != nil {
			return err
		}
	}
	a.printReasons(d.Reasons, func(r access.Reason) bool { return r.Item < 0 || r.Item >= len(d.Items) })
	return refusedExit(d)
}

func (a *app) printReasons(reasons []access.Reason, which func(access.Reason) bool) {
	for _, r := range reasons {
		if !which(r) {
			continue
		}
		fmt.Fprintln(a.out, inline("  "+string(r.Code)+": "+r.Message))
		if r.Fix != "" {
			fmt.Fprintln(a.out, inline("    what would work: "+r.Fix))
		}
	}
}

func (a *app) printTrace(trace []client.Clause) error {
	t := table{head: []string{"", "rule", "clause", "wants", "meets"}, cut: []string{"clause", "wants", "meets"}}
	for _, c := range trace {
		mark := map[access.Verdict]string{access.Pass: "✓", access.Fail: "✗", access.Unknown: "?", access.Skipped: "·"}[c.Verdict]
		t.rows = append(t.rows, []string{mark, c.Rule, c.Path, a.brief(c.Expected), a.brief(c.Actual)})
	}
	if len(t.rows) == 0 {
		return nil
	}
	return a.printTable(t)
}

func outcomeText(o access.Outcome) string {
	switch o {
	case access.Permit:
		return "This would be granted at once."
	case access.Review:
		return "This would be granted once people approve."
	case access.Refuse:
		return "This would be refused."
	default:
		return string(o)
	}
}

func refusedExit(d client.Decision) error {
	if d.Outcome == access.Refuse {
		return &exitError{code: exitDenied}
	}
	return nil
}
