package httpapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The main job, over HTTP: ask, approve, use, give back.
func TestMainJob(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.run()

	asked := s.call("POST", "/api/v1/requests", as("alice"), body(ask("pg/admin"))).is(t, http.StatusCreated)
	req := read[api.Request](t, asked)
	require.Equal(t, "/api/v1/requests/"+req.ID.String(), asked.header.Get("Location"))
	require.Equal(t, access.Pending, req.State)
	require.Equal(t, "Ms alice", req.Requester.Name)
	require.Equal(t, []api.RequestItem{{Role: "pg/admin", Resource: orders, Contract: "changes"}}, req.Items)
	require.True(t, req.Approvals[0].Stages[0].Open)
	require.Equal(t, 1, req.Approvals[0].Stages[0].Seats[0].Missing)

	inbox := read[api.RequestPage](t, s.call("GET", "/api/v1/approvals", as("olive")).is(t, http.StatusOK))
	require.Len(t, inbox.Items, 1)
	require.Equal(t, req.ID, inbox.Items[0].ID)
	require.True(t, can(inbox.Items[0].Can, "approve"))
	require.False(t, can(req.Can, "approve"))

	voted := s.call("POST", "/api/v1/requests/"+req.ID.String()+"/votes", as("olive"),
		body(map[string]any{"decision": "approve", "reason": "go", "request_hash": req.RequestHash})).is(t, http.StatusOK)
	require.Equal(t, access.Approved, read[api.Request](t, voted).State)

	mine := read[api.GrantPage](t, s.call("GET", "/api/v1/grants?holder=me&live=true", as("alice")).is(t, http.StatusOK))
	require.Len(t, mine.Items, 1)
	grant := "/api/v1/grants/" + mine.Items[0].ID.String()
	s.eventually(func() bool {
		return read[api.Grant](t, s.call("GET", grant, as("alice"))).State == access.Active
	}, "the grant becomes active")
	require.Len(t, s.target.Held(), 1)

	require.Equal(t, "password of alice", read[api.Credentials](t, s.call("GET", grant+"/credentials", as("alice")).is(t, http.StatusOK)).Password)
	s.call("GET", grant+"/credentials", as("alice")).code(t, http.StatusConflict, access.StateConflict)

	more := s.call("POST", grant+"/extend", as("alice"), body(`{"duration":"10m","reason":"still on fire"}`)).is(t, http.StatusCreated)
	require.Equal(t, mine.Items[0].ID, read[api.Request](t, more).Extends)

	s.call("POST", grant+"/release", as("alice")).is(t, http.StatusAccepted)
	s.eventually(func() bool {
		return read[api.Grant](t, s.call("GET", grant, as("alice"))).State == access.Ended
	}, "the grant ends")
	require.Empty(t, s.target.Held())

	timeline := read[api.Timeline](t, s.call("GET", "/api/v1/requests/"+req.ID.String()+"/timeline", as("alice")).is(t, http.StatusOK))
	var types []string
	for _, e := range timeline.Items {
		types = append(types, e.Type)
	}
	require.Subset(t, types, []string{
		"request.submitted", "vote.cast", "request.approved", "grant.scheduled", "grant.provisioning", "grant.activated",
		"grant.credentials_issued", "grant.revoking", "grant.ended",
	})
	require.NotContains(t, s.log.String(), "password of")
}

func can(all []api.Can, action string) bool {
	for _, c := range all {
		if c.Action == action {
			return c.Allowed
		}
	}
	return false
}
