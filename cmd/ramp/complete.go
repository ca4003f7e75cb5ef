package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// completion is a function that offers words to the shell.
type completion = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// complete asks the broker for words. A shell that waits, or prints errors
// into the line, is worse than one that offers nothing; so there is little
// time, and failures are silent.
func (a *app) complete(cmd *cobra.Command, typed string, words func(context.Context, *client.Client) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	const enough = 1500 * time.Millisecond
	ctx, cancel := context.WithTimeout(cmd.Context(), enough)
	defer cancel()
	c, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := words(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all = slices.DeleteFunc(all, func(word string) bool { return !strings.HasPrefix(word, typed) })
	return all, cobra.ShellCompDirectiveNoFileComp
}

// word is one offer, with what it is; texts of others stay on one line.
func word(name, about string) cobra.Completion {
	return cobra.CompletionWithDesc(inline(name), short(inline(about), 80))
}

// completeItems offers roles, then "on", then the resources that the role is
// offered on.
func (a *app) completeItems(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words := withoutOn(args)
	if len(words)%2 == 1 && args[len(args)-1] != "on" {
		return []cobra.Completion{"on"}, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd, typed, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		entries, err := catalog(ctx, c, client.ListCatalogParams{Requestable: new(true)})
		if err != nil {
			return nil, err
		}
		var found []cobra.Completion
		for _, e := range entries {
			for _, o := range e.Offers {
				switch {
				case len(words)%2 == 0:
					found = append(found, word(o.Role, o.Title))
				case o.Role == words[len(words)-1]:
					found = append(found, word(e.Resource, e.Title))
				}
			}
		}
		slices.Sort(found)
		return slices.Compact(found), nil
	})
}

// completeGrants offers the live grants that the caller may see, or has.
func (a *app) completeGrants(mine bool) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.complete(cmd, typed, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
			params := client.ListGrantsParams{Live: new(true)}
			if mine {
				params.Holder = new("me")
			}
			grants, _, err := listGrants(ctx, c, params, 50)
			if err != nil {
				return nil, err
			}
			var found []cobra.Completion
			for _, g := range grants {
				if !slices.Contains(args, g.ID.String()) {
					found = append(found, word(g.ID.String(), fmt.Sprintf("%s, %s on %s", g.Holder.Name, g.Role, g.Resource)))
				}
			}
			return found, nil
		})
	}
}

// completeRequests offers the numbers of requests in a state, or in any.
func (a *app) completeRequests(state access.RequestState) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.complete(cmd, typed, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
			params := &client.ListRequestsParams{Limit: new(50)}
			if state != "" {
				params.State = &[]client.RequestState{state}
			}
			page, err := decode[client.RequestPage](c.ListRequests(ctx, params))
			return numbers(page, args), err
		})
	}
}

// completeToDecide offers the numbers of the caller's inbox.
func (a *app) completeToDecide(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, typed, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		page, err := decode[client.RequestPage](c.ListApprovals(ctx, &client.ListApprovalsParams{Limit: new(50)}))
		return numbers(page, args), err
	})
}

func numbers(page client.RequestPage, but []string) []cobra.Completion {
	var found []cobra.Completion
	for _, r := range page.Items {
		number := fmt.Sprint(r.Number)
		if slices.Contains(but, number) || len(r.Items) == 0 {
			continue
		}
		found = append(found, word(number, fmt.Sprintf("%s, %s on %s", r.Requester.Name, r.Items[0].Role, r.Items[0].Resource)))
	}
	return found
}

func (a *app) completeContracts(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd, typed, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		list, err := decode[client.ContractList](c.ListContracts(ctx, &client.ListContractsParams{Limit: new(200)}))
		var found []cobra.Completion
		for _, k := range list.Items {
			found = append(found, word(k.Name, k.Description))
		}
		return found, err
	})
}
