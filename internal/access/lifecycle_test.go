package access_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

var (
	noon          = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
	grantStates   = []access.GrantState{access.Scheduled, access.Provisioning, access.Active, access.Revoking, access.Ended, access.Lapsed, access.Cancelled}
	requestStates = []access.RequestState{access.Pending, access.Approved, access.Refused, access.Denied, access.Withdrawn, access.LapsedAsk, access.Invalidated}
	triggers      = []access.Trigger{
		access.OnSubmit, access.OnVote, access.OnApprove, access.OnDeny, access.OnWithdraw, access.OnExpire, access.OnInvalidate,
		access.OnStart, access.OnConfirm, access.OnEnd, access.OnLapse, access.OnCancel, access.OnVerify, access.OnAttest, access.OnExtend, access.OnShorten,
	}
)

func instants() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "minutes")) * time.Minute)
	})
}

func grantFacts() *rapid.Generator[access.GrantFacts] {
	return rapid.Custom(func(t *rapid.T) access.GrantFacts {
		at := instants()
		f := access.GrantFacts{
			Now: at.Draw(t, "now"), ExpiresAt: at.Draw(t, "expires"), StartAt: at.Draw(t, "start"), StartBy: at.Draw(t, "start by"),
			NewExpiry: at.Draw(t, "new expiry"), StartedAt: at.Draw(t, "started"),
			MaxTotal: time.Duration(rapid.IntRange(0, 10).Draw(t, "max total")) * time.Minute,
		}
		for range rapid.IntRange(0, 3).Draw(t, "entitlements") {
			f.Entitlements = append(f.Entitlements, access.EntitlementFacts{
				Presence:   rapid.SampledFrom([]access.Presence{access.Present, access.Absent, access.UnknownPresence}).Draw(t, "presence"),
				Unresolved: rapid.Bool().Draw(t, "unresolved"),
				Needed:     rapid.Bool().Draw(t, "needed"),
			})
		}
		return f
	})
}

// guards is the specification of LIFECYCLE.md, said another way: whether the
// facts allow the trigger.
var guards = map[access.Trigger]func(access.GrantFacts) bool{
	access.OnStart: func(f access.GrantFacts) bool {
		return !f.StartAt.After(f.Now) && f.StartBy.After(f.Now) && f.ExpiresAt.After(f.Now)
	},
	access.OnConfirm: func(f access.GrantFacts) bool {
		return f.ExpiresAt.After(f.Now) && !slices.ContainsFunc(f.Entitlements, func(e access.EntitlementFacts) bool {
			return e.Unresolved || e.Presence != access.Present
		})
	},
	access.OnVerify: func(f access.GrantFacts) bool {
		for _, e := range f.Entitlements {
			gone := e.Presence == access.Absent && !e.Unresolved
			if !gone && !e.Needed {
				return false
			}
		}
		return true
	},
	access.OnLapse: func(f access.GrantFacts) bool { return !f.StartBy.After(f.Now) || !f.ExpiresAt.After(f.Now) },
	access.OnExtend: func(f access.GrantFacts) bool {
		return f.ExpiresAt.After(f.Now) && f.NewExpiry.After(f.ExpiresAt) && !f.NewExpiry.After(f.StartedAt.Add(f.MaxTotal))
	},
	access.OnShorten: func(f access.GrantFacts) bool { return f.NewExpiry.Before(f.ExpiresAt) },
}

func TestNextGrant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.SampledFrom(append(grantStates, "")).Draw(t, "from")
		on := rapid.SampledFrom(triggers).Draw(t, "on")
		f := grantFacts().Draw(t, "facts")

		to, err := access.NextGrant(from, on, f)

		row := slices.IndexFunc(access.GrantTransitions, func(r access.Transition[access.GrantState]) bool { return r.From == from && r.On == on })
		guard := guards[on]
		if row >= 0 && (guard == nil || guard(f)) {
			require.NoError(t, err)
			require.Equal(t, access.GrantTransitions[row].To, to)
			return
		}
		require.Equal(t, from, to, "what is refused leaves it where it was")
		require.True(t, access.IsCode(err, access.StateConflict))
		require.Equal(t, string(from), access.AsError(err).Current)
		require.NotEmpty(t, err.Error())
	})
}

func TestNextRequest(t *testing.T) {
	t.Parallel()
	for _, from := range requestStates {
		for _, on := range triggers {
			to, err := access.NextRequest(from, on)
			row := slices.IndexFunc(access.RequestTransitions, func(r access.Transition[access.RequestState]) bool { return r.From == from && r.On == on })
			if row < 0 {
				require.True(t, access.IsCode(err, access.StateConflict), "%s on %s", from, on)
				require.Equal(t, from, to)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, access.RequestTransitions[row].To, to)
		}
	}
}

// Every row of the tables can be reached, every state has a way to a terminal
// one, and terminal states have no way out (I3).
func TestTransitionTables(t *testing.T) {
	t.Parallel()
	checkTable(t, access.GrantTransitions, grantStates, func(s access.GrantState) bool { return !s.Live() })
	checkTable(t, access.RequestTransitions, requestStates, func(s access.RequestState) bool { return s != access.Pending })
}

