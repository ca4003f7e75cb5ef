package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// One grant that cannot be moved keeps nobody else's access alive: the others
// of its batch end on time, and it ends when it can be moved.
func TestOnePoisonedGrantFreezesNoOther(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		poisoned := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		other := s.hold(t, s.alan, ordersRead, 2*time.Minute)
		pass(time.Minute)
		for _, sql := range []string{
			`create table poison as select id from core.grant where holder like '%alice'`,
			`create function poison() returns trigger language plpgsql security definer as $$
			begin
			  if exists (select from public.poison p where p.id = new.id) then raise exception 'poisoned'; end if;
			  return new;
			end $$`,
			`create trigger poison before update on core.grant for each row execute function poison()`,
		} {
			_, err := s.admin.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
		pass(2 * time.Minute)
		require.Equal(t, access.Active, s.grant(t, poisoned.ID).State)
		g := s.grant(t, other.ID)
		require.Equal(t, access.Ended, g.State)
		require.Equal(t, g.ExpiresAt, g.EndedAt)

		_, err := s.admin.Exec(t.Context(), `delete from poison`)
		require.NoError(t, err)
		pass(time.Minute)
		require.Equal(t, access.Ended, s.grant(t, poisoned.ID).State)
	})
}
