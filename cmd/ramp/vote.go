package main

import (
	"crypto/rand"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) voteCommand(verb string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   verb + " REQUEST…",
		Short: map[string]string{"approve": "Approve requests", "deny": "Deny requests, saying why"}[verb],
		Long: `Your vote is bound to what the request says at this moment. What you decide on
is shown first; 'ramp requests show' tells more.`,
		Example:           "  ramp " + verb + " 1042" + map[string]string{"deny": ` --reason "Use the replica"`}[verb],
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeToDecide,
		RunE: func(cmd *cobra.Command, args []string) error {
			if verb == "deny" && reason == "" {
				return usage(`say why with --reason; the requester reads it`)
			}
			voted := []client.Request{}
			failed := forEach(args, func(arg string) error {
				c, req, err := a.findRequest(cmd.Context(), arg)
				if err != nil {
					return err
				}
				for _, it := range req.Items {
					a.say("#%d: %s asks for %s on %s for %s: %s", req.Number, req.Requester.Name, it.Role, it.Resource, req.Duration, req.Reason)
				}
				req, err = decode[client.Request](c.CastVote(cmd.Context(), req.ID, &client.CastVoteParams{IdempotencyKey: new(rand.Text())}, client.Ballot{
					Decision: access.VoteDecision(verb), Reason: reason, RequestHash: req.RequestHash,
				}))
				if err != nil {
					return err
				}
				a.say("%s", progressOf(req))
				voted = append(voted, req)
				return nil
			})
			if a.human() { // has been said
				return failed
			}
			if err := a.printRequests(voted, voted); err != nil {
				return err
			}
			return failed
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; the requester and auditors read it")
	return cmd
}
