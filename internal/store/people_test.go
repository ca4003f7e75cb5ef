package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at opens a store whose clock the test sets.
func at(t *testing.T) (*store.Store, *time.Time) {
	t.Helper()
	now := noon
	return pgtest.Store(t, store.WithClock(func() time.Time { return now })), &now
}

func person(id access.PrincipalID, groups ...string) access.Subject {
	return access.Subject{ID: id, Name: id.Subject(), Groups: groups, GroupsKnown: true}
}

// Groups are replaced as a whole, and each change is an event; an older token
// brings nothing back.
func TestUpsertPrincipal(t *testing.T) {
	t.Parallel()
	s, now := at(t)
	see := func(p access.Subject, issued time.Time) {
		t.Helper()
		inTx(t, s, func(tx *store.Tx) error { return tx.UpsertPrincipal(t.Context(), p, issued) })
	}
	stored := func() (p access.Subject) {
		t.Helper()
		inTx(t, s, func(tx *store.Tx) (err error) { p, err = tx.Principal(t.Context(), alice); return err })
		return p
	}
	type change struct {
		Added   []string `json:"added"`
		Removed []string `json:"removed"`
		Known   bool     `json:"known"`
	}

	see(person(alice, "ops", "dba", "ops"), noon)
	require.Equal(t, person(alice, "dba", "ops"), stored(), "sorted, each once")
	*now = noon.Add(time.Minute)
	renamed := person(alice, "ops", "dba")
	renamed.Name, renamed.Email, renamed.Username = "Alice A.", "alice@example.com", "alice"
	see(renamed, noon.Add(time.Minute))
	renamed.Groups = []string{"dba", "ops"}
	require.Equal(t, renamed, stored())
	see(person(alice, "ops", "root"), noon.Add(2*time.Minute))
	see(person(alice, "dba", "root", "admin"), noon.Add(time.Minute)) // an older token
	require.Equal(t, person(alice, "ops", "root"), stored())
	see(access.Subject{ID: alice, Groups: []string{"ops"}}, noon.Add(3*time.Minute)) // no usable claim
	require.Equal(t, access.Subject{ID: alice}, stored())
	see(access.Subject{ID: alice}, noon.Add(3*time.Minute))

	var changes []change
	for _, row := range eventsOf(t, s, access.PrincipalStream(alice)) {
		require.Equal(t, access.GroupsChanged, row.Type)
		e, err := row.Decode()
		must(t, err)
		var c change
		must(t, json.Unmarshal(e.Data, &c))
		changes = append(changes, c)
	}
	require.Equal(t, []change{
		{[]string{"dba", "ops"}, []string{}, true},
		{[]string{"root"}, []string{"dba"}, true},
		{[]string{}, []string{"ops", "root"}, false},
	}, changes)
}

