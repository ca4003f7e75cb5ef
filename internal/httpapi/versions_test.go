package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestETags(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit("alice", "pg/admin")
	path := "/api/v1/requests/" + req.ID.String()
	first := s.call("GET", path, as("alice")).is(t, http.StatusOK).header.Get("ETag")
	require.Regexp(t, `^"1-[0-9a-f]{12}"$`, first)

	unchanged := s.call("GET", path, as("alice"), with("If-None-Match", first)).is(t, http.StatusNotModified)
	require.Empty(t, unchanged.body)
	require.Equal(t, first, unchanged.header.Get("ETag"))
	s.call("GET", path, as("alice"), with("If-None-Match", `"x", W/`+first)).is(t, http.StatusNotModified)
	s.call("GET", path, as("alice"), with("If-None-Match", `"1"`)).is(t, http.StatusOK)
	require.NotEqual(t, first, s.call("GET", path, as("olive")).header.Get("ETag"), "another caller may do other things")

	s.call("POST", path+"/withdraw", as("alice")).is(t, http.StatusOK)
	s.call("GET", path, as("alice"), with("If-None-Match", first)).is(t, http.StatusOK)
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.run()
	req := s.submit("alice", "pg/admin")
	path := "/api/v1/requests/" + req.ID.String()
	tag := s.call("GET", path, as("alice")).header.Get("ETag")

	start := time.Now()
	s.call("GET", path, as("alice"), with("If-None-Match", tag), with("Prefer", "wait=1")).is(t, http.StatusNotModified)
	require.GreaterOrEqual(t, time.Since(start), time.Second)

	waited := make(chan answer)
	go func() {
		waited <- s.call("GET", path, as("alice"), with("If-None-Match", tag), with("Prefer", "respond-async, wait=30"))
	}()
	s.eventually(func() bool { return s.watchers() == 1 }, "somebody waits")
	s.call("POST", path+"/withdraw", as("alice")).is(t, http.StatusOK)
	select {
	case a := <-waited:
		require.Equal(t, access.Withdrawn, read[api.Request](t, a.is(t, http.StatusOK)).State)
	case <-time.After(10 * time.Second):
		t.Fatal("the long poll did not notice")
	}
	s.eventually(func() bool { return s.watchers() == 0 }, "nobody waits any more")

	s.call("GET", path, as("mallory"), with("If-None-Match", tag), with("Prefer", "wait=30")).code(t, http.StatusNotFound, access.NotFound)
}

func (s *scene) watchers() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.watchers)
}

func TestShorten(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.run()
	req := s.submit("alice", "pg/readonly")
	grant := "/api/v1/grants/" + req.Grants[0].ID.String()
	var seen answer
	s.eventually(func() bool {
		seen = s.call("GET", grant, as("alice"))
		return read[api.Grant](t, seen).State == access.Active
	}, "the grant becomes active")
	before := read[api.Grant](t, seen)

	s.call("POST", grant+"/shorten", as("alice"), body(`{"duration":"5m"}`)).code(t, http.StatusPreconditionRequired, access.PreconditionMissing)
	s.call("POST", grant+"/shorten", as("alice"), with("If-Match", `"1"`), body(`{"duration":"5m"}`)).code(t, http.StatusPreconditionFailed, access.PreconditionFailed)
	p := s.call("POST", grant+"/shorten", as("alice"), with("If-Match", `3`), body(`{"duration":"5m"}`)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, "If-Match", p.Errors[0].Parameter)
	s.call("POST", grant+"/shorten", as("alice"), with("If-Match", `*`), body(`{}`)).code(t, http.StatusBadRequest, access.Invalid)
	s.call("POST", grant+"/shorten", as("alice"), with("If-Match", `*`), body(`{"duration":"5m","expires_at":"2030-01-01T00:00:00Z"}`)).code(t, http.StatusBadRequest, access.Invalid)
	s.call("POST", grant+"/shorten", as("mallory"), with("If-Match", `*`), body(`{"duration":"5m"}`)).code(t, http.StatusNotFound, access.NotFound)

	p = s.call("POST", grant+"/shorten", as("alice"), with("If-Match", `*`), body(`{"expires_at":"2020-01-01T00:00:00Z"}`)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, "/expires_at", p.Errors[0].Pointer)

	after := read[api.Grant](t, s.call("POST", grant+"/shorten", as("alice"), with("If-Match", seen.header.Get("ETag")), body(`{"duration":"5m"}`)).is(t, http.StatusOK))
	require.Equal(t, before.StartedAt.Add(5*time.Minute), after.ExpiresAt)
	later := after.ExpiresAt.Add(time.Hour).Format(time.RFC3339)
	s.call("POST", grant+"/shorten", as("alice"), with("If-Match", "*"), body(`{"expires_at":"`+later+`"}`)).code(t, http.StatusConflict, access.StateConflict)

	s.call("POST", grant+"/revoke", as("alice")).code(t, http.StatusForbidden, access.Forbidden)
	s.call("POST", grant+"/revoke", as("oprah"), body(`{"reason":"night shift"}`)).is(t, http.StatusAccepted)
}

