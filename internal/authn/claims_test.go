package authn_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
)

func TestO19EmailCountsOnlyWhenVerified(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	now := s.clock.now()
	for name, tt := range map[string]struct {
		changed map[string]any
		email   string
	}{
		"True":      {nil, "ada@example.com"},
		"False":     {map[string]any{"email_verified": false}, ""},
		"TextTrue":  {map[string]any{"email_verified": "true"}, ""},
		"TextFalse": {map[string]any{"email_verified": "false"}, ""},
		"One":       {map[string]any{"email_verified": 1}, ""},
		"Missing":   {map[string]any{"email_verified": nil}, ""},
		"OddCase":   {map[string]any{"email_verified": nil, "Email_Verified": true}, ""},
		"TwoAts":    {map[string]any{"email": "a@evil@example.com"}, ""},
		"NoAt":      {map[string]any{"email": "ada"}, ""},
		"List":      {map[string]any{"email": []string{"ada@example.com"}}, ""},
		"Hidden":    {map[string]any{"email": "ada\u202e@example.com"}, ""},
	} {
		who, code := s.bearer(t, i.token(t, now, tt.changed))
		require.Empty(t, code, name)
		want := i.ada(now)
		want.Email = tt.email
		require.Equal(t, want, who.Subject, name)
	}
}

func TestO20SameMailIsNotTheSamePerson(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	now := s.clock.now()
	ada, code := s.bearer(t, i.token(t, now, nil))
	require.Empty(t, code)

	twin, code := s.bearer(t, i.token(t, now, map[string]any{"sub": "ada2", "groups": []string{}}))

	require.Empty(t, code)
	require.Equal(t, ada.Email, twin.Email)
	require.NotEqual(t, ada.ID, twin.ID)
	require.Empty(t, twin.Groups)
	require.Equal(t, []string{"engineers"}, known(t, s, ada.ID).Groups)
}

func TestO21SameSubjectElsewhereIsNotTheSamePerson(t *testing.T) {
	t.Parallel()
	db, c := sharedDB(t)
	one, two := newIssuer(t), newIssuer(t)
	first := serveOn(t, db, c, authn.Config{Issuer: one.URL})
	second := serveOn(t, db, c, authn.Config{Issuer: two.URL})

	ada, code := first.bearer(t, one.token(t, c.now(), nil))
	require.Empty(t, code)
	namesake, code := second.bearer(t, two.token(t, c.now(), map[string]any{"groups": []string{"operators"}}))
	require.Empty(t, code)

	require.NotEqual(t, ada.ID, namesake.ID)
	require.Equal(t, []string{"engineers"}, known(t, first, ada.ID).Groups)
	_, code = second.bearer(t, one.token(t, c.now(), nil))
	require.Equal(t, access.Unauthenticated, code)
}

func TestO22OddGroupsGiveNone(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	now := s.clock.now()
	many := func(n int) (list []string) {
		for g := range n {
			list = append(list, fmt.Sprintf("g%04d", g))
		}
		return list
	}
	for name, tt := range map[string]struct {
		changed map[string]any
		groups  []string
		known   bool
	}{
		"Some":      {nil, []string{"engineers"}, true},
		"None":      {map[string]any{"groups": []string{}}, nil, true},
		"Thousand":  {map[string]any{"groups": many(1000)}, many(1000), true},
		"Missing":   {map[string]any{"groups": nil}, nil, false},
		"Overage":   {map[string]any{"groups": nil, "_claim_names": map[string]string{"groups": "s"}, "_claim_sources": map[string]any{"s": map[string]string{"endpoint": "https://x.example.com"}}}, nil, false},
		"Both":      {map[string]any{"_claim_names": map[string]string{"groups": "s"}, "_claim_sources": map[string]any{"s": map[string]string{"endpoint": "https://x.example.com"}}}, nil, false},
		"Scalar":    {map[string]any{"groups": "operators"}, nil, false},
		"Commas":    {map[string]any{"groups": "operators,engineers"}, nil, false},
		"Number":    {map[string]any{"groups": 1}, nil, false},
		"Null":      {map[string]any{"groups": json.RawMessage("null")}, nil, false},
		"True":      {map[string]any{"groups": true}, nil, false},
		"Object":    {map[string]any{"groups": map[string]bool{"operators": true}}, nil, false},
		"Nested":    {map[string]any{"groups": []any{"engineers", []string{"operators"}}}, nil, false},
		"WithNull":  {map[string]any{"groups": []any{"engineers", nil}}, nil, false},
		"Empty":     {map[string]any{"groups": []string{""}}, nil, false},
		"Hidden":    {map[string]any{"groups": []string{"opera\u200btors"}}, nil, false},
		"Long":      {map[string]any{"groups": []string{strings.Repeat("g", 300)}}, nil, false},
		"TooMany":   {map[string]any{"groups": many(1001)}, nil, false},
		"OddCase":   {map[string]any{"groups": nil, "Groups": []string{"operators"}}, nil, false},
		"NoPrefix":  {map[string]any{"groups": []string{"operators-eu", "operator", "Operators"}}, []string{"Operators", "operator", "operators-eu"}, true},
		"Operators": {map[string]any{"groups": []string{"operators"}}, []string{"operators"}, true},
	} {
		who, code := s.bearer(t, i.token(t, now, tt.changed))
		require.Empty(t, code, name)
		want := access.Caller{Subject: i.ada(now)}
		want.Groups, want.GroupsKnown = tt.groups, tt.known
		if name == "Operators" {
			want.Roles = []access.AppRole{access.Operator}
		}
		require.Equal(t, want, who, name)
	}
}

func TestGroupsAreReplacedNeverAdded(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	old := i.token(t, s.clock.now(), map[string]any{"groups": []string{"engineers", "operators"}})
	who, code := s.bearer(t, old)
	require.Empty(t, code)
	require.Equal(t, []string{"engineers", "operators"}, known(t, s, who.ID).Groups)

	s.clock.pass(2 * time.Minute)
	_, code = s.bearer(t, i.token(t, s.clock.now(), map[string]any{"groups": []string{"security"}}))
	require.Empty(t, code)
	require.Equal(t, []string{"security"}, known(t, s, who.ID).Groups)

	s.clock.pass(2 * time.Minute)
	_, code = s.bearer(t, i.token(t, s.clock.now(), map[string]any{"groups": "operators"}))
	require.Empty(t, code)
	require.False(t, known(t, s, who.ID).GroupsKnown, "not the ones before")
	require.Empty(t, known(t, s, who.ID).Groups)

	s.clock.pass(2 * time.Minute)
	who, code = s.bearer(t, old)
	require.Empty(t, code)
	require.Empty(t, known(t, s, who.ID).Groups, "an older token brings nothing back")
	require.Empty(t, who.Roles, "nor for its holder")
}
