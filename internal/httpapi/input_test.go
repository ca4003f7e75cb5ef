package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The numbers are those of SECURITY.md.

func TestO1LargeBodies(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := ask("pg/admin")
	a["reason"] = strings.Repeat("x", 4096)
	s.call("POST", "/api/v1/requests", as("alice"), body(a)).is(t, http.StatusCreated)
	a["reason"] = strings.Repeat("x", 4097)
	p := s.call("POST", "/api/v1/requests", as("alan"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, []api.Fault{{Pointer: "/reason", Detail: "is 4097 bytes long; at most 4096 are kept"}}, p.Errors)
	a["reason"] = strings.Repeat("ü", 4096) // 8192 bytes
	p = s.call("POST", "/api/v1/requests", as("alan"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, "/reason", p.Errors[0].Pointer)

	large := `{"reason":"` + strings.Repeat("x", 10<<20) + `"}`
	s.call("POST", "/api/v1/requests", as("alice"), body(large)).code(t, http.StatusRequestEntityTooLarge, access.TooLarge)
	unsized := func(_ *scene, r *http.Request) { // nobody says how much is coming
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(large)), -1
		r.Header.Set("Content-Type", jsonType)
	}
	s.call("POST", "/api/v1/requests", as("alice"), unsized).code(t, http.StatusRequestEntityTooLarge, access.TooLarge)
	comment := "# " + strings.Repeat("x", 2<<20) + "\n" + policy
	s.call("POST", "/api/v1/contracts/lint", as("alice"), yaml(comment)).is(t, http.StatusOK)
}

func TestO2Durations(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{`"0"`, `"-1h"`, `"1e9h"`, `"P1M"`, `"1.5h"`, `"  1h"`, `"9223372036854775808s"`, `""`, `"1h "`, `60`, `["1h"]`} {
		p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}],"duration":`+bad+`}`)).
			code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/duration", p.Errors[0].Pointer, bad)
	}
	for _, bad := range []string{"0", "-60", "1.5", "1e300", "9223372036854775808", "315360001", `"60"`} {
		p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}],"duration_seconds":`+bad+`}`)).
			code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/duration_seconds", p.Errors[0].Pointer, bad)
	}
	for _, bad := range []string{``, `,"duration":"1h","duration_seconds":3600`} {
		s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}]`+bad+`}`)).
			code(t, http.StatusBadRequest, access.Invalid)
	}
	long := ask("pg/admin")
	long["duration"] = "3h"
	a := s.call("POST", "/api/v1/requests", as("alice"), body(long))
	p := a.code(t, http.StatusUnprocessableEntity, access.PolicyRefused)
	require.Equal(t, access.DurationTooLong, p.Reasons[0].Code)
	require.Contains(t, p.Reasons[0].Fix+p.Reasons[0].Message, "2h")
	require.False(t, p.DecisionID.IsZero())
	refused := read[api.Request](t, s.call("GET", a.header.Get("Location"), as("alice")).is(t, http.StatusOK))
	require.Equal(t, access.Refused, refused.State)
}

func TestO3StrictMembers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"x","role":"pg/readonly"}],"Items":[],"duration":"1h","duration":"2h"}`)).
		code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, []api.Fault{
		{Pointer: "/items/0/role", Detail: "is given twice"},
		{Pointer: "/Items", Detail: "differs only in case from items"},
		{Pointer: "/duration", Detail: "is given twice"},
	}, p.Errors)

	p = s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":1,"resource":"a b"}],"bogus":1,"duration":7200,"actor":"x","reason":["x"],"Ticket":"T-1"}`)).
		code(t, http.StatusBadRequest, access.Invalid)
	require.ElementsMatch(t, []api.Fault{
		{Pointer: "/items/0/role", Detail: "is of type number, and must be string"},
		{Pointer: "/items/0/resource", Detail: "must be an exact name, without blanks, control characters and *"},
		{Pointer: "/duration", Detail: "is of type number, and must be string"},
		{Pointer: "/reason", Detail: "is of type array, and must be string"},
		{Pointer: "/bogus", Detail: "is not a member of this object"},
		{Pointer: "/actor", Detail: "is not a member of this object"},
		{Pointer: "/Ticket", Detail: "is not a member of this object"},
	}, p.Errors)

	nulls := `{"items":[{"role":"pg/admin","resource":"` + orders + `"}],"duration":"1h","duration_seconds":null,"ticket":null,"start_at":null}`
	s.call("POST", "/api/v1/requests", as("alice"), body(nulls)).is(t, http.StatusCreated)
}

func TestO4HiddenCharacters(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{`\u0000`, `\ud800`, `\udc00`, `\ud800A`, `\u202e`, `\u200b`, `\u001b[31m`, "\u202e"} {
		for _, body := range []string{
			`{"items":[{"role":"pg/admin","resource":"` + orders + `"}],"duration":"1h","reason":"x` + bad + `y"}`,
			`{"items":[{"role":"pg/admin","resource":"` + orders + bad + `"}],"duration":"1h","reason":"xy"}`,
		} {
			s.call("POST", "/api/v1/requests", as("alice"), raw(jsonType, body)).code(t, http.StatusBadRequest, access.Invalid)
		}
	}
	for _, bad := range []string{"%00", "%ff", "%e2%80%ae"} {
		p := s.call("GET", "/api/v1/catalog?q="+bad, as("alice")).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "q", p.Errors[0].Parameter)
		s.call("GET", "/api/v1/contracts/x"+bad, as("alice"))
		s.call("GET", "/api/v1/catalog/x"+bad, as("alice"))
	}
	s.call("GET", "/api/v1/contracts/x%00", as("alice")).code(t, http.StatusBadRequest, access.Invalid)
	s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}],"duration":"1h","reason":"fine \ud83d\ude80 \\u0000"}`)).is(t, http.StatusCreated)
}

func TestO5OneDocument(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := `{"items":[{"role":"pg/admin","resource":"` + orders + `"}],"duration":"1h","reason":"x"}`
	for _, bad := range []string{"\xef\xbb\xbf" + good, good + good, good + "x", strings.Replace(good, `"x"`, "\"\xff\"", 1), ""} {
		s.call("POST", "/api/v1/requests", as("alice"), body(bad)).code(t, http.StatusBadRequest, access.Invalid)
	}
	s.call("POST", "/api/v1/requests", as("alice"), body(" "+good+"\n")).is(t, http.StatusCreated)
}

func TestO6StartTimes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{"2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "tomorrow", "2026-11-23T14:00:00"} {
		a := ask("pg/admin")
		a["start_at"] = bad
		p := s.call("POST", "/api/v1/requests", as("alice"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/start_at", p.Errors[0].Pointer, bad)
	}
}
