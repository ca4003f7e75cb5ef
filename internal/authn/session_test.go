package authn_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/devmode/idp"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func request(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
}

func sharedDB(t *testing.T) (*pgtest.DB, *clock) {
	t.Helper()
	return pgtest.New(t), newClock()
}

// known gives what the store knows of a person.
func known(t *testing.T, s *site, id access.PrincipalID) (who access.Subject) {
	t.Helper()
	require.NoError(t, s.store.InTx(t.Context(), func(tx *store.Tx) (err error) {
		who, err = tx.Principal(t.Context(), id)
		return err
	}))
	return who
}

// trail gives the types of the audit events about a person.
func trail(t *testing.T, db *pgtest.DB, id access.PrincipalID) (types []string) {
	t.Helper()
	rows, err := db.Admin(t).Query(t.Context(), `select event_type from audit.event where stream = $1 order by version`, access.PrincipalStream(id))
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		types = append(types, name)
	}
	require.NoError(t, rows.Err())
	return types
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	_, code := b.me()
	require.Equal(t, access.Unauthenticated, code)

	in := b.signIn("otto")

	set := cookie(in, authn.SessionCookie)
	require.Equal(t, &http.Cookie{
		Name: "__Host-rampkeeper", Value: set.Value, Path: "/", MaxAge: 8 * 60 * 60,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode, Raw: set.Raw,
	}, set)
	require.Len(t, set.Value, 43, "256 bits")
	who, code := b.me()
	require.Empty(t, code)
	require.Equal(t, "Otto Operator", who.Name)
	require.Equal(t, "otto", who.Username)
	require.Equal(t, "otto@example.com", who.Email)
	require.Equal(t, "otto", who.ID.Subject())
	require.Equal(t, []string{"operators"}, who.Groups)
	require.True(t, who.GroupsKnown)
	require.Equal(t, []access.AppRole{access.Operator}, who.Roles)
	require.False(t, who.SessionID.IsZero())
	require.WithinDuration(t, s.clock.now(), who.AuthTime, time.Minute)

	out := b.do(http.MethodPost, "/auth/logout", url.Values{})
	require.Equal(t, http.StatusSeeOther, out.StatusCode)
	require.Negative(t, cookie(out, authn.SessionCookie).MaxAge)
	_, code = b.me()
	require.Equal(t, access.Unauthenticated, code)
}

func TestO28CookieReplayedAfterLogout(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	secret := cookie(b.signIn("ada"), authn.SessionCookie).Value
	replay := func(value string) error {
		r := request(t)
		r.AddCookie(&http.Cookie{Name: authn.SessionCookie, Value: value})
		_, err := s.auth.Authenticate(r)
		return err
	}
	require.NoError(t, replay(secret))
	over := &access.Error{Code: access.SessionExpired, Message: "Your session is over. Sign in again."}
	for _, other := range []string{secret[1:], secret + "A", swapCase(secret), ""} {
		require.Equal(t, over, access.AsError(replay(other)), "%q", other)
	}

	b.do(http.MethodPost, "/auth/logout", url.Values{})

	require.Equal(t, over, access.AsError(replay(secret)))
}

func TestSignInIsOnTheRecord(t *testing.T) {
	t.Parallel()
	db, c := sharedDB(t)
	s := &site{Server: httptest.NewUnstartedServer(nil), clock: c, store: db.Store(t, store.WithClock(c.now))}
	t.Cleanup(s.Close)
	_, issuer := provide(t, s)
	start(t, s, authn.Config{Issuer: issuer})
	b := s.browser(t)

	secret := cookie(b.signIn("ada"), authn.SessionCookie).Value
	b.do(http.MethodPost, "/auth/logout", url.Values{})

	require.Equal(t, []string{"auth.groups_changed", "auth.signed_in", "auth.signed_out"}, trail(t, db, access.NewPrincipalID(issuer, "ada")))
	var leaks int
	require.NoError(t, db.Admin(t).QueryRow(t.Context(),
		`select count(*) from audit.event where strpos(convert_from(entry, 'UTF8'), $1) > 0`, secret).Scan(&leaks))
	require.Zero(t, leaks, "the cookie's value is nowhere")
}

func TestSessionIDChangesAtEachLogin(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	first := cookie(b.signIn("ada"), authn.SessionCookie).Value
	second := cookie(b.signIn("grace"), authn.SessionCookie).Value
	require.NotEqual(t, first, second)

	who, code := b.me()
	require.Empty(t, code)
	require.Equal(t, "grace", who.ID.Subject())
	r := request(t)
	r.AddCookie(&http.Cookie{Name: authn.SessionCookie, Value: first})
	_, err := s.auth.Authenticate(r)
	require.Equal(t, access.SessionExpired, access.AsError(err).Code, "the one before ended")
}

func TestPlantedSessionIsNotTakenOver(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	site, err := url.Parse(s.URL)
	require.NoError(t, err)
	planted := strings.Repeat("A", 43)
	b.Jar.SetCookies(site, []*http.Cookie{{Name: authn.SessionCookie, Value: planted, Path: "/", Secure: true}})

	require.NotEqual(t, planted, cookie(b.signIn("ada"), authn.SessionCookie).Value)

	r := request(t)
	r.AddCookie(&http.Cookie{Name: authn.SessionCookie, Value: planted})
	_, err = s.auth.Authenticate(r)
	require.Equal(t, access.SessionExpired, access.AsError(err).Code)
}

