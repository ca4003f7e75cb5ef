package access_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// small is a world in which everything that can happen happens within a few
// seconds, so that all of it can be tried.
var small = rules{
	timeout: 2 * time.Second, skew: time.Second, duration: 4, mayStart: 6, most: 1, unresolved: access.Unresolved,
}

// explored is a state of the model, and how it came about.
type explored struct {
	model  *model
	before *explored
	step   string
}

func (e *explored) String() string {
	var steps []string
	for ; e.before != nil; e = e.before {
		steps = append(steps, e.step)
	}
	slices.Reverse(steps)
	return strings.Join(steps, ", ")
}

// explore walks breadth first over everything that can happen, and gives how
// many states there are, or the shortest way to something that must not be.
func explore(r rules) (states int, err error) {
	names := slices.Sorted(maps.Keys(actions))
	first := &explored{model: newModel(r)}
	seen, todo := map[string]bool{first.model.key(): true}, []*explored{first}
	for len(todo) > 0 {
		e := todo[0]
		todo = todo[1:]
		for _, name := range names {
			for script := []int(nil); ; {
				next := &explored{model: e.model.clone(), before: e}
				script, next.step, err = play(next.model, name, script)
				if err != nil {
					return len(seen), fmt.Errorf("%w after: %s", err, next)
				}
				if key := next.model.key(); !seen[key] {
					seen[key] = true
					todo = append(todo, next)
					if err := next.model.clone().drain(); err != nil {
						return len(seen), fmt.Errorf("%w after: %s", err, next)
					}
				}
				if script == nil {
					break
				}
			}
		}
	}
	return len(seen), nil
}

// play takes an action with the choices of a script, the first ones where it
// ends, and gives the script of the choices that come next, nil for none.
func play(m *model, name string, script []int) (next []int, step string, err error) {
	var made, of []int
	err = actions[name](m, func(what string, n int) int {
		c := 0
		if len(made) < len(script) {
			c = script[len(made)]
		}
		made, of = append(made, c), append(of, n)
		name += fmt.Sprintf(" %s=%d", what, c)
		return c
	})
	for i, c := range slices.Backward(made) {
		if c+1 < of[i] {
			return append(made[:i:i], c+1), name, err
		}
	}
	return nil, name, err
}

func (m *model) clone() *model {
	c := *m
	c.ops, c.air = slices.Clone(m.ops), slices.Clone(m.air)
	return &c
}

// key is all of the state that decides what may follow: instants count from
// now, and what is over is over. Two states with one key are one state.
func (m *model) key() string {
	var b []byte
	at := func(t time.Time) {
		b = binary.AppendVarint(b, max(0, int64(t.Sub(m.now)/time.Second)))
	}
	flag := func(v bool) {
		if v {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	for _, g := range m.grants {
		b = append(append(b, g.State...), '.')
		if g.State == access.Scheduled {
			at(g.StartBy)
		}
		if g.State.Live() {
			at(g.ExpiresAt)
		}
	}
	b = append(append(b, m.presence...), '.')
	flag(m.leased)
	flag(m.holds)
	for _, e := range m.air {
		flag(e.present)
		at(e.deadline)
	}
	b = append(b, '.')
	for _, op := range m.remembered() {
		b = append(append(b, op.Kind...), op.Outcome...)
		at(op.Deadline.Add(m.skew))
	}
	return string(b)
}

// remembered is what of the operations can still decide anything: the last, and
// those that are in doubt and came after the last success or may still land.
// One that is in doubt and can land no more says as much as many.
func (m *model) remembered() []access.Operation {
	last := 0
	for i, op := range m.ops {
		if op.Outcome == access.Succeeded {
			last = i
		}
	}
	var kept []access.Operation
	doubt := false
	for i, op := range m.ops {
		open := op.Outcome == access.Open || op.Outcome == access.Uncertain
		lands := open && m.now.Before(op.Deadline.Add(m.skew))
		switch {
		case i == len(m.ops)-1 || lands:
			kept = append(kept, op)
		case open && i > last && !doubt:
			doubt = true
			kept = append(kept, access.Operation{Outcome: access.Uncertain, Deadline: m.now.Add(-time.Hour)})
		}
	}
	return kept
}

// Whatever happens to two grants of one entitlement, in whatever order,
// nothing is told that is not so, and everything comes to its end.
func TestLifecycleExhaustively(t *testing.T) {
	t.Parallel()
	states, err := explore(small)
	require.NoError(t, err)
	t.Logf("%d states", states)
	require.Greater(t, states, 1000)
}

// The explorer finds what goes wrong when a rule is left out.
func TestExplorerFindsWhatARuleIsFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		unresolved func([]access.Operation, time.Time, time.Duration) bool
	}{
		// That nothing can land any more does not say what has landed.
		{"QuietAlone", func(ops []access.Operation, now time.Time, skew time.Duration) bool {
			return !access.Quiet(ops, now, skew).IsZero()
		}},
		{"Never", func([]access.Operation, time.Time, time.Duration) bool { return false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := small
			r.unresolved = tt.unresolved
			states, err := explore(r)
			require.Error(t, err)
			t.Logf("%d states: %v", states, err)
		})
	}
}
