package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// follow waits until the request is decided and its access is there, and
// shows what came of it.
func (a *app) follow(ctx context.Context, c *client.Client, req client.Request) error {
	said := ""
	req, err := await(ctx, a, req, func(tag *string) (*http.Response, error) {
		return c.GetRequest(ctx, req.ID, &client.GetRequestParams{IfNoneMatch: tag, Prefer: new("wait=20")})
	}, func(r client.Request) bool {
		if now := progressOf(r); now != said {
			a.say("%s", now)
			said = now
		}
		return settled(r)
	})
	if ctx.Err() != nil {
		return a.stopped(req)
	}
	if err != nil {
		return err
	}
	if req.State != access.Approved {
		if err := a.printRequests([]client.Request{req}, req); err != nil {
			return err
		}
		return &exitError{code: exitDenied}
	}
	if !req.Extends.IsZero() {
		return a.showExtended(ctx, c, req)
	}
	failed := false
	for _, g := range req.Grants {
		if g.State == access.Active {
			a.say("  use it:    ramp connect %s\n  end early: ramp grants release %s", g.ID, g.ID)
		}
		failed = failed || g.State == access.Lapsed || g.State == access.Cancelled || g.EndReason == access.EndFailedProvision
	}
	if err := a.printGrants(req.Grants, req); err != nil {
		return err
	}
	if failed {
		return &exitError{code: exitFailure}
	}
	return nil
}

// stopped says what the person can do who has stopped waiting.
func (a *app) stopped(req client.Request) error {
	if req.State == access.Pending {
		a.say("\nStopped waiting; request #%d stays open.\n  go on:     ramp requests watch %d\n  take back: ramp requests withdraw %d", req.Number, req.Number, req.Number)
	} else {
		a.say("\nStopped waiting; request #%d is %s and goes on.\n  go on: ramp requests watch %d", req.Number, req.State, req.Number)
	}
	return &exitError{code: exitPending}
}

// showExtended shows the grant whose end an extension has moved.
func (a *app) showExtended(ctx context.Context, c *client.Client, req client.Request) error {
	g, err := decode[client.Grant](c.GetGrant(ctx, req.Extends, &client.GetGrantParams{}))
	if err != nil {
		return err
	}
	a.say("You have %s on %s until %s.", g.Role, g.Resource, clock(g.ExpiresAt))
	return a.printGrants([]client.Grant{g}, req)
}

// settled says whether there is nothing left to wait for.
func settled(req client.Request) bool {
	return req.State != access.Pending && !slices.ContainsFunc(req.Grants, beingMade)
}

// beingMade says whether a grant is on its way to the target.
func beingMade(g client.Grant) bool {
	return g.State == access.Provisioning || g.State == access.Scheduled && !g.StartAt.After(time.Now())
}

// progressOf is a sentence or two on where the request stands.
func progressOf(req client.Request) string {
	switch req.State {
	case access.Pending:
		return fmt.Sprintf("Request #%d waits for %s. Decide by %s.", req.Number, missing(req), clock(req.DecideBy))
	case access.Approved:
		return strings.Join(append([]string{fmt.Sprintf("Request #%d is approved.", req.Number)}, accessOf(req)...), " ")
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

// accessOf says how far the access of an approved request is, for each grant.
func accessOf(req client.Request) []string {
	var sentences []string
	made := 0
	for _, g := range req.Grants {
		what := g.Role + " on " + g.Resource
		switch {
		case beingMade(g):
			made++
		case g.State == access.Scheduled:
			sentences = append(sentences, what+" starts at "+clock(g.StartAt)+".")
		case g.State == access.Active:
			sentences = append(sentences, g.Holder.Name+" has "+what+" until "+clock(g.ExpiresAt)+".")
		case g.EndReason == access.EndFailedProvision:
			sentences = append(sentences, what+" could not be made on the target.")
		default:
			sentences = append(sentences, strings.TrimSpace(what+" is "+string(g.State)+".")) // over since
		}
	}
	if made > 0 {
		sentences = append(sentences, "The access is being made.")
	}
	return sentences
}

// missing names who is still needed, and who could do it.
func missing(req client.Request) string {
	var wants []string
	for _, t := range req.Approvals {
		for _, stage := range t.Stages {
			for _, seat := range stage.Seats {
				if stage.Open && seat.Missing > 0 {
					wants = append(wants, seatText(seat.Missing, seat.From)+namesText(seat.Eligible))
				}
			}
		}
	}
	if len(wants) == 0 {
		return "a decision"
	}
	return strings.Join(wants, " and ")
}

// seatText says how many different people of whom.
func seatText(count int, from string) string { return fmt.Sprintf("%d of %s", count, from) }

func namesText(people []client.Person) string {
	const most = 4
	var names []string
	for _, p := range people {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return ""
	}
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(people)-most))
	}
	return " (" + strings.Join(names, ", ") + ")"
}
