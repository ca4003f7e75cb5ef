package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is no evidence goes when it has served its time, and no sooner.
func TestKeepHouse(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		b := s.broker(func(c *Config) { c.Poll = time.Hour })
		arrange := func(sql string, args ...any) {
			t.Helper()
			_, err := s.admin.Exec(t.Context(), sql, args...)
			require.NoError(t, err)
		}
		now := time.Now()
		arrange(`insert into core.idempotency (principal, key, body_hash, created_at) values ($1, 'old', '', $2), ($1, 'new', '', $3)`,
			s.alice.ID, now.Add(-23*time.Hour), now)
		arrange(`insert into core.login (state_hash, nonce, verifier, return_to, created_at, expires_at)
			values (sha256('1'), '', '', '', $1, $2)`, now, now.Add(10*time.Minute))
		arrange(`insert into core.session (id, token_hash, principal, auth_time, created_at, last_seen_at, expires_at)
			values (gen_random_uuid(), sha256('1'), $1, $2, $2, $2, $3)`, s.alice.ID, now, now.Add(time.Hour))
		left := func() []string {
			return s.rows(t, `select (select count(*) from core.idempotency), (select count(*) from core.login), (select count(*) from core.session)`)
		}
		s.run(t, b)
		pass(time.Second)
		require.Equal(t, []string{"2 1 1"}, left())
		pass(2 * time.Hour)
		require.Equal(t, []string{"1 0 1"}, left(), "the session ended an hour ago, and is known for a day")
		pass(24 * time.Hour)
		require.Equal(t, []string{"0 0 0"}, left())
	})
}
