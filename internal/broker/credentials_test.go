package broker

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

func TestCredentialsAreHandedOverOnce(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		_, err := s.b.Credentials(t.Context(), s.alice, g.ID)
		require.Equal(t, "state_conflict scheduled", refusedAs(err))
		pass(poll)
		for _, who := range []access.Caller{s.oprah, s.carol, s.audrey} {
			_, err = s.b.Credentials(t.Context(), who, g.ID)
			require.Equal(t, "forbidden", refusedAs(err), who.Name)
		}
		_, err = s.b.Credentials(t.Context(), s.mallory, g.ID)
		require.Equal(t, "not_found", refusedAs(err))

		s.target.Plan(fake.Fail.For(fake.Credential))
		_, err = s.b.Credentials(t.Context(), s.alice, g.ID)
		require.Equal(t, "upstream_failed", refusedAs(err))
		require.ErrorIs(t, err, connector.ErrRefused)

		got, err := s.b.Credentials(t.Context(), s.alice, g.ID)
		require.NoError(t, err, "a failure takes nothing away")
		until := s.grant(t, g.ID).ExpiresAt
		require.Equal(t, connector.Credential{Username: "alice", Password: "password of alice", Until: until}, got)
		_, err = s.b.Credentials(t.Context(), s.alice, g.ID)
		require.Equal(t, "state_conflict active", refusedAs(err))
		require.Equal(t, time.Now().UTC().Truncate(time.Microsecond), s.grant(t, g.ID).CredentialsIssuedAt)

		require.Equal(t, []string{"ensure succeeded", "credential failed", "credential succeeded"},
			s.rows(t, `select kind, outcome from core.operation order by fence`))
		require.Empty(t, s.rows(t, `select 1 from audit.event where convert_from(entry, 'UTF8') like '%password%'`))
		require.Equal(t, []string{"alice alice"}, s.rows(t, `select split_part(actor, '|', 2), convert_from(entry, 'UTF8')::json->'data'->>'account'
			from audit.event where event_type = 'grant.credentials_issued'`))
		pass(10 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
	})
}

// An account has one password: credentials for a second grant replace those of
// the first, whose holder may then take them again.
func TestCredentialsThatWereReplaced(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		first, second := s.hold(t, s.alice, ordersRead, 10*time.Minute), s.hold(t, s.alice, ordersRead, 20*time.Minute)
		pass(poll)
		take := func(g access.Grant) string {
			pass(time.Second)
			_, err := s.b.Credentials(t.Context(), s.alice, g.ID)
			return refusedAs(err)
		}

		require.Empty(t, take(first))
		require.Empty(t, take(second))
		require.Empty(t, take(first), "they had been replaced")
		require.Equal(t, "state_conflict active", take(first), "these are the newest")
		require.Empty(t, take(second))
	})
}

// The grant ends while its credentials are made: nothing is handed over, and
// the removal waits for the call.
func TestCredentialsOfAGrantThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		release := s.target.Hang()
		var err error
		var done sync.WaitGroup
		done.Go(func() { _, err = s.b.Credentials(t.Context(), s.alice, g.ID) })
		pass(time.Second)
		require.Equal(t, []string{"credential open"}, s.rows(t, `select kind, outcome from core.operation order by fence desc limit 1`), "on record before the call")
		_, revokeErr := s.b.Revoke(t.Context(), s.oprah, g.ID, "")
		require.NoError(t, revokeErr)
		pass(2 * time.Second)
		require.Empty(t, s.target.Calls(fake.Remove))
		release()
		done.Wait()
		require.Equal(t, "state_conflict revoking", refusedAs(err))
		pass(poll)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.True(t, s.grant(t, g.ID).CredentialsIssuedAt.IsZero())
	})
}
