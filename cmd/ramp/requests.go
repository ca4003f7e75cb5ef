package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) requestsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "requests", Short: "List, show, watch and withdraw requests", Args: cobra.NoArgs}
	cmd.AddCommand(a.requestsListCommand(), a.requestsShowCommand(), a.requestsWatchCommand(), a.requestsWithdrawCommand())
	return cmd
}

func (a *app) requestsListCommand() *cobra.Command {
	var state, contract, resource, requester string
	var toDecide, mine bool
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List requests that you may see, newest first",
		Example: "  ramp requests ls --to-decide\n  ramp requests ls --mine --state pending",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			var page client.RequestPage
			if toDecide {
				page, err = decode[client.RequestPage](c.ListApprovals(cmd.Context(), &client.ListApprovalsParams{Limit: &limit}))
			} else {
				params := &client.ListRequestsParams{Limit: &limit}
				if mine {
					requester = "me"
				}
				setIf(&params.Requester, requester)
				setIf(&params.Contract, contract)
				setIf(&params.Resource, resource)
				if state != "" {
					params.State = &[]client.RequestState{client.RequestState(state)}
				}
				page, err = decode[client.RequestPage](c.ListRequests(cmd.Context(), params))
			}
			if err != nil {
				return err
			}
			if page.NextCursor != "" {
				defer a.say("There are more; --limit shows up to 200.")
			}
			return a.printRequests(page.Items, page.Items)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in this state")
	cmd.Flags().StringVar(&contract, "contract", "", "only those under this contract")
	cmd.Flags().StringVar(&resource, "resource", "", "only those for this resource")
	cmd.Flags().StringVar(&requester, "requester", "", "only those of this person (issuer|subject)")
	cmd.Flags().BoolVar(&mine, "mine", false, "only your own")
	cmd.Flags().BoolVar(&toDecide, "to-decide", false, "only those that you can decide now")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many")
	return cmd
}

func setIf[T ~string](into **T, value T) {
	if value != "" {
		*into = &value
	}
}

// printRequests shows requests as a table, or v in another format.
func (a *app) printRequests(reqs []client.Request, v any) error {
	t := table{
		head: []string{"number", "state", "requester", "role", "resource", "for", "asked", "reason", "id"},
		wide: []string{"id"}, empty: "No requests.",
	}
	var ids []string
	for _, r := range reqs {
		ids = append(ids, r.ID.String())
		for _, it := range r.Items {
			t.rows = append(t.rows, []string{
				fmt.Sprintf("#%d", r.Number), string(r.State), r.Requester.Name, it.Role, it.Resource,
				r.Duration, clock(r.CreatedAt), short(r.Reason, 40), r.ID.String(),
			})
		}
	}
	return a.print(v, strings.Join(ids, "\n"), t)
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func (a *app) requestsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show REQUEST",
		Short: "Show a request, who decided, and what happened",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			req, err := a.findRequest(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if a.format != "table" && a.format != "wide" {
				return a.printRequests([]client.Request{req}, req)
			}
			timeline, err := decode[client.Timeline](c.GetTimeline(cmd.Context(), req.ID))
			if err != nil {
				return err
			}
			return a.showRequest(req, timeline.Items)
		},
	}
}

func (a *app) showRequest(req client.Request, events []client.Event) error {
	rows := [][]string{
		{"request", fmt.Sprintf("#%d  %s", req.Number, req.ID)},
		{"state", strings.TrimSpace(string(req.State) + "  " + req.StateReason)},
		{"requester", req.Requester.Name},
	}
	for _, it := range req.Items {
		rows = append(rows, []string{"asks for", it.Role + " on " + it.Resource})
	}
	rows = append(rows, []string{"for", req.Duration})
	for _, p := range [][2]string{{"reason", req.Reason}, {"ticket", req.Ticket}, {"decide by", clock(req.DecideBy)}} {
		if p[1] != "" {
			rows = append(rows, []string{p[0], p[1]})
		}
	}
	if req.State == access.Pending {
		rows = append(rows, []string{"waits for", missing(req)})
	}
	for _, v := range req.Votes {
		rows = append(rows, []string{string(v.Decision), strings.TrimSpace(v.Voter.Name + ", " + clock(v.CastAt) + "  " + v.Reason)})
	}
	for _, g := range req.Grants {
		rows = append(rows, []string{"grant", fmt.Sprintf("%s  %s, ends %s", g.ID, g.State, clock(g.ExpiresAt))})
	}
	if err := a.printTable(table{rows: rows}); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	t := table{head: []string{"when", "what", "who"}}
	for _, e := range events {
		t.rows = append(t.rows, []string{clock(e.At), e.Type, actorName(e)})
	}
	return a.printTable(t)
}

func actorName(e client.Event) string {
	if e.ActorName != "" {
		return e.ActorName
	}
	if _, subject, ok := strings.Cut(e.Actor, "|"); ok {
		return subject
	}
	return e.Actor
}

func (a *app) requestsWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch REQUEST",
		Short: "Wait until a request is decided and its access is there",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			req, err := a.findRequest(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return a.follow(cmd.Context(), c, req)
		},
	}
}

func (a *app) requestsWithdrawCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "withdraw REQUEST…",
		Short: "Take your pending requests back",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			for _, arg := range args {
				req, err := a.findRequest(cmd.Context(), c, arg)
				if err != nil {
					return err
				}
				if req, err = decode[client.Request](c.WithdrawRequest(cmd.Context(), req.ID)); err != nil {
					return err
				}
				a.say("Request #%d is %s.", req.Number, req.State)
			}
			return nil
		},
	}
}

// findRequest takes an id, or the number that people say: 1042 or #1042.
func (a *app) findRequest(ctx context.Context, c *client.Client, arg string) (client.Request, error) {
	var id access.RequestID
	if id.UnmarshalText([]byte(arg)) == nil {
		return decode[client.Request](c.GetRequest(ctx, id, &client.GetRequestParams{}))
	}
	number, err := strconv.ParseInt(strings.TrimPrefix(arg, "#"), 10, 64)
	if err != nil || number < 1 {
		return client.Request{}, usage("%q is neither the number of a request, such as 1042, nor its id, such as req_01m8…", arg)
	}
	params := &client.ListRequestsParams{Limit: new(200)}
	for {
		page, err := decode[client.RequestPage](c.ListRequests(ctx, params))
		if err != nil {
			return client.Request{}, err
		}
		for _, r := range page.Items {
			if r.Number == number {
				return decode[client.Request](c.GetRequest(ctx, r.ID, &client.GetRequestParams{}))
			}
		}
		// Newest first: once past the number it will not come any more.
		if n := len(page.Items); page.NextCursor == "" || n > 0 && page.Items[n-1].Number < number {
			return client.Request{}, &exitError{code: exitNotFound, err: fmt.Errorf("there is no request #%d that you may see", number)}
		}
		params.Cursor = &page.NextCursor
	}
}
