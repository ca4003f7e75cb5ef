package main

import (
	"fmt"
	"strings"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// showRequest shows a request for people, with its history.
func (a *app) showRequest(req client.Request, events []client.Event) error {
	rows := [][]string{
		{"request", fmt.Sprintf("#%d  %s", req.Number, req.ID)},
		{"state", strings.TrimSpace(string(req.State) + "  " + req.StateReason)},
		{"requester", req.Requester.Name},
	}
	for _, it := range req.Items {
		by := ""
		if it.Contract != "" {
			by = "  by " + it.Contract
		}
		rows = append(rows, []string{"asks for", it.Role + " on " + it.Resource + by})
	}
	rows = append(rows, []string{"for", req.Duration})
	if !req.Extends.IsZero() {
		rows = append(rows, []string{"extends", req.Extends.String()})
	}
	for _, p := range [][]string{
		{"reason", req.Reason}, {"ticket", req.Ticket}, {"start at", clock(req.StartAt)}, {"decide by", clock(req.DecideBy)},
	} {
		if p[1] != "" {
			rows = append(rows, p)
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
	rows = append(rows, canRows(req.Can)...)
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

// canRows say what the caller may do to an object, and why not.
func canRows(all []client.Can) [][]string {
	var rows [][]string
	for _, can := range all {
		word := "you may"
		if !can.Allowed {
			word = "you may not"
		}
		rows = append(rows, []string{word, strings.TrimSpace(can.Action + "  " + can.Why)})
	}
	return rows
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