func TestPeopleMatching(t *testing.T) {
	t.Parallel()
	s, _ := at(t)
	carol := access.PrincipalID("https://idp.example|carol")
	inTx(t, s, func(tx *store.Tx) error {
		must(t, tx.UpsertPrincipal(t.Context(), person(carol, "ops"), noon))
		must(t, tx.UpsertPrincipal(t.Context(), person(bob), noon))
		return tx.UpsertPrincipal(t.Context(), person(alice, "dba", "ops"), noon)
	})
	for name, tt := range map[string]struct {
		whos []access.Who
		want []access.Subject
	}{
		"nobody":              {nil, []access.Subject{}},
		"a user":              {[]access.Who{{User: bob}}, []access.Subject{person(bob)}},
		"a group":             {[]access.Who{{Group: "ops"}}, []access.Subject{person(alice, "dba", "ops"), person(carol, "ops")}},
		"both, each once":     {[]access.Who{{Group: "dba"}, {User: alice}, {Group: "ops"}}, []access.Subject{person(alice, "dba", "ops"), person(carol, "ops")}},
		"a stranger":          {[]access.Who{{User: "x|y"}, {Group: "nobody"}}, []access.Subject{}},
		"an empty group name": {[]access.Who{{}}, []access.Subject{}},
	} {
		inTx(t, s, func(tx *store.Tx) error {
			got, err := tx.PeopleMatching(t.Context(), tt.whos)
			must(t, err)
			require.Equal(t, tt.want, got, name)
			return nil
		})
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s, now := at(t)
	hash := func(b byte) []byte { h := make([]byte, 32); h[0] = b; return h }
	open := func(b byte, who access.PrincipalID) (opened store.Session) {
		t.Helper()
		inTx(t, s, func(tx *store.Tx) error {
			must(t, tx.UpsertPrincipal(t.Context(), person(who, "ops"), noon))
			opened = store.Session{
				ID: access.NewID[access.SessionID](tx.Now), TokenHash: hash(b), Principal: who, AuthTime: noon.Add(-time.Minute),
				ExpiresAt: tx.Now.Add(time.Hour), ClientAddr: "192.0.2.1", UserAgent: "test",
			}
			must(t, tx.InsertSession(t.Context(), opened))
			opened.CreatedAt, opened.LastSeenAt = tx.Now, tx.Now
			return nil
		})
		return opened
	}
	list := func(who access.PrincipalID) (all []store.Session) {
		t.Helper()
		inTx(t, s, func(tx *store.Tx) (err error) { all, err = tx.Sessions(t.Context(), who); return err })
		return all
	}
	first := open(1, alice)
	*now = now.Add(time.Second)
	second, other := open(2, alice), open(3, bob)
	require.Equal(t, []store.Session{second, first}, list(alice))

	*now = now.Add(time.Minute)
	inTx(t, s, func(tx *store.Tx) error {
		must(t, tx.TouchSession(t.Context(), first.ID))
		got, who, err := tx.Session(t.Context(), hash(1))
		must(t, err)
		first.LastSeenAt = tx.Now
		require.Equal(t, first, got)
		require.Equal(t, person(alice, "ops"), who)
		_, _, err = tx.Session(t.Context(), hash(9))
		require.ErrorIs(t, err, store.ErrNotFound)
		return nil
	})
	inTx(t, s, func(tx *store.Tx) error {
		must(t, tx.DeleteSessionByHash(t.Context(), hash(2)))
		must(t, tx.DeleteSessionByHash(t.Context(), hash(2)))
		require.ErrorIs(t, tx.DeleteSession(t.Context(), alice, other.ID), store.ErrNotFound, "somebody else's")
		return tx.DeleteSession(t.Context(), bob, other.ID)
	})
	require.Equal(t, []store.Session{first}, list(alice))
	*now = now.Add(time.Hour)
	require.Empty(t, list(alice), "expired")
	*now = now.Add(24 * time.Hour)
	inTx(t, s, func(tx *store.Tx) error { return tx.DeleteStale(t.Context()) })
	*now = noon
	require.Empty(t, list(alice), "and forgotten")

	trail := func(who access.PrincipalID) (types []access.EventType) {
		for _, row := range eventsOf(t, s, access.PrincipalStream(who)) {
			types = append(types, row.Type)
		}
		return types
	}
	require.Equal(t, []access.EventType{access.GroupsChanged, access.SignedIn, access.SignedIn, access.SignedOut}, trail(alice))
	require.Equal(t, []access.EventType{access.GroupsChanged, access.SignedIn, access.SignedOut}, trail(bob))
}

// A sign-in is taken up once, in time.
func TestLogins(t *testing.T) {
	t.Parallel()
	s, now := at(t)
	login := func(b byte) store.Login {
		h := make([]byte, 32)
		h[0] = b
		return store.Login{StateHash: h, Nonce: "n", Verifier: "v", ReturnTo: "/", ExpiresAt: now.Add(time.Minute)}
	}
	a, b := login(1), login(2)
	take := func(l store.Login) (got store.Login, err error) {
		err = s.InTx(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.TakeLogin(t.Context(), l.StateHash); return err })
		return got, err
	}
	inTx(t, s, func(tx *store.Tx) error {
		must(t, tx.InsertLogin(t.Context(), a))
		return tx.InsertLogin(t.Context(), b)
	})
	got, err := take(a)
	must(t, err)
	require.Equal(t, a, got)
	_, err = take(a)
	require.ErrorIs(t, err, store.ErrNotFound, "used")
	*now = b.ExpiresAt
	_, err = take(b)
	require.ErrorIs(t, err, store.ErrNotFound, "too late")
}

func TestUseKey(t *testing.T) {
	t.Parallel()
	s, now := at(t)
	inTx(t, s, func(tx *store.Tx) error { return tx.UpsertPrincipal(t.Context(), person(alice), noon) })
	use := func(key string, body access.Digest, object access.RequestID) (got access.RequestID, replayed bool, err error) {
		err = s.InTx(t.Context(), func(tx *store.Tx) (err error) {
			got, replayed, err = tx.UseKey(t.Context(), alice, key, body, object)
			return err
		})
		return got, replayed, err
	}
	one, two := access.NewID[access.RequestID](noon), access.NewID[access.RequestID](noon)

	got, replayed, err := use("k", "body", one)
	must(t, err)
	require.Equal(t, one, got)
	require.False(t, replayed)
	got, replayed, err = use("k", "body", two)
	must(t, err)
	require.Equal(t, one, got, "the object of the first time")
	require.True(t, replayed)
	_, _, err = use("k", "another body", two)
	require.Equal(t, access.KeyReused, access.AsError(err).Code)
	*now = noon.Add(24 * time.Hour)
	got, replayed, err = use("k", "another body", two)
	must(t, err)
	require.Equal(t, two, got, "after a day the key is new")
	require.False(t, replayed)
}

// Two calls with one key at once: one makes the object, the other waits for
// it, or is told to come back.
func TestUseKeyAtOnce(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t, store.WithTimeouts(5*time.Second, 50*time.Millisecond))
	inTx(t, s, func(tx *store.Tx) error { return tx.UpsertPrincipal(t.Context(), person(alice), noon) })
	one, two := access.NewID[access.RequestID](noon), access.NewID[access.RequestID](noon)
	inTx(t, s, func(tx *store.Tx) error {
		_, _, err := tx.UseKey(t.Context(), alice, "k", "body", one)
		must(t, err)
		err = s.InTx(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.UseKey(t.Context(), alice, "k", "body", two)
			return err
		})
		require.Equal(t, access.InProgress, access.AsError(err).Code)
		return nil
	})
	inTx(t, s, func(tx *store.Tx) error {
		got, replayed, err := tx.UseKey(t.Context(), alice, "k", "body", two)
		must(t, err)
		require.Equal(t, one, got)
		require.True(t, replayed)
		return nil
	})
}
