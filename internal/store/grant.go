package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const grantColumns = `g.id, g.request_id, g.item, g.holder, g.role, g.resource, g.contract, g.connector, g.state,
  g.duration_seconds, g.max_total_seconds, g.start_at, g.start_by, g.not_after, g.expires_at,
  g.started_at, g.activated_at, g.revoking_at, g.ended_at, g.end_reason, g.expiry_class, g.residual_seconds,
  g.credentials_issued_at, g.version, g.created_at`

func scanGrant(row pgx.CollectableRow) (access.Grant, error) {
	var (
		g      access.Grant
		reason *string
	)
	err := row.Scan(&g.ID, &g.RequestID, &g.Item, &g.Holder, &g.Role, &g.Resource, &g.Contract, &g.Connector, &g.State,
		&g.Duration, &g.MaxTotal, (*instant)(&g.StartAt), (*instant)(&g.StartBy), (*instant)(&g.NotAfter), (*instant)(&g.ExpiresAt),
		(*instant)(&g.StartedAt), (*instant)(&g.ActivatedAt), (*instant)(&g.RevokingAt), (*instant)(&g.EndedAt), &reason, &g.ExpiryClass, &g.Residual,
		(*instant)(&g.CredentialsIssuedAt), &g.Version, (*instant)(&g.CreatedAt))
	if reason != nil {
		g.EndReason = access.EndReason(*reason)
	}
	return g, err
}

const insertGrant = `
insert into core.grant (id, request_id, item, holder, role, resource, contract, connector, state, last_trigger,
  duration_seconds, max_total_seconds, start_at, start_by, not_after, expires_at, expiry_class, residual_seconds, version, created_at)
values (@id, @request_id, @item, @holder, @role, @resource, @contract, @connector, @state, @trigger,
  @duration, @max_total, @start_at, @start_by, @not_after, @expires_at, @expiry_class, @residual, @version, @now)`

const insertAccounts = `
insert into core.account (connector, account, principal)
select distinct n.connector, n.account, @principal
from unnest(@connectors::text[], @accounts::text[]) as n (connector, account)
order by n.connector, n.account
on conflict (connector, account) do nothing`

const strangersAccount = `
select a.account
from core.account a
join unnest(@connectors::text[], @accounts::text[]) as n (connector, account) on n.connector = a.connector and n.account = a.account
where a.principal <> @principal
limit 1`

const insertEntitlements = `
insert into core.entitlement (id, connector, account, permission, presence, fence, failures, last_error, version, created_at)
select n.id, n.connector, n.account, n.permission, 'unknown', 0, 0, '', 0, @now
from unnest(@ids::uuid[], @connectors::text[], @accounts::text[], @permissions::text[]) as n (id, connector, account, permission)
order by n.connector, n.account, n.permission
on conflict (connector, account, permission) do nothing`

const insertGrantEntitlements = `
insert into core.grant_entitlement (grant_id, entitlement_id)
select @grant, e.id
from core.entitlement e
join unnest(@connectors::text[], @accounts::text[], @permissions::text[]) as n (connector, account, permission)
  on n.connector = e.connector and n.account = e.account and n.permission = e.permission`

