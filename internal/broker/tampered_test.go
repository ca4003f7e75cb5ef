package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// TestTamperedPolicy: whoever gets past the database's own checks and changes
// what a revision consists of gains nothing. A broker that starts afterwards
// grants nothing by it and still takes away.
func TestTamperedPolicy(t *testing.T) {
	t.Parallel()
	const digest = `encode(sha256(convert_to(body, 'UTF8')), 'hex')`
	for name, tt := range map[string]struct{ tamper, says string }{
		"one more document": {
			`
			alter table core.policy_member disable trigger user;
			with d as (
			  insert into core.policy_document (digest, kind, name, body, source)
			  select ` + digest + `, 'Contract', 'mine', body::json, ''
			  from (select replace(body::text, '"engineers"', '"everybody"') as body from core.policy_document where name = 'reads') b
			  returning digest, kind, name)
			insert into core.policy_member (revision, kind, name, digest)
			select 1, d.kind, d.name, d.digest from d`,
			"they were changed after they were applied",
		},
		"one less document": {
			`
			alter table core.policy_member disable trigger user;
			delete from core.policy_member where name = 'changes'`,
			"they were changed after they were applied",
		},
		"another text": {
			`
			alter table core.policy_document disable trigger user;
			alter table core.policy_document drop constraint policy_document_digest_ck;
			update core.policy_document set body = replace(body::text, '"engineers"', '"everybody"')::json where name = 'reads'`,
			"it was changed after it was put on record",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				stop := s.run(t, s.b)
				g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
				pass(poll)
				stop()
				for sql := range strings.SplitSeq(tt.tamper, ";") {
					_, err := s.admin.Exec(t.Context(), sql)
					require.NoError(t, err)
				}

				later := s.broker(nil)
				_, err := later.Submit(t.Context(), s.alan, ask(ordersRead), Key{})
				require.Equal(t, access.Internal, access.AsError(err).Code)
				require.ErrorContains(t, err, tt.says)
				_, err = later.Release(t.Context(), s.alice, g.ID, "")
				require.NoError(t, err)
				s.run(t, later)
				pass(poll)
				require.Equal(t, []string{"ended"}, s.rows(t, `select state from core.grant`))
				require.Empty(t, s.target.Held())
			})
		})
	}
}
