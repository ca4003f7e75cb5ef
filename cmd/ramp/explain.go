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
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := parseItems(args)
			if err != nil {
				return err
			}
			body.Items = items
			c, err := a.connect(cmd.Context())
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
	cmd.Flags().StringVar(&body.Duration, "for", "1h", "how long")
	cmd.Flags().StringVar(&body.Reason, "reason", "", "the reason that would be given")
	cmd.Flags().StringVar(&body.Ticket, "ticket", "", "the ticket that would be given")
	cmd.Flags().StringVar(&body.Contract, "contract", "", "ask under this contract")
	cmd.Flags().StringVar((*string)(&body.Subject), "as", "", "for this person (issuer|subject); auditors and contract admins only")
	return cmd
}

// printDecision shows a decision with its trace, and exits 3 for a refusal.
func (a *app) printDecision(d client.Decision) error {
	if a.format != "table" && a.format != "wide" {
		if err := a.print(d, string(d.Outcome), table{}); err != nil {
			return err
		}
		return refusedExit(d)
	}
	fmt.Fprintf(a.out, "%s (policy revision %d)\n", outcomeText(d.Outcome), d.PolicyRevision)
	for i, it := range d.Items {
		fmt.Fprintln(a.out, plain(fmt.Sprintf("\n%s on %s", it.Item.Role, it.Item.Resource)))
		if o := it.Offer; o != nil {
			fmt.Fprintln(a.out, plain(fmt.Sprintf("  by contract %s, for %s (at most %s)", o.Contract, o.Duration, o.MaxDuration)))
			for _, s := range o.Stages {
				for _, seat := range s.Seats {
					fmt.Fprintln(a.out, plain(fmt.Sprintf("  %s: %d of %s", s.Name, seat.Count, seat.From)))
				}
			}
			if o.Auto != "" {
				fmt.Fprintln(a.out, plain("  granted by itself: rule "+o.Auto))
			}
		}
		for _, r := range d.Reasons {
			if r.Item == i {
				fmt.Fprintln(a.out, plain("  "+string(r.Code)+": "+r.Message))
				if r.Fix != "" {
					fmt.Fprintln(a.out, plain("    what would work: "+r.Fix))
				}
			}
		}
		if err := a.printTrace(it.Trace); err != nil {
			return err
		}
	}
	return refusedExit(d)
}

func (a *app) printTrace(trace []client.Clause) error {
	t := table{head: []string{"", "rule", "clause", "wants", "meets"}}
	for _, c := range trace {
		mark := map[access.Verdict]string{access.Pass: "✓", access.Fail: "✗", access.Unknown: "?", access.Skipped: "·"}[c.Verdict]
		t.rows = append(t.rows, []string{mark, c.Rule, c.Path, short(c.Expected, 48), short(c.Actual, 48)})
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