func TestActivateEarly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := ask("pg/readonly")
	a["start_at"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	req := read[api.Request](t, s.call("POST", "/api/v1/requests", as("alice"), body(a)).is(t, http.StatusCreated))
	p := s.call("POST", "/api/v1/grants/"+req.Grants[0].ID.String()+"/activate", as("alice")).code(t, http.StatusConflict, access.StateConflict)
	require.Equal(t, "scheduled", p.Current)
	due := s.submit("alan", "pg/readonly")
	s.call("POST", "/api/v1/grants/"+due.Grants[0].ID.String()+"/activate", as("alan")).is(t, http.StatusAccepted)
}

func TestApply(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	at := "/api/v1/contracts/apply"
	s.call("POST", at, as("carol"), yaml(policy)).code(t, http.StatusPreconditionRequired, access.PreconditionMissing)
	s.call("POST", at, as("carol"), with("If-Match", `"0"`), yaml(policy+"\n---\n"+extra)).code(t, http.StatusPreconditionFailed, access.PreconditionFailed)
	same := s.call("POST", at, as("carol"), with("If-Match", `"1"`), yaml(policy)).is(t, http.StatusOK)
	require.False(t, read[api.Applied](t, same).Changed)
	require.Equal(t, `"1"`, same.header.Get("ETag"))

	files := map[string]any{"files": []any{
		map[string]any{"name": "base.yaml", "content": policy}, map[string]any{"name": "extra.yaml", "content": extra},
	}}
	diff := read[api.PolicyDiff](t, s.call("POST", "/api/v1/contracts/diff", as("audrey"), body(files)).is(t, http.StatusOK))
	require.Equal(t, api.PolicyDiff{Revision: 1, Changed: true, Added: []string{"Contract/extra"}, Updated: []string{}, Removed: []string{}}, diff)
	more := s.call("POST", at+"?note=more", as("carol"), with("If-Match", `"1"`), body(files)).is(t, http.StatusOK)
	require.Equal(t, `"2"`, more.header.Get("ETag"))
	require.Equal(t, []string{"Contract/extra"}, read[api.Applied](t, more).Added)

	revisions := read[api.RevisionPage](t, s.call("GET", "/api/v1/policy/revisions", as("audrey")).is(t, http.StatusOK))
	require.Len(t, revisions.Items, 2)
	require.Equal(t, "more", revisions.Items[0].Note)
	require.Equal(t, "Ms carol", revisions.Items[0].Author.Name)

	p := s.call("POST", at, as("carol"), with("If-Match", `"2"`), body(map[string]any{"files": []any{
		map[string]any{"name": "bad.yaml", "content": "apiVersion: rampkeeper/v1\nkind: Role\nmetadata: {name: x}\nspec: {titel: y}\n"},
	}})).code(t, http.StatusUnprocessableEntity, access.ContractInvalid)
	require.Equal(t, "bad.yaml", p.Errors[0].File)
	require.Equal(t, 4, p.Errors[0].Line)
	lint := read[api.LintAnswer](t, s.call("POST", "/api/v1/contracts/lint", as("mallory"), yaml("apiVersion: rampkeeper/v1\nkind: Role\n")).is(t, http.StatusOK))
	require.False(t, lint.OK)
	s.call("POST", "/api/v1/contracts/lint", as("alice"), body(`{"files":[{"name":"a","content":"x"},{"name":"a","content":"x"}]}`)).code(t, http.StatusBadRequest, access.Invalid)

	for _, who := range []string{"alice", "olive", "audrey", "oprah"} {
		s.call("POST", at, as(who), with("If-Match", "*"), yaml(policy)).code(t, http.StatusForbidden, access.Forbidden)
	}
	full := read[api.Contract](t, s.call("GET", "/api/v1/contracts/changes", as("carol")).is(t, http.StatusOK))
	require.Equal(t, "Contract", full.Document["kind"])
	require.Empty(t, read[api.Contract](t, s.call("GET", "/api/v1/contracts/changes", as("alice")).is(t, http.StatusOK)).Document)
}

