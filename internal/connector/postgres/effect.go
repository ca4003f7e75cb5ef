package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

const (
	ensureQuery  = `SELECT rampkeeper_target.ensure(@login, @role, @until, @create, @deadline)`
	removeQuery  = `SELECT rampkeeper_target.remove(@login, @role, @deadline)`
	cutQuery     = `SELECT pids, done FROM rampkeeper_target.cut(@login, @role, @deadline)`
	settleQuery  = `SELECT rampkeeper_target.settle(@login, @role, @deadline)`
	statusQuery  = `SELECT kind, can_login, valid_until, granted, removing, others, sessions, standing FROM rampkeeper_target.status(@login, @role)`
	remainsQuery = `SELECT f FROM rampkeeper_target.remains(@login, @role) AS f`
)

// Ensure implements connector.Connector.
func (c *Connector) Ensure(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Observation, error) {
	if err := c.checkKey(e); err != nil {
		return connector.Observation{}, err
	}
	if !c.allowed(e.Permission) {
		return connector.Observation{}, refused(permanent, fmt.Sprintf("The configuration of %s does not let role %q be handed out: no pattern of allowed fits it.", c.cfg.Name, e.Permission))
	}
	return c.ensure(ctx, e, until, c.cfg.CreateLogins)
}

func (c *Connector) ensure(ctx context.Context, e access.EntitlementKey, until time.Time, create bool) (connector.Observation, error) {
	s, ctx, done, err := c.begin(ctx, c.pool)
	if err != nil {
		return connector.Observation{}, err
	}
	defer done()
	args := s.args(e)
	args["until"], args["create"] = until, create
	if _, err := s.Exec(ctx, ensureQuery, args); err != nil {
		return connector.Observation{}, c.explain("Granting the role", err)
	}
	st, err := c.status(ctx, s, e)
	if err != nil {
		return connector.Observation{}, uncertain(err)
	}
	o := c.observation(st)
	if !o.Present || !st.CanLogin {
		return o, changed(fmt.Sprintf("%s did not keep the grant: somebody else changed role %q or login %q at the same moment.", c.cfg.Name, e.Permission, e.Account))
	}
	return o, nil
}

// Observe implements connector.Connector.
func (c *Connector) Observe(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	if err := c.checkKey(e); err != nil {
		return connector.Observation{}, err
	}
	return c.observe(ctx, e)
}

// observe is how a removal is verified, and waits for no lock: so it uses the
// removals' connections.
func (c *Connector) observe(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	s, ctx, done, err := c.begin(ctx, c.removals)
	if err != nil {
		return connector.Observation{}, err
	}
	defer done()
	st, err := c.status(ctx, s, e)
	if err != nil {
		return connector.Observation{}, err
	}
	o := c.observation(st)
	switch {
	case st.Removing:
		// Revoked, but sessions from before are not known to be gone.
		o.Present = true
		o.Findings = append(o.Findings, "removing: the role was revoked, and sessions from before are still to be ended")
	case !st.Granted:
		o.Findings = c.remains(ctx, s, e)
	case !st.CanLogin:
		o.Findings = append(o.Findings, "login_disabled: the login holds the role and cannot log in")
	}
	return o, nil
}

// Remove implements connector.Connector. It revokes and commits; then ends
// the sessions from before and, with the last role, turns the login off; and
// looks again until two looks in a row find nothing.
func (c *Connector) Remove(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	if err := c.checkKey(e); err != nil {
		return connector.Observation{}, err
	}
	return c.remove(ctx, e)
}

func (c *Connector) remove(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	s, ctx, done, err := c.begin(ctx, c.removals)
	if err != nil {
		return connector.Observation{}, err
	}
	defer done()
	var present bool
	if err := s.QueryRow(ctx, removeQuery, s.args(e)).Scan(&present); err != nil {
		return connector.Observation{}, c.explain("Revoking the role", err)
	}
	o, err := c.finish(ctx, s, e)
	if !present {
		o.Findings = slices.Insert(o.Findings, 0, "already_absent: the role had been revoked before")
	}
	return o, uncertain(err)
}

