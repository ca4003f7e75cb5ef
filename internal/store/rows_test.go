package store_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
)

const (
	alice = access.PrincipalID("https://idp.example|alice")
	bob   = access.PrincipalID("https://idp.example|bob")
)

// rows is a database with a pending request of alice's and a scheduled grant,
// written without the code under test, and a connection as the broker's login.
type rows struct {
	*pgtest.DB
	conn    *pgx.Conn
	request access.RequestID
	grant   access.GrantID
	ent     access.EntitlementID
}

// uuids of the rows, readable in failures.
const (
	requestUUID  = "11111111-1111-7111-8111-111111111111"
	decisionUUID = "22222222-2222-7222-8222-222222222222"
	grantUUID    = "33333333-3333-7333-8333-333333333333"
	entUUID      = "44444444-4444-7444-8444-444444444444"
	someHash     = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func newRows(t *testing.T) *rows {
	t.Helper()
	r := &rows{DB: pgtest.New(t)}
	r.conn = r.as(t, "rampkeeper_app")
	require.NoError(t, r.request.Scan(requestUUID))
	require.NoError(t, r.grant.Scan(grantUUID))
	require.NoError(t, r.ent.Scan(entUUID))
	must(t, pgx.BeginFunc(t.Context(), r.conn, func(tx pgx.Tx) error {
		return run(t.Context(), tx,
			`insert into core.principal (id, groups_known, claims_at, first_seen, last_seen)
			 select p, false, now(), now(), now() from unnest(array['`+string(alice)+`', '`+string(bob)+`']) p`,
			`insert into core.policy_revision (revision, digest, author, issuer, applied_at) values (1, '`+someHash+`', 'x|y', 'x', now())`,
			`insert into core.policy (revision) values (1)`,
			event("policy", 1),
			`insert into core.decision (id, request_id, policy_revision, outcome, body, facts, created_at)
			 values ('`+decisionUUID+`', '`+requestUUID+`', 1, 'review', '{}', '{}', now())`,
			`insert into core.request (id, requester, items, duration_seconds, reason, reason_salt, ticket, contract_wanted, hash, fingerprint,
			   state, last_trigger, decision_id, decide_by, version, created_at)
			 values ('`+requestUUID+`', '`+string(alice)+`', '[{}]', 3600, '', '\x00000000000000000000000000000000', '', '', '`+someHash+`', '`+someHash+`',
			   'pending', 'submit', '`+decisionUUID+`', now() + interval '1 day', 1, now())`,
			`insert into core.request_item (request_id, item, role, resource) values ('`+requestUUID+`', 0, 'reader', 'orders'), ('`+requestUUID+`', 1, 'writer', 'orders')`,
			`insert into core.request_approver (request_id, user_id, group_name) values ('`+requestUUID+`', '`+string(bob)+`', null), ('`+requestUUID+`', null, 'ops')`,
			event(access.StreamOf(r.request), 1),
			`insert into core.grant (id, request_id, item, holder, role, resource, contract, connector, state, last_trigger, duration_seconds,
			   max_total_seconds, start_at, start_by, expires_at, expiry_class, residual_seconds, version, created_at)
			 values ('`+grantUUID+`', '`+requestUUID+`', 0, '`+string(alice)+`', 'reader', 'orders', 'c', 'pg', 'scheduled', 'approve', 3600,
			   7200, now(), now() + interval '1 hour', now() + interval '30 minutes', 'reaper', 0, 1, now())`,
			event(access.StreamOf(r.grant), 1),
			`insert into core.account (connector, account, principal) values ('pg', 'alice', '`+string(alice)+`')`,
			`insert into core.entitlement (id, connector, account, permission, presence, created_at) values ('`+entUUID+`', 'pg', 'alice', 'p', 'unknown', now())`,
			`insert into core.grant_entitlement (grant_id, entitlement_id) values ('`+grantUUID+`', '`+entUUID+`')`,
		)
	}))
	return r
}

// as opens a connection for a login.
func (r *rows) as(t *testing.T, login string) *pgx.Conn {
	t.Helper()
	dsn := r.AdminDSN
	if login != "" {
		dsn = r.DSN(login)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// event gives the statement that appends one.
func event(stream string, version int) string {
	return `select audit.append('` + stream + `', ` + strconv.Itoa(version) + `, now(), 'test.event', 'system', '{}')`
}

func run(ctx context.Context, tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, statements ...string,
) error {
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// commit runs the statements in one transaction as the broker's login.
func (r *rows) commit(t *testing.T, statements ...string) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), r.conn, func(tx pgx.Tx) error { return run(t.Context(), tx, statements...) })
}

// refusal says what the database refused something with: the name of the
// constraint, or else the code.
func refusal(err error) string {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return "nothing"
	case !ok:
		return err.Error()
	case pgErr.ConstraintName != "":
		return pgErr.ConstraintName
	default:
		return pgErr.Code
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	require.NoError(t, err)
}
