package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const requestColumns = `r.id, r.number, r.requester, r.items, r.duration_seconds, r.reason, r.reason_salt, r.ticket,
  r.start_at, r.contract_wanted, r.extends, r.hash, r.state, r.decision_id, r.decide_by, r.version, r.created_at,
  r.decided_at, r.state_reason`

func scanRequest(row pgx.CollectableRow) (access.Request, error) {
	var (
		r       access.Request
		extends *access.GrantID
		items   json.RawMessage
	)
	err := row.Scan(&r.ID, &r.Number, &r.Requester, &items, &r.Ask.Duration, &r.Ask.Reason, &r.ReasonSalt, &r.Ask.Ticket,
		(*instant)(&r.Ask.StartAt), &r.Ask.Contract, &extends, &r.Hash, &r.State, &r.DecisionID, (*instant)(&r.DecideBy), &r.Version,
		(*instant)(&r.CreatedAt), (*instant)(&r.DecidedAt), &r.StateReason)
	if err != nil {
		return access.Request{}, err
	}
	if extends != nil {
		r.Ask.Extends = *extends
	}
	if err := json.Unmarshal(items, &r.Ask.Items); err != nil {
		return access.Request{}, fmt.Errorf("reading the items of %s: %w", r.ID, err)
	}
	return r, nil
}

const insertRequest = `
insert into core.request (id, requester, items, duration_seconds, reason, reason_salt, ticket, start_at, contract_wanted,
  extends, hash, fingerprint, state, last_trigger, decision_id, decide_by, version, created_at, decided_at, state_reason)
values (@id, @requester, @items, @duration, @reason, @salt, @ticket, @start_at, @contract,
  @extends, @hash, @fingerprint, @state, @trigger, @decision, @decide_by, @version, @now, @decided_at, @state_reason)
returning number`

const insertRequestItems = `
insert into core.request_item (request_id, item, role, resource, contract, connector)
select @id::uuid, n.item - 1, n.role, n.resource, nullif(n.contract, ''), nullif(n.connector, '')
from unnest(@roles::text[], @resources::text[], @contracts::text[], @connectors::text[])
  with ordinality as n (role, resource, contract, connector, item)`

const insertRequestApprovers = `
insert into core.request_approver (request_id, user_id, group_name)
select distinct @id::uuid, nullif(n.user_id, ''), nullif(n.group_name, '')
from unnest(@users::text[], @groups::text[]) as n (user_id, group_name)`

// InsertRequest puts a request on record (T1) with its decision, its items
// and everybody whom its seats name, and gives its number. The caller records
// the event at version 1.
func (tx *Tx) InsertRequest(ctx context.Context, r access.Request, d access.Decision, facts json.RawMessage, fingerprint access.Digest) (number int64, err error) {
	items, err := json.Marshal(r.Ask.Items)
	if err != nil {
		return 0, fmt.Errorf("encoding items: %w", err)
	}
	if err := tx.InsertDecision(ctx, d, r.ID, facts); err != nil {
		return 0, err
	}
	args := pgx.NamedArgs{
		"id": r.ID, "requester": r.Requester, "items": string(items), "duration": r.Ask.Duration, "reason": r.Ask.Reason,
		"salt": r.ReasonSalt, "ticket": r.Ask.Ticket, "start_at": orNull(r.Ask.StartAt), "contract": r.Ask.Contract,
		"extends": idOrNull(r.Ask.Extends), "hash": r.Hash, "fingerprint": fingerprint, "state": r.State, "trigger": access.OnSubmit,
		"decision": d.ID, "decide_by": orNull(r.DecideBy), "version": r.Version, "now": tx.Now,
		"decided_at": orNull(r.DecidedAt), "state_reason": r.StateReason,
	}
	if number, err = one(ctx, tx, insertRequest, args, pgx.RowTo[int64]); err != nil {
		return 0, fmt.Errorf("inserting request: %w", err)
	}

	n := len(d.Items)
	roles, resources, contracts, connectors := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, item := range d.Items {
		roles[i], resources[i] = item.Item.Role, item.Item.Resource
		if item.Offer != nil {
			contracts[i] = item.Offer.Contract
		}
		if len(item.Entitlements) > 0 {
			connectors[i] = item.Entitlements[0].Connector
		}
	}
	if err := tx.exec(ctx, insertRequestItems, pgx.NamedArgs{
		"id": r.ID, "roles": roles, "resources": resources, "contracts": contracts, "connectors": connectors,
	}); err != nil {
		return 0, fmt.Errorf("inserting items: %w", err)
	}

	var users, groups []string
	for _, who := range named(d) {
		users, groups = append(users, string(who.User)), append(groups, who.Group)
	}
	if len(users) == 0 {
		return number, nil
	}
	if err := tx.exec(ctx, insertRequestApprovers, pgx.NamedArgs{"id": r.ID, "users": users, "groups": groups}); err != nil {
		return 0, fmt.Errorf("inserting approvers: %w", err)
	}
	return number, nil
}