// finish does what comes after the revocation, and reads everything back.
func (c *Connector) finish(ctx context.Context, s session, e access.EntitlementKey) (connector.Observation, error) {
	ended, err := c.cut(ctx, s, e)
	if err != nil {
		return connector.Observation{Present: true, SessionsEnded: len(ended)}, err
	}
	if _, err := s.Exec(ctx, settleQuery, s.args(e)); err != nil {
		return connector.Observation{Present: true, SessionsEnded: len(ended)}, c.explain("Verifying the removal", err)
	}
	st, err := c.status(ctx, s, e)
	if err != nil {
		return connector.Observation{Present: true, SessionsEnded: len(ended)}, err
	}

	o := c.observation(st)
	o.SessionsEnded = len(ended)
	o.Findings = c.remains(ctx, s, e)
	switch {
	case st.Granted || st.Removing:
		return o, changed(fmt.Sprintf("%s: login %q holds role %q again; somebody else granted it at the same moment.", c.cfg.Name, e.Account, e.Permission))
	case st.Kind == "made" && st.Others == 0 && (st.CanLogin || st.Sessions > 0):
		o.Present = true
		return o, changed(fmt.Sprintf("%s: login %q holds nothing any more and is not off yet.", c.cfg.Name, e.Account))
	}
	return o, nil
}

// pause is how long a session gets to die before the next look.
const pause = 25 * time.Millisecond

// cut ends sessions until two looks in a row find none. The second look is
// for a session that was logging in during the first: it shows up only when
// it has finished. It gives the processes of the sessions it met.
func (c *Connector) cut(ctx context.Context, s session, e access.EntitlementKey) ([]int32, error) {
	var all []int32
	for clean := 0; clean < 2; {
		var (
			pids []int32
			done bool
		)
		err := s.QueryRow(ctx, cutQuery, s.args(e)).Scan(&pids, &done)
		code := codeOf(err)
		switch {
		case code == lockBusy || code == tupleHit: // its sessions were ended all the same
			clean = 0
		case err != nil:
			return all, c.explain("Ending sessions", err)
		case done:
			clean++
		default:
			clean = 0
			for _, pid := range pids {
				if !slices.Contains(all, pid) {
					all = append(all, pid)
				}
			}
		}
		if clean == 2 {
			break
		}
		if remaining(ctx) < 10*pause {
			return all, changed(fmt.Sprintf("%s: %d sessions of login %q were told to end and some have not yet.", c.cfg.Name, len(all), e.Account))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return all, changed(fmt.Sprintf("%s: there was no time to see the sessions of login %q end.", c.cfg.Name, e.Account))
		}
	}
	return all, nil
}

// status is a row of rampkeeper_target.status().
type status struct {
	Kind       string // made, adopted or foreign; none: there is no such login
	CanLogin   bool
	ValidUntil *time.Time
	Granted    bool
	Removing   bool
	Others     int // other roles from the broker
	Sessions   int
	Standing   string // who else granted the same role to the login
}

func (c *Connector) status(ctx context.Context, s session, e access.EntitlementKey) (status, error) {
	rows, err := s.Query(ctx, statusQuery, s.args(e))
	if err != nil {
		return status{}, c.explain("Reading the login", err)
	}
	st, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[status])
	return st, c.explain("Reading the login", err)
}

func (c *Connector) observation(st status) connector.Observation {
	o := connector.Observation{Present: st.Granted, Sessions: st.Sessions}
	if st.ValidUntil != nil && c.cfg.PasswordAuth {
		o.Until = *st.ValidUntil
	}
	if st.Granted && !st.Removing && st.Standing != "" {
		o.Findings = append(o.Findings, "standing_membership: the login has the same role from "+st.Standing+" too, and keeps that at the end")
	}
	return o
}

// remains asks what is left of the access by other ways. It is for the record
// and must not keep a removal from being verified.
func (c *Connector) remains(ctx context.Context, s session, e access.EntitlementKey) []string {
	rows, err := s.Query(ctx, remainsQuery, s.args(e))
	if err == nil {
		var found []string
		if found, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return found
		}
	}
	why := "no answer in time"
	if code := codeOf(err); code != "" {
		why = "SQLSTATE " + code
	} else if errors.Is(err, context.Canceled) {
		why = "cancelled"
	}
	return []string{"effective_access_unknown: what other ways there are could not be looked up: " + why}
}

func (s session) args(e access.EntitlementKey) pgx.NamedArgs {
	return pgx.NamedArgs{"login": e.Account, "role": e.Permission, "deadline": s.deadline}
}