func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	t.Run("Idle", func(t *testing.T) {
		t.Parallel()
		s, _ := withProvider(t)
		b := s.browser(t)
		b.signIn("ada")
		s.clock.pass(30*time.Minute - time.Second)
		_, code := b.me()
		require.Empty(t, code)
		s.clock.pass(30*time.Minute - time.Second)
		_, code = b.me()
		require.Empty(t, code, "use keeps it")
		s.clock.pass(30 * time.Minute)
		_, code = b.me()
		require.Equal(t, access.SessionExpired, code)
	})
	t.Run("AfterEightHours", func(t *testing.T) {
		t.Parallel()
		s, _ := withProvider(t)
		b := s.browser(t)
		b.signIn("ada")
		for range 23 {
			s.clock.pass(20 * time.Minute)
			_, code := b.me()
			require.Empty(t, code)
		}
		s.clock.pass(20*time.Minute - time.Second)
		_, code := b.me()
		require.Empty(t, code)
		s.clock.pass(time.Second)
		_, code = b.me()
		require.Equal(t, access.SessionExpired, code, "use does not keep it for ever")
	})
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	laptop, phone, other := s.browser(t), s.browser(t), s.browser(t)
	laptop.signIn("ada")
	s.clock.pass(time.Second)
	phone.signIn("ada")
	other.signIn("grace")
	ada, _ := laptop.me()
	onPhone, _ := phone.me()
	grace, _ := other.me()

	list, err := s.auth.Sessions(t.Context(), ada)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, []access.SessionID{onPhone.SessionID, ada.SessionID}, []access.SessionID{list[0].ID, list[1].ID})

	err = s.auth.RevokeSession(t.Context(), grace, onPhone.SessionID)
	require.Equal(t, &access.Error{Code: access.NotFound, Message: "You have no session with this id; it may be over already."}, err)
	require.NoError(t, s.auth.RevokeSession(t.Context(), ada, onPhone.SessionID))
	_, code := phone.me()
	require.Equal(t, access.SessionExpired, code)
	_, code = laptop.me()
	require.Empty(t, code)

	s.clock.pass(31 * time.Minute)
	list, err = s.auth.Sessions(t.Context(), ada)
	require.NoError(t, err)
	require.Empty(t, list, "a session that has rested too long is no session")
}

func TestSessionSurvivesRestart(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	ada := cookie(b.signIn("ada"), authn.SessionCookie).Value
	who, _ := b.me()

	again, err := authn.New(t.Context(), settings(authn.Config{Issuer: who.ID.Issuer()}, s), s.store)
	require.NoError(t, err)
	r := request(t)
	r.AddCookie(&http.Cookie{Name: authn.SessionCookie, Value: ada})
	got, err := again.Authenticate(r)
	require.NoError(t, err)
	require.Equal(t, who, got)
}

func TestLogoutOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	b.signIn("ada")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/auth/logout", nil)
	require.NoError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := b.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()

	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	var problem map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&problem))
	require.Equal(t, map[string]any{
		"type": "/problems/cross_origin", "title": "Refused from another site", "status": 403.0, "code": "cross_origin",
		"detail": "Only pages of this server can sign you out.", "instance": "/auth/logout", "request_id": "",
	}, problem)
	_, code := b.me()
	require.Empty(t, code)
}

func TestGroupsAtEachLogin(t *testing.T) {
	t.Parallel()
	s, provider := withProvider(t)
	b := s.browser(t)
	b.signIn("otto")
	s.clock.pass(time.Second)

	provider.SetGroups("otto", "engineers")
	b.signIn("otto")
	who, code := b.me()
	require.Empty(t, code)
	require.Equal(t, []string{"engineers"}, who.Groups, "the operators are forgotten")
	require.Empty(t, who.Roles)

	for name, faults := range map[string]idp.Faults{
		"O22Overage": idp.Overage(),
		"O22Scalar":  {Claims: map[string]any{"groups": "operators"}},
		"O22Missing": {Claims: map[string]any{"groups": nil}},
	} {
		provider.Break(idp.Faults{})
		provider.SetGroups("otto", "operators")
		b.signIn("otto")
		who, _ = b.me()
		require.Equal(t, []access.AppRole{access.Operator}, who.Roles, name)

		provider.Break(faults)
		b.signIn("otto")
		who, code = b.me()
		require.Empty(t, code, "%s: signed in all the same", name)
		require.False(t, who.GroupsKnown, name)
		require.Empty(t, who.Groups, name)
		require.Empty(t, who.Roles, name)
	}
}

// TestO23 says what leaving does here: no new login, no new token, and no
// session longer than the old one's rest. Ending grants is the broker's.
func TestO23WhoLeftGetsNoFurther(t *testing.T) {
	t.Parallel()
	s, provider := withProvider(t)
	b := s.browser(t)
	b.signIn("ada")
	late := s.browser(t)
	back := late.approach("ada", "/")
	provider.Remove("ada")

	a := late.get(back)
	require.Contains(t, a.body, "You are not signed in")
	require.Nil(t, cookie(a, authn.SessionCookie))
	_, err := provider.Token("ada", time.Hour)
	require.Error(t, err)
	s.clock.pass(8 * time.Hour)
	_, code := b.me()
	require.Equal(t, access.SessionExpired, code)
}

func TestSessionEndsWhenAnotherIssuerIsTrusted(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	secret := cookie(b.signIn("otto"), authn.SessionCookie).Value

	moved, err := authn.New(t.Context(), settings(authn.Config{Issuer: newIssuer(t).URL}, s), s.store)
	require.NoError(t, err)

	r := request(t)
	r.AddCookie(&http.Cookie{Name: authn.SessionCookie, Value: secret})
	_, err = moved.Authenticate(r)
	require.Equal(t, access.SessionExpired, access.AsError(err).Code)
}