// named gives everybody whom the seats of a decision name.
func named(d access.Decision) []access.Who {
	var all []access.Who
	for _, t := range d.Approvals {
		for _, stage := range t.Stages {
			for _, seat := range stage.Seats {
				all = append(all, seat.Who...)
			}
		}
	}
	return all
}

const selectRequest = `select ` + requestColumns + ` from core.request r where r.id = @id`

// Request gives one request, or ErrNotFound.
func (tx *Tx) Request(ctx context.Context, id access.RequestID) (access.Request, error) {
	return one(ctx, tx, selectRequest, pgx.NamedArgs{"id": id}, scanRequest)
}

const lockRequest = selectRequest + ` for update`

// LockRequest gives one request and holds it until the transaction ends, or
// ErrNotFound. Policy is locked before, entitlements and grants after.
func (tx *Tx) LockRequest(ctx context.Context, id access.RequestID) (access.Request, error) {
	return one(ctx, tx, lockRequest, pgx.NamedArgs{"id": id}, scanRequest)
}

const moveRequest = `
update core.request
set state = @state, last_trigger = @trigger, version = @version, decided_at = @decided_at, state_reason = @state_reason
where id = @id and version = @version - 1`

// MoveRequest saves a request that the trigger took one step on. The row is
// locked by the caller, and Version is that of the new state. What led there
// is checked by the database against the transition table.
func (tx *Tx) MoveRequest(ctx context.Context, r access.Request, on access.Trigger) error {
	n, err := tx.affected(ctx, moveRequest, pgx.NamedArgs{
		"id": r.ID, "state": r.State, "trigger": on, "version": r.Version, "decided_at": orNull(r.DecidedAt), "state_reason": r.StateReason,
	})
	if err == nil && n != 1 {
		err = errors.New("its version is not the one that was read")
	}
	if err != nil {
		return fmt.Errorf("moving request %s: %w", r.ID, err)
	}
	return nil
}

const lockSubmissions = `select pg_advisory_xact_lock(hashtextextended('submit:' || @requester, 0))`

// LockSubmissions makes the requester's submissions wait for one another, so
// that of identical ones at the same time the second sees the first.
func (tx *Tx) LockSubmissions(ctx context.Context, requester access.PrincipalID) error {
	err := tx.exec(ctx, lockSubmissions, pgx.NamedArgs{"requester": requester})
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "55P03" { // waited longer than lock_timeout
		return fmt.Errorf("%w (%w)", &access.Error{
			Code:    access.InProgress,
			Message: "Other requests of yours are being worked on. Try again in a moment.",
		}, err)
	}
	return err
}

const pointKey = `
update core.idempotency set object = @object where principal = @principal and key = @key`

// PointKey makes a key that this transaction claimed stand for another object
// than it was claimed for.
func (tx *Tx) PointKey(ctx context.Context, who access.PrincipalID, key string, object access.RequestID) error {
	return tx.exec(ctx, pointKey, pgx.NamedArgs{"principal": who, "key": key, "object": object})
}

const selectLiveTwin = `
select ` + requestColumns + `
from core.request r
where r.requester = @requester and r.fingerprint = @fingerprint and r.state in ('pending', 'approved')
  and (r.state = 'pending' or exists (
    select from core.grant g where g.request_id = r.id and g.state in ('scheduled', 'provisioning')))
order by r.number desc
limit 1`

// LiveTwin gives the requester's request for the same thing that is pending,
// or approved and not usable yet.
func (tx *Tx) LiveTwin(ctx context.Context, requester access.PrincipalID, fingerprint access.Digest) (_ access.Request, found bool, err error) {
	return maybe(ctx, tx, selectLiveTwin, pgx.NamedArgs{"requester": requester, "fingerprint": fingerprint}, scanRequest)
}

const lockLimits = `select pg_advisory_xact_lock(hashtextextended('limit:' || @contract, 0))`

// LockLimits makes decisions under the contracts' limits wait for one
// another. It locks in the order of the names.
func (tx *Tx) LockLimits(ctx context.Context, contracts []string) error {
	for _, name := range slices.Sorted(slices.Values(contracts)) {
		if err := tx.exec(ctx, lockLimits, pgx.NamedArgs{"contract": name}); err != nil {
			return err
		}
	}
	return nil
}

const selectAccountOwner = `select a.principal from core.account a where a.connector = @connector and a.account = @account`

// AccountOwner gives whose account on a target it is, "" when nobody has used
// it yet.
func (tx *Tx) AccountOwner(ctx context.Context, connector, account string) (access.PrincipalID, error) {
	owner, _, err := maybe(ctx, tx, selectAccountOwner, pgx.NamedArgs{"connector": connector, "account": account}, pgx.RowTo[access.PrincipalID])
	return owner, err
}
