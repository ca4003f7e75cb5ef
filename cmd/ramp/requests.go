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
	cmd := &cobra.Command{Use: "requests", Short: "List, show, watch and withdraw requests"}
	cmd.AddCommand(a.requestsListCommand(), a.requestsShowCommand(), a.requestsWatchCommand(), a.requestsWithdrawCommand())
	return cmd
}

func (a *app) requestsListCommand() *cobra.Command {
	var states []string
	var contract, resource, requester, text string
	var toDecide, mine bool
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List requests that you may see, newest first",
		Example: "  ramp requests ls --to-decide\n  ramp requests ls --mine --state pending,approved",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usage("--limit must be 1 or more")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			params := client.ListRequestsParams{}
			if mine {
				requester = "me"
			}
			setIf(&params.Requester, requester)
			setIf(&params.Contract, contract)
			setIf(&params.Resource, resource)
			setIf(&params.Q, text)
			if len(states) > 0 {
				params.State = new([]client.RequestState)
				for _, s := range states {
					*params.State = append(*params.State, client.RequestState(s))
				}
			}
			reqs, more, err := collect(limit, func(cursor *string, limit int) (client.RequestPage, error) {
				if toDecide {
					return decode[client.RequestPage](c.ListApprovals(cmd.Context(), &client.ListApprovalsParams{Cursor: cursor, Limit: &limit}))
				}
				params.Cursor, params.Limit = cursor, &limit
				return decode[client.RequestPage](c.ListRequests(cmd.Context(), &params))
			}, func(p client.RequestPage) ([]client.Request, string) { return p.Items, p.NextCursor })
			if err != nil {
				return err
			}
			if err := a.printRequests(reqs, reqs); err != nil {
				return err
			}
			a.sayMore(more)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "only those in these states, separated by commas")
	cmd.Flags().StringVar(&contract, "contract", "", "only those under this contract")
	cmd.Flags().StringVar(&resource, "resource", "", "only those for this resource")
	cmd.Flags().StringVar(&requester, "requester", "", "only those of this person (issuer|subject)")
	cmd.Flags().StringVar(&text, "search", "", "only those whose role, resource, ticket or requester holds this text")
	cmd.Flags().BoolVar(&mine, "mine", false, "only your own")
	cmd.Flags().BoolVar(&toDecide, "to-decide", false, "only those that you can decide now")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many")
	cmd.MarkFlagsMutuallyExclusive("mine", "requester")
	for _, other := range []string{"state", "contract", "resource", "requester", "search", "mine"} {
		cmd.MarkFlagsMutuallyExclusive("to-decide", other)
	}
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(requestStates, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var requestStates = []string{"pending", "approved", "refused", "denied", "withdrawn", "expired", "invalidated"}

func setIf[T ~string](into **T, value T) {
	if value != "" {
		*into = &value
	}
}

func (a *app) sayMore(more bool) {
	if more {
		a.say("There are more; --limit shows them.")
	}
}

// printRequests shows requests as a table, or v in another format.
func (a *app) printRequests(reqs []client.Request, v any) error {
	t := table{
		head: []string{"number", "state", "requester", "role", "resource", "for", "asked", "reason", "id"},
		wide: []string{"id"}, cut: []string{"requester", "reason"}, empty: "No requests.",
	}
	var ids []string
	for _, r := range reqs {
		ids = append(ids, r.ID.String())
		for _, it := range r.Items {
			t.rows = append(t.rows, []string{
				fmt.Sprintf("#%d", r.Number), string(r.State), r.Requester.Name, it.Role, it.Resource,
				r.Duration, clock(r.CreatedAt), a.brief(r.Reason), r.ID.String(),
			})
		}
	}
	return a.print(v, strings.Join(ids, "\n"), t)
}

// brief cuts free text to what a table has room for.
func (a *app) brief(s string) string {
	if a.format == "wide" {
		return s
	}
	return short(inline(s), 48)
}

func (a *app) requestsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show REQUEST",
		Short:             "Show a request, who decided, and what happened",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRequests(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, req, err := a.findRequest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !a.human() {
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

func (a *app) requestsWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "watch REQUEST",
		Short:             "Wait until a request is decided and its access is there",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRequests("pending"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, req, err := a.findRequest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.follow(cmd.Context(), c, req)
		},
	}
}

func (a *app) requestsWithdrawCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "withdraw REQUEST…",
		Short:             "Take your pending requests back",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeRequests("pending"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forEach(args, func(arg string) error {
				c, req, err := a.findRequest(cmd.Context(), arg)
				if err != nil {
					return err
				}
				if req, err = decode[client.Request](c.WithdrawRequest(cmd.Context(), req.ID)); err != nil {
					return err
				}
				a.say("Request #%d is %s.", req.Number, req.State)
				return nil
			})
		},
	}
}

// findRequest takes an id, or the number that people say: 1042 or #1042.
func (a *app) findRequest(ctx context.Context, arg string) (*client.Client, client.Request, error) {
	var id access.RequestID
	number := int64(0)
	if id.UnmarshalText([]byte(arg)) != nil {
		var err error
		if number, err = strconv.ParseInt(strings.TrimPrefix(arg, "#"), 10, 64); err != nil || number < 1 {
			return nil, client.Request{}, usage("%q is neither the number of a request, such as 1042, nor its id, such as req_01m8…", arg)
		}
	}
	c, err := a.connect()
	if err != nil {
		return nil, client.Request{}, err
	}
	if number > 0 {
		if id, err = requestByNumber(ctx, c, number); err != nil {
			return nil, client.Request{}, err
		}
	}
	req, err := decode[client.Request](c.GetRequest(ctx, id, &client.GetRequestParams{}))
	return c, req, err
}

// requestByNumber looks through the list, which is in the order of numbers:
// once past the number it will not come any more.
func requestByNumber(ctx context.Context, c *client.Client, number int64) (access.RequestID, error) {
	params := &client.ListRequestsParams{Limit: new(200)}
	for {
		page, err := decode[client.RequestPage](c.ListRequests(ctx, params))
		if err != nil {
			return access.RequestID{}, err
		}
		for _, r := range page.Items {
			if r.Number == number {
				return r.ID, nil
			}
		}
		if n := len(page.Items); page.NextCursor == "" || n > 0 && page.Items[n-1].Number < number {
			return access.RequestID{}, fail(exitNotFound, "there is no request #%d that you may see", number)
		}
		params.Cursor = &page.NextCursor
	}
}
