package access_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	modelTimeout = 30 * time.Second
	modelSkew    = 5 * time.Second
)

// model is the lifecycle with the pure functions that the broker uses, and a
// target whose truth the broker does not see.
type model struct {
	now      time.Time
	grants   [2]access.Grant
	presence access.Presence
	ops      []access.Operation
	leased   bool // a worker waits for its answer

	holds bool     // the truth on the target
	air   []effect // on their way; each lands before its operation's deadline and skew
}

type effect struct {
	present  bool
	deadline time.Time
}

func newModel() *model {
	m := &model{now: noon, presence: access.UnknownPresence}
	for i := range m.grants {
		m.grants[i] = access.Grant{
			ID: access.GrantID{byte(i + 1)}, State: access.Scheduled, StartAt: noon, StartBy: noon.Add(time.Hour),
			Duration: 300, ExpiresAt: noon.Add(time.Hour + 5*time.Minute),
		}
	}
	return m
}

func (m *model) needs(except int) []access.Need {
	var needs []access.Need
	for i, g := range m.grants {
		if i != except {
			needs = append(needs, access.Need{Grant: g.ID, State: g.State, ExpiresAt: g.ExpiresAt})
		}
	}
	return needs
}

func (m *model) facts(i int) access.GrantFacts {
	g := m.grants[i]
	return access.GrantFacts{
		Now: m.now, ExpiresAt: g.ExpiresAt, StartAt: g.StartAt, StartBy: g.StartBy,
		Entitlements: []access.EntitlementFacts{{
			Presence:   m.presence,
			Unresolved: access.Unresolved(m.ops, m.now, modelSkew),
			Needed:     !access.Wanted(m.needs(i), m.now).IsZero(),
		}},
	}
}

func (m *model) move(t *rapid.T, i int, on access.Trigger) {
	to, err := access.NextGrant(m.grants[i].State, on, m.facts(i))
	if err != nil {
		return
	}
	if on == access.OnStart {
		m.grants[i].StartedAt = m.now
		if end := m.now.Add(m.grants[i].Duration.Duration()); end.Before(m.grants[i].ExpiresAt) {
			m.grants[i].ExpiresAt = end
		}
	}
	m.grants[i].State = to
	m.confirmed(t, i, on)
}

// confirmed: what is told to people is so on the target.
func (m *model) confirmed(t *rapid.T, i int, on access.Trigger) {
	switch on {
	case access.OnConfirm:
		require.True(t, m.holds, "active, and the access is not there")
		require.Empty(t, m.air, "active, and something may still land")
	case access.OnVerify:
		if access.Wanted(m.needs(i), m.now).IsZero() {
			require.False(t, m.holds, "ended, and the access is there")
			require.Empty(t, m.air, "ended, and something may still land")
		}
	default:
	}
}

func (m *model) step(t *rapid.T, on access.Trigger) {
	m.move(t, rapid.IntRange(0, len(m.grants)-1).Draw(t, "grant"), on)
}

func (m *model) settle(t *rapid.T) {
	for i := range m.grants {
		m.move(t, i, access.OnConfirm)
		m.move(t, i, access.OnVerify)
	}
}

func (m *model) expire(t *rapid.T) {
	for i, g := range m.grants {
		if !m.now.Before(g.ExpiresAt) {
			m.move(t, i, access.OnEnd)
		}
	}
}

// claim starts an operation, unless one is under way or may still land.
func (m *model) claim(*rapid.T) {
	if m.leased && m.now.Before(m.ops[len(m.ops)-1].Deadline.Add(modelSkew)) || !access.Quiet(m.ops, m.now, modelSkew).IsZero() {
		return
	}
	for i := range m.ops {
		if m.ops[i].Outcome == access.Open {
			m.ops[i].Outcome = access.Uncertain // its worker never came back
		}
	}
	until := access.Wanted(m.needs(-1), m.now)
	live := false
	for _, g := range m.grants {
		live = live || g.State == access.Revoking
	}
	if until.IsZero() && !live {
		return
	}
	kind := access.OpRemove
	if !until.IsZero() {
		kind = access.OpEnsure
	}
	m.ops = append(m.ops, access.Operation{Kind: kind, Deadline: m.now.Add(modelTimeout), Outcome: access.Open, Fence: int64(len(m.ops) + 1)})
	m.leased = true
	m.air = append(m.air, effect{kind == access.OpEnsure, m.now.Add(modelTimeout + modelSkew)})
}

// answer lets the worker hear from the target, or not: refused, done, or lost
// while the effect lands now, later or never.
func (m *model) answer(t *rapid.T) {
	if !m.leased {
		return
	}
	m.leased = false
	op := &m.ops[len(m.ops)-1]
	if rapid.IntRange(0, 4).Draw(t, "crash") == 0 {
		return // the worker is gone; its effect is in the air
	}
	switch rapid.SampledFrom([]string{"done", "refused", "lost"}).Draw(t, "answer") {
	case "done":
		if len(m.air) == 0 { // it has landed already; the deadline may have passed with it
			op.Outcome = access.Uncertain
			m.presence = access.UnknownPresence
			return
		}
		m.holds = m.air[len(m.air)-1].present
		m.air = m.air[:len(m.air)-1]
		op.Outcome = access.Succeeded
		m.presence = access.Absent
		if m.holds {
			m.presence = access.Present
		}
	case "refused":
		if len(m.air) > 0 {
			m.air = m.air[:len(m.air)-1]
			op.Outcome = access.Failed
		}
	case "lost":
		op.Outcome = access.Uncertain
		m.presence = access.UnknownPresence
	}
}

// land lets an effect that is on its way arrive, or get lost.
func (m *model) land(t *rapid.T) {
	if len(m.air) == 0 || m.leased {
		return
	}
	if rapid.Bool().Draw(t, "arrives") {
		m.holds = m.air[0].present
	}
	m.air = m.air[1:]
}

// check: whatever was to land has landed by its deadline and the skew.
func (m *model) check(*rapid.T) {
	kept := m.air[:0]
	for _, e := range m.air {
		if m.now.Before(e.deadline) {
			kept = append(kept, e)
		} else {
			m.holds = e.present
		}
	}
	m.air = kept
}

// drain lets time go by with a target that answers: everything comes to its
// end, and nothing stays.
func (m *model) drain(t *rapid.T) {
	for range 400 {
		m.now = m.now.Add(20 * time.Second)
		m.check(t)
		m.expire(t)
		for i := range m.grants {
			m.move(t, i, access.OnLapse)
		}
		m.claim(t)
		if m.leased && len(m.air) > 0 {
			op := &m.ops[len(m.ops)-1]
			m.holds = m.air[len(m.air)-1].present
			m.air = m.air[:len(m.air)-1]
			op.Outcome, m.presence = access.Succeeded, access.Absent
			if m.holds {
				m.presence = access.Present
			}
			m.leased = false
		}
		m.settle(t)
	}
	for _, g := range m.grants {
		require.False(t, g.State.Live(), "%s is stuck", g.State)
	}
	require.False(t, m.holds, "access stays on the target")
}
