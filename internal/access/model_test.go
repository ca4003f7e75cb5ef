package access_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// model is the lifecycle with the pure functions that the broker uses, and a
// target whose truth the broker does not see. It draws every choice that is
// not the broker's from a chooser: a random walk draws it at random, the
// explorer tries them all.
type model struct {
	rules
	now      time.Time
	grants   [2]access.Grant
	presence access.Presence
	ops      []access.Operation
	leased   bool // a worker waits for its answer

	holds bool     // the truth on the target
	air   []effect // on their way; each lands before its operation's deadline and skew
}

// rules are the sizes of the world, and the rule that is tried.
type rules struct {
	timeout, skew      time.Duration
	duration, mayStart access.Seconds
	most               int // the longest that time passes at once, in seconds
	unresolved         func([]access.Operation, time.Time, time.Duration) bool
}

// chooser chooses one of n.
type chooser func(what string, n int) int

type effect struct {
	present  bool
	deadline time.Time
}

func newModel(r rules) *model {
	m := &model{rules: r, now: noon, presence: access.UnknownPresence}
	for i := range m.grants {
		startBy := noon.Add(r.mayStart.Duration())
		m.grants[i] = access.Grant{
			ID: access.GrantID{byte(i + 1)}, State: access.Scheduled, StartAt: noon, StartBy: startBy,
			Duration: r.duration, ExpiresAt: startBy.Add(r.duration.Duration()),
		}
	}
	return m
}

// actions are what may happen next, in any order.
var actions = map[string]func(*model, chooser) error{
	"start":  func(m *model, choose chooser) error { return m.move(choose("grant", len(m.grants)), access.OnStart) },
	"end":    func(m *model, choose chooser) error { return m.move(choose("grant", len(m.grants)), access.OnEnd) },
	"settle": (*model).settle,
	"expire": (*model).expire,
	"claim":  (*model).claim,
	"answer": (*model).answer,
	"land":   (*model).land,
	"pass": func(m *model, choose chooser) error {
		m.pass(time.Duration(1+choose("seconds", m.most)) * time.Second)
		return nil
	},
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
			Unresolved: m.unresolved(m.ops, m.now, m.skew),
			Needed:     !access.Wanted(m.needs(i), m.now).IsZero(),
		}},
	}
}

func (m *model) move(i int, on access.Trigger) error {
	to, err := access.NextGrant(m.grants[i].State, on, m.facts(i))
	if err != nil {
		return nil //nolint:nilerr // it does not apply now, and nothing happens
	}
	if on == access.OnStart {
		m.grants[i].StartedAt = m.now
		if end := m.now.Add(m.grants[i].Duration.Duration()); end.Before(m.grants[i].ExpiresAt) {
			m.grants[i].ExpiresAt = end
		}
	}
	m.grants[i].State = to
	return m.confirmed(i, on)
}

// confirmed: what is told to people is so on the target.
func (m *model) confirmed(i int, on access.Trigger) error {
	switch {
	case on == access.OnConfirm && !m.holds:
		return errors.New("active, and the access is not there")
	case on == access.OnConfirm && len(m.air) > 0:
		return errors.New("active, and something may still land")
	case on != access.OnVerify || !access.Wanted(m.needs(i), m.now).IsZero():
		return nil
	case m.holds:
		return errors.New("ended, and the access is there")
	case len(m.air) > 0:
		return errors.New("ended, and something may still land")
	}
	return nil
}

func (m *model) settle(chooser) error {
	var errs []error
	for i := range m.grants {
		errs = append(errs, m.move(i, access.OnConfirm), m.move(i, access.OnVerify))
	}
	return errors.Join(errs...)
}

func (m *model) expire(chooser) error {
	for i, g := range m.grants {
		if !m.now.Before(g.ExpiresAt) {
			if err := m.move(i, access.OnEnd); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim starts an operation, unless one is under way or may still land.
func (m *model) claim(chooser) error {
	if m.leased && m.now.Before(m.ops[len(m.ops)-1].Deadline.Add(m.skew)) || !access.Quiet(m.ops, m.now, m.skew).IsZero() {
		return nil
	}
	for i := range m.ops {
		if m.ops[i].Outcome == access.Open {
			m.ops[i].Outcome = access.Uncertain // its worker never came back
		}
	}
	until := access.Wanted(m.needs(-1), m.now)
	kind := access.OpRemove
	if !until.IsZero() {
		kind = access.OpEnsure
	} else if !slices.ContainsFunc(m.grants[:], func(g access.Grant) bool { return g.State == access.Revoking }) {
		return nil
	}
	m.ops = append(m.ops, access.Operation{Kind: kind, Deadline: m.now.Add(m.timeout), Outcome: access.Open, Fence: int64(len(m.ops) + 1)})
	m.leased = true
	m.air = append(m.air, effect{kind == access.OpEnsure, m.now.Add(m.timeout + m.skew)})
	return nil
}

// The answers that a worker may get. The first is what a healthy target says.
const (
	done = iota
	refused
	refusedAfter // and took effect before
	lost         // while the effect lands now, later or never
	crashed      // the worker, whatever was said
	answers
)

// answer lets the worker hear from the target, or not.
func (m *model) answer(choose chooser) error {
	if !m.leased {
		return nil
	}
	m.leased = false
	op, a := &m.ops[len(m.ops)-1], choose("answer", answers)
	if len(m.air) == 0 && a != crashed {
		a = lost // its deadline has passed, and with it the effect has landed
	}
	switch a {
	case done, refused, refusedAfter:
		its := m.air[len(m.air)-1]
		m.air = m.air[:len(m.air)-1]
		op.Outcome, m.presence = access.Failed, access.UnknownPresence
		if a != refused {
			m.holds = its.present
		}
		if a == done {
			op.Outcome, m.presence = access.Succeeded, access.Absent
			if m.holds {
				m.presence = access.Present
			}
		}
	case lost:
		op.Outcome, m.presence = access.Uncertain, access.UnknownPresence
	case crashed: // nobody writes anything
	}
	return nil
}

// land lets an effect that is on its way arrive, or get lost.
func (m *model) land(choose chooser) error {
	if len(m.air) == 0 || m.leased {
		return nil
	}
	if choose("arrives", 2) == 1 {
		m.holds = m.air[0].present
	}
	m.air = m.air[1:]
	return nil
}

// pass lets time go by. Whatever was to land has landed by its deadline and
// the skew.
func (m *model) pass(d time.Duration) {
	m.now = m.now.Add(d)
	var kept []effect
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
func (m *model) drain() error {
	healthy := func(string, int) int { return done }
	live := func() bool {
		return slices.ContainsFunc(m.grants[:], func(g access.Grant) bool { return g.State.Live() })
	}
	for range 400 {
		if !live() {
			break
		}
		m.pass(m.duration.Duration() / 15)
		for i := range m.grants {
			if err := m.move(i, access.OnLapse); err != nil {
				return err
			}
		}
		for _, step := range []func(*model, chooser) error{(*model).expire, (*model).claim, (*model).answer, (*model).settle} {
			if err := step(m, healthy); err != nil {
				return err
			}
		}
	}
	switch {
	case live():
		return fmt.Errorf("stuck: %s, %s", m.grants[0].State, m.grants[1].State)
	case m.holds:
		return errors.New("access stays on the target")
	}
	return nil
}