func checkTable[S ~string](t *testing.T, table []access.Transition[S], states []S, terminal func(S) bool) {
	t.Helper()
	reached := closure(table, "")
	for _, row := range table {
		require.True(t, row.From == "" || reached[row.From], "%v can never happen", row)
		require.False(t, row.From != "" && terminal(row.From), "%v leads out of a terminal state", row)
		require.Contains(t, states, row.To)
	}
	require.Len(t, slices.Compact(slices.SortedFunc(slices.Values(table), compareRows[S])), len(table), "a row is there twice")
	for _, s := range states {
		require.True(t, reached[s], "%s is never reached", s)
		ends := terminal(s)
		for to := range closure(table, s) {
			ends = ends || terminal(to)
		}
		require.True(t, ends, "%s never ends", s)
	}
}

func compareRows[S ~string](a, b access.Transition[S]) int {
	return slices.Compare([]string{string(a.From), string(a.On), string(a.To)}, []string{string(b.From), string(b.On), string(b.To)})
}

func closure[S ~string](table []access.Transition[S], from S) map[S]bool {
	reached := map[S]bool{}
	for todo := []S{from}; len(todo) > 0; {
		s := todo[0]
		todo = todo[1:]
		for _, row := range table {
			if row.From == s && !reached[row.To] {
				reached[row.To] = true
				todo = append(todo, row.To)
			}
		}
	}
	return reached
}

// Once revoking, never back to active; and nothing but T12 raises an end.
func TestRevokingNeverGoesBack(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[access.GrantState]bool{access.Ended: true}, closure(access.GrantTransitions, access.Revoking))
}

func TestWanted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := instants().Draw(t, "now")
		needs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) access.Need {
			return access.Need{State: rapid.SampledFrom(grantStates).Draw(t, "state"), ExpiresAt: instants().Draw(t, "expires")}
		}), 0, 5).Draw(t, "needs")

		until := access.Wanted(needs, now)

		live := slices.DeleteFunc(slices.Clone(needs), func(n access.Need) bool {
			return n.State != access.Provisioning && n.State != access.Active || !n.ExpiresAt.After(now)
		})
		if len(live) == 0 {
			require.True(t, until.IsZero(), "absent when nobody who is live needs it")
			return
		}
		latest := slices.MaxFunc(live, func(a, b access.Need) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
		require.Equal(t, latest.ExpiresAt, until)
		slices.Reverse(needs)
		require.Equal(t, access.Wanted(needs, now), until, "in whatever order")
	})
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	outcomes := []access.OperationOutcome{access.Open, access.Succeeded, access.Failed, access.Uncertain}
	rapid.Check(t, func(t *rapid.T) {
		now := instants().Draw(t, "now")
		skew := time.Duration(rapid.IntRange(0, 120).Draw(t, "skew")) * time.Second
		ops := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) access.Operation {
			return access.Operation{Outcome: rapid.SampledFrom(outcomes).Draw(t, "outcome"), Deadline: instants().Draw(t, "deadline")}
		}), 0, 5).Draw(t, "operations")

		at := access.Quiet(ops, now, skew)

		mayLand := func(at time.Time) bool {
			return slices.ContainsFunc(ops, func(op access.Operation) bool {
				return (op.Outcome == access.Open || op.Outcome == access.Uncertain) && at.Before(op.Deadline.Add(skew))
			})
		}
		if at.IsZero() {
			require.False(t, mayLand(now))
			return
		}
		require.True(t, mayLand(now))
		require.True(t, mayLand(at.Add(-time.Nanosecond)))
		require.False(t, mayLand(at), "quiet from that very instant on")
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var seconds []float64
	for n := range 12 {
		seconds = append(seconds, access.Backoff(n).Seconds())
	}
	require.Equal(t, []float64{1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}, seconds)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-3, 1<<40).Draw(t, "failures")
		wait := access.Backoff(n)
		require.GreaterOrEqual(t, wait, time.Second)
		require.LessOrEqual(t, wait, 5*time.Minute)
		require.GreaterOrEqual(t, access.Backoff(n+1), wait)
	})
}

func TestOverdue(t *testing.T) {
	t.Parallel()
	for _, s := range grantStates {
		g := access.Grant{State: s, ExpiresAt: noon}
		mayExist := s == access.Provisioning || s == access.Active || s == access.Revoking
		require.False(t, g.Overdue(noon), "%s", s)
		require.Equal(t, mayExist, g.Overdue(noon.Add(time.Microsecond)), "%s", s)
	}
}

// The model: two grants on one entitlement, a worker that may crash at any
// step, answers that are lost, effects that land late. Whatever happens, in
// whatever order, nothing is confirmed that is not so.
func TestLifecycleModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(rules{
			timeout: 30 * time.Second, skew: 5 * time.Second, duration: 300, mayStart: 3600, most: 90, unresolved: access.Unresolved,
		})
		steps := map[string]func(*rapid.T){}
		for name, act := range actions {
			steps[name] = func(t *rapid.T) {
				require.NoError(t, act(m, func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }))
			}
		}
		t.Repeat(steps)
		require.NoError(t, m.drain())
	})
}