// InsertEntitlements puts on record what somebody's new grants need, and their
// accounts on the targets, where they are not yet. An account that belongs to
// somebody else is a StateConflict. It writes in the order of the keys, so
// that what one transaction needs is inserted by one call.
func (tx *Tx) InsertEntitlements(ctx context.Context, holder access.PrincipalID, needs []access.EntitlementKey) error {
	args := keyArgs(needs)
	ids := make([]string, len(needs))
	for i := range needs {
		ids[i] = uuid(access.NewID[access.EntitlementID](tx.Now))
	}
	args["ids"], args["principal"], args["now"] = ids, holder, tx.Now
	if err := tx.exec(ctx, insertAccounts, args); err != nil {
		return fmt.Errorf("inserting accounts: %w", err)
	}
	strangers, err := many(ctx, tx, strangersAccount, args, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	if len(strangers) > 0 {
		return &access.Error{
			Code:    access.StateConflict,
			Message: "The account " + strangers[0] + " on " + needs[0].Connector + " belongs to another person. One account never serves two; ask the operator to give this person an account of their own.",
		}
	}
	if err := tx.exec(ctx, insertEntitlements, args); err != nil {
		return fmt.Errorf("inserting entitlements: %w", err)
	}
	return nil
}

func keyArgs(keys []access.EntitlementKey) pgx.NamedArgs {
	connectors, accounts, permissions := make([]string, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		connectors[i], accounts[i], permissions[i] = k.Connector, k.Account, k.Permission
	}
	return pgx.NamedArgs{"connectors": connectors, "accounts": accounts, "permissions": permissions}
}

// InsertGrant puts a scheduled grant on record (T3) with what it needs, which
// InsertEntitlements has put there. The caller records grant.scheduled at
// version 1.
func (tx *Tx) InsertGrant(ctx context.Context, g access.Grant, needs []access.EntitlementKey) error {
	if g.State != access.Scheduled || len(needs) == 0 {
		return fmt.Errorf("a new grant is scheduled and needs an entitlement: it is %s and needs %d", g.State, len(needs))
	}
	args := pgx.NamedArgs{
		"id": g.ID, "request_id": g.RequestID, "item": g.Item, "holder": g.Holder, "role": g.Role, "resource": g.Resource,
		"contract": g.Contract, "connector": g.Connector, "state": g.State, "trigger": access.OnApprove,
		"duration": g.Duration, "max_total": g.MaxTotal, "start_at": g.StartAt, "start_by": g.StartBy, "not_after": orNull(g.NotAfter),
		"expires_at": g.ExpiresAt, "expiry_class": g.ExpiryClass, "residual": g.Residual, "version": 1, "now": tx.Now,
	}
	if err := tx.exec(ctx, insertGrant, args); err != nil {
		return fmt.Errorf("inserting grant: %w", err)
	}
	keys := keyArgs(needs)
	keys["grant"] = g.ID
	n, err := tx.affected(ctx, insertGrantEntitlements, keys)
	if err != nil {
		return fmt.Errorf("linking entitlements: %w", err)
	}
	if int(n) != len(needs) {
		return fmt.Errorf("linking entitlements: %d of %d are on record", n, len(needs))
	}
	return nil
}

const selectGrant = `select ` + grantColumns + ` from core.grant g where g.id = @id`

// Grant gives one grant, or NotFound.
func (tx *Tx) Grant(ctx context.Context, id access.GrantID) (access.Grant, error) {
	return tx.grant(ctx, selectGrant, id)
}

// A lock that leaves the key alone lets those pass who merely refer to the
// grant. A request that extends it refers to it before its entitlements are
// locked, so a stronger lock would have two transactions wait for each other.
const lockGrant = selectGrant + ` for no key update`

// LockGrant gives one grant and holds it until the transaction ends. The
// caller has locked the grant's entitlements, if it needs them locked.
func (tx *Tx) LockGrant(ctx context.Context, id access.GrantID) (access.Grant, error) {
	return tx.grant(ctx, lockGrant, id)
}

func (tx *Tx) grant(ctx context.Context, sql string, id access.GrantID) (access.Grant, error) {
	found, err := many(ctx, tx, sql, pgx.NamedArgs{"id": id}, scanGrant)
	if err != nil {
		return access.Grant{}, fmt.Errorf("reading grant: %w", err)
	}
	if len(found) == 0 {
		return access.Grant{}, NoGrant()
	}
	return found[0], nil
}

// NoGrant is what is said of a grant that is not there, and of one that the
// caller may not see.
func NoGrant() error {
	return &access.Error{Code: access.NotFound, Message: "There is no such grant, or it is not yours to see."}
}

const selectGrantsOf = `select ` + grantColumns + ` from core.grant g where g.request_id = any(@ids::uuid[]) order by g.request_id, g.item`

// GrantsOf gives the grants of the requests, by request and item.
func (tx *Tx) GrantsOf(ctx context.Context, requests ...access.RequestID) ([]access.Grant, error) {
	gs, err := many(ctx, tx, selectGrantsOf, pgx.NamedArgs{"ids": uuids(requests)}, scanGrant)
	if err != nil {
		return nil, fmt.Errorf("reading grants: %w", err)
	}
	return gs, nil
}

const updateGrant = `
update core.grant g set
  state = @state, last_trigger = @trigger, expires_at = @expires_at,
  started_at = @started_at, activated_at = @activated_at, revoking_at = @revoking_at, ended_at = @ended_at,
  end_reason = @end_reason, version = g.version + 1
where g.id = @id and g.version = @version and g.state = @before`

// MoveGrant saves a grant that the trigger moved on from the state before.
// The row is locked by the caller; g.Version is still the one that was read.
// It gives the grant with its new version, for the event.
func (tx *Tx) MoveGrant(ctx context.Context, before access.GrantState, on access.Trigger, g access.Grant) (access.Grant, error) {
	n, err := tx.affected(ctx, updateGrant, pgx.NamedArgs{
		"id": g.ID, "version": g.Version, "before": before, "trigger": on, "state": g.State, "expires_at": g.ExpiresAt,
		"started_at": orNull(g.StartedAt), "activated_at": orNull(g.ActivatedAt), "revoking_at": orNull(g.RevokingAt),
		"ended_at": orNull(g.EndedAt), "end_reason": noneIfEmpty(g.EndReason),
	})
	if err != nil {
		return g, fmt.Errorf("moving grant: %w", err)
	}
	if n != 1 {
		return g, fmt.Errorf("moving grant %s: it is no longer %s at version %d", g.ID, before, g.Version)
	}
	g.Version++
	return g, nil
}

const issueCredentials = `
update core.grant g set credentials_issued_at = @credentials_issued_at, version = g.version + 1
where g.id = @id and g.version = @version`

// IssueCredentials puts on record that the grant's credentials were handed
// over, and gives it with its new version.
func (tx *Tx) IssueCredentials(ctx context.Context, g access.Grant) (access.Grant, error) {
	n, err := tx.affected(ctx, issueCredentials, pgx.NamedArgs{"id": g.ID, "version": g.Version, "credentials_issued_at": tx.Now})
	if err != nil {
		return g, fmt.Errorf("issuing credentials: %w", err)
	}
	if n != 1 {
		return g, fmt.Errorf("issuing credentials of grant %s: it is no longer at version %d", g.ID, g.Version)
	}
	g.CredentialsIssuedAt = tx.Now
	g.Version++
	return g, nil
}

const replacedCredentials = `
select g.id
from core.grant g
where g.id = any(@ids::uuid[]) and exists (
  select from core.grant o
  where o.holder = g.holder and o.connector = g.connector and o.id <> g.id and o.credentials_issued_at > g.credentials_issued_at)`

// ReplacedCredentials says which of the grants' credentials are good no more,
// because the same account was given others since, for another grant.
func (tx *Tx) ReplacedCredentials(ctx context.Context, ids ...access.GrantID) (map[access.GrantID]bool, error) {
	found, err := many(ctx, tx, replacedCredentials, pgx.NamedArgs{"ids": uuids(ids)}, pgx.RowTo[access.GrantID])
	if err != nil {
		return nil, fmt.Errorf("reading replaced credentials: %w", err)
	}
	replaced := make(map[access.GrantID]bool, len(found))
	for _, id := range found {
		replaced[id] = true
	}
	return replaced, nil
}

// LiveCount is how many grants of a contract are live.
type LiveCount struct {
	Contract       string
	Subject, Total int // of the one person, and of all
}

const liveGrants = `
select g.contract, count(*) filter (where g.holder = @holder), count(*)
from core.grant g
where g.contract = any(@contracts::text[]) and g.id <> @except
  and g.state in ('scheduled', 'provisioning', 'active', 'revoking')
group by g.contract
order by g.contract`

// LiveGrants counts the live grants of the contracts. The grant except is not
// counted; its zero value excepts none.
func (tx *Tx) LiveGrants(ctx context.Context, holder access.PrincipalID, contracts []string, except access.GrantID) ([]LiveCount, error) {
	counts, err := many(ctx, tx, liveGrants, pgx.NamedArgs{"holder": holder, "contracts": contracts, "except": except}, func(row pgx.CollectableRow) (c LiveCount, err error) {
		err = row.Scan(&c.Contract, &c.Subject, &c.Total)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("counting live grants: %w", err)
	}
	return counts, nil
}
