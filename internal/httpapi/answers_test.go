package httpapi

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestStrangersHearNothingOfTheirFaults(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, call := range [][2]string{
		{"POST", "/requests/x/withdraw"},
		{"GET", "/requests/x"},
		{"GET", "/requests?limit=x"},
		{"GET", "/requests?bogus=1"},
		{"GET", "/audit/events?after=x"},
		{"POST", "/requests"},
		{"DELETE", "/me/sessions/x"},
	} {
		s.call(call[0], "/api/v1"+call[1]).code(t, http.StatusUnauthorized, access.Unauthenticated)
	}
	s.call("POST", "/api/v1/requests", body("{")).code(t, http.StatusUnauthorized, access.Unauthenticated)
	s.call("POST", "/api/v1/requests/x/withdraw", as("alice")).code(t, http.StatusBadRequest, access.Invalid)
}

func TestParametersSayWhatIsWanted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, tt := range []struct {
		path string
		want api.Fault
	}{
		{"/requests?limit=x", api.Fault{Parameter: "limit", Detail: "is not a whole number"}},
		{"/requests?limit=0", api.Fault{Parameter: "limit", Detail: "must be at least 1"}},
		{"/requests?limit=1&limit=2", api.Fault{Parameter: "limit", Detail: "is given more than once"}},
		{"/requests?since=x", api.Fault{Parameter: "since", Detail: "is not an instant, such as 2026-11-23T14:00:00Z"}},
		{"/requests?since=0001-01-01T00:00:00Z", api.Fault{Parameter: "since", Detail: "is before 1970"}},
		{"/requests?state=x", api.Fault{Parameter: "state", Detail: "must be one of pending, approved, refused, denied, withdrawn, expired, invalidated"}},
		{"/requests?state=pending&state=denied", api.Fault{Parameter: "state", Detail: "is given more than once"}},
		{"/grants?live=x", api.Fault{Parameter: "live", Detail: "is neither true nor false"}},
		{"/requests/req_zz", api.Fault{Parameter: "request_id", Detail: "is not an id such as req_01m843dj1xftgsy5stz96vwa7j"}},
		{"/audit/events?after=x", api.Fault{Parameter: "after", Detail: "is neither start nor an id such as evt_01m843dj1xftgsy5stz96vwa7j"}},
	} {
		p := s.call("GET", "/api/v1"+tt.path, as("audrey")).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, []api.Fault{tt.want}, p.Errors, tt.path)
	}
}

func TestProblemsNameTheirPlace(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for call, place := range map[[2]string]string{
		{"GET", "/api/v1/requests/x?limit=1"}:                            "/api/v1/requests/x",
		{"GET", "/api/v1/nothing?x=1"}:                                   "/api/v1/nothing",
		{"PUT", "/api/v1/me"}:                                            "/api/v1/me",
		{"GET", "/auth/callback?code=secret"}:                            "/auth/callback",
		{"GET", "/api/v1/catalog/postgres%2Fdatabase:prod%2Fx?code=abc"}: "/api/v1/catalog/postgres%2Fdatabase:prod%2Fx",
	} {
		a := s.call(call[0], call[1], as("alice"))
		p := a.problem(t)
		require.Equal(t, place, p.Instance, "%s", a.body)
		require.Equal(t, presentations[access.Code(p.Code)].title, p.Title)
	}
}

func TestUnknownMembersAreRefusedThoughTheyAreNull(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`","bogus":null,"params":1}],"duration":null,"break_glass":null,"ticket":null}`)).
		code(t, http.StatusBadRequest, access.Invalid)
	require.ElementsMatch(t, []api.Fault{
		{Pointer: "/items/0/bogus", Detail: "is not a member of this object"},
		{Pointer: "/items/0/params", Detail: "is not a member of this object"},
		{Pointer: "/break_glass", Detail: "is not a member of this object"},
	}, p.Errors)
	p = s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":null,"duration":"1h"}`)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, []api.Fault{{Pointer: "/items", Detail: "is missing"}}, p.Errors)
}

func TestTheZeroInstantIsNotAbsent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{"0001-01-01T00:00:00Z", "0001-01-01T01:00:00+01:00", "2020-01-01T00:00:00Z"} {
		a := ask("pg/admin")
		a["start_at"] = bad
		for _, path := range []string{"/requests", "/requests?dry_run=true", "/decisions/explain"} {
			p := s.call("POST", "/api/v1"+path, as("alice"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
			require.Equal(t, "/start_at", p.Errors[0].Pointer, "%s %s", path, bad)
		}
	}
	made := s.submit("alice", "pg/readonly")
	grant := "/api/v1/grants/" + made.Grants[0].ID.String() + "/shorten"
	for _, bad := range []string{`{"expires_at":"0001-01-01T00:00:00Z"}`, `{"expires_at":"0001-01-01T00:00:00Z","duration":"10m"}`} {
		p := s.call("POST", grant, as("alice"), with("If-Match", "*"), body(bad)).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/expires_at", p.Errors[0].Pointer, bad)
	}
}

func TestAQuestionNeedNotSayHowLongAndWhy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	question := `{"items":[{"role":"pg/admin","resource":"` + orders + `"}]}`
	d := read[access.Decision](t, s.call("POST", "/api/v1/decisions/explain", as("alice"), body(question)).is(t, http.StatusOK))
	require.Equal(t, access.Review, d.Outcome)
	require.Equal(t, access.Seconds(3600), d.Items[0].Offer.Duration)
	s.call("POST", "/api/v1/requests?dry_run=true", as("alice"), body(question)).code(t, http.StatusBadRequest, access.Invalid)
}

func TestADecisionOnRecordShowsTheDigestThatItsEventShows(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit("alice", "pg/admin")
	d := read[access.Decision](t, s.call("GET", "/api/v1/decisions/"+req.Decision.ID.String(), as("alice")).is(t, http.StatusOK))
	story := read[api.Timeline](t, s.call("GET", "/api/v1/requests/"+req.ID.String()+"/timeline", as("alice")).is(t, http.StatusOK))
	require.Equal(t, string(d.FactsDigest), story.Items[0].Data["facts_digest"])
	require.NotEmpty(t, d.FactsDigest)
	tried := read[access.Decision](t, s.call("POST", "/api/v1/decisions/explain", as("alice"), body(ask("pg/admin"))).is(t, http.StatusOK))
	require.Empty(t, tried.FactsDigest)
}

func TestASubjectAloneIsOneOfTheCallersProvider(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.submit("alice", "pg/admin")
	for _, who := range []string{"alice", s.provider.URL + "|alice"} {
		page := read[api.RequestPage](t, s.call("GET", "/api/v1/requests?requester="+url.QueryEscape(who), as("audrey")).is(t, http.StatusOK))
		require.Len(t, page.Items, 1, who)
		log := read[api.EventPage](t, s.call("GET", "/api/v1/audit/events?actor="+url.QueryEscape(who), as("audrey")).is(t, http.StatusOK))
		require.NotEmpty(t, log.Items, who)
		a := ask("pg/admin")
		a["subject"] = who
		s.call("POST", "/api/v1/decisions/explain", as("audrey"), body(a)).is(t, http.StatusOK)
	}
	a := ask("pg/admin")
	a["subject"] = "nobody"
	p := s.call("POST", "/api/v1/decisions/explain", as("audrey"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, "/subject", p.Errors[0].Pointer)
}