const extra = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: extra}
spec:
  subjects: {any: [{group: owners}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {max: 1h}}
`

func TestVotes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit("alice", "pg/admin")
	path := "/api/v1/requests/" + req.ID.String() + "/votes"
	say := func(decision string) part {
		return body(map[string]any{"decision": decision, "reason": "because", "request_hash": req.RequestHash})
	}
	s.call("POST", path, as("alice"), say("approve")).code(t, http.StatusForbidden, access.SelfApproval)
	s.call("POST", path, as("audrey"), say("approve")).code(t, http.StatusForbidden, access.NotAnApprover)
	s.call("POST", path, as("mallory"), say("approve")).code(t, http.StatusNotFound, access.NotFound)
	s.call("POST", path, as("olive"), body(map[string]any{"decision": "approve", "request_hash": string(req.RequestHash[1:]) + "0"})).
		code(t, http.StatusConflict, access.StaleVote)
	p := s.call("POST", path, as("olive"), body(map[string]any{"decision": "maybe", "request_hash": "x"})).code(t, http.StatusBadRequest, access.Invalid)
	require.Len(t, p.Errors, 2)

	key := with("Idempotency-Key", "vote-1")
	s.call("POST", path, as("olive"), key, say("deny")).is(t, http.StatusOK)
	again := s.call("POST", path, as("olive"), key, say("deny")).is(t, http.StatusOK)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, access.Denied, read[api.Request](t, again).State)
	s.call("POST", path, as("olive"), key, say("approve")).code(t, http.StatusUnprocessableEntity, access.KeyReused)
	p = s.call("POST", path, as("oscar"), say("approve")).code(t, http.StatusConflict, access.StateConflict)
	require.Equal(t, "denied", p.Current)
}

func TestDryRunStoresNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.call("POST", "/api/v1/requests?dry_run=true", as("alice"), body(ask("pg/admin"))).is(t, http.StatusOK)
	require.Equal(t, access.Review, read[api.DryRun](t, a).Decision.Outcome)
	require.Empty(t, read[api.RequestPage](t, s.call("GET", "/api/v1/requests", as("audrey"))).Items)
}

func TestAuditLines(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.submit("alice", "pg/admin")
	a := s.call("GET", "/api/v1/audit/events?stream=policy", as("audrey"), with("Accept", "application/x-ndjson")).is(t, http.StatusOK)
	require.Equal(t, ndjsonType, a.header.Get("Content-Type"))
	e := read[api.Event](t, a)
	require.Equal(t, "policy.applied", e.Type)
	require.Equal(t, "Ms carol", e.ActorName)
	s.call("GET", "/api/v1/audit/events/"+e.ID.String(), as("audrey")).is(t, http.StatusOK)
	s.call("GET", "/api/v1/audit/events/"+e.ID.String(), as("alice")).code(t, http.StatusNotFound, access.NotFound)
}

func TestFirstPage(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	nobody := s.call("GET", "/").is(t, http.StatusOK)
	require.Contains(t, string(nobody.body), `href="/auth/login"`)
	require.Contains(t, string(s.call("GET", "/", as("alice")).body), "Ms alice")
	require.Equal(t, api.Discovery{API: base, Issuer: s.provider.URL, ClientID: "ramp", Scopes: []string{"openid"}},
		read[api.Discovery](t, s.call("GET", "/.well-known/rampkeeper")))
	require.NotContains(t, string(s.call("GET", "/openapi.json").body), "x-go-")
}

func TestCredentialsOfASessionStayOnTheSite(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	o := operations{s.Server}
	for _, site := range []string{"", "none", "same-site", "cross-site"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", site)
		c := &call{request: r}
		c.caller.SessionID[0] = 1
		_, err = o.GetCredentials(contextOf(t, c), api.GetCredentialsRequestObject{})
		require.ErrorIs(t, err, errCrossOrigin, site)
	}
}
