package fake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// Fault is how one call misbehaves. The zero Fault is no fault.
type Fault struct {
	Verb Verb // the first call of this verb meets it; empty: of Ensure or Remove
	kind string
	late time.Duration
}

// The faults. For gives the same fault for one verb only.
var (
	OK            = Fault{kind: "ok"}             // behaves
	Fail          = Fault{kind: "fail"}           // refuses; no effect
	RefuseAfter   = Fault{kind: "refuse after"}   // says it refused, after the effect
	Permanent     = Fault{kind: "permanent"}      // refuses for good; no effect
	Break         = Fault{kind: "break"}          // breaks the connection before the effect
	BreakAfter    = Fault{kind: "break after"}    // breaks the connection after the effect
	TimeoutBefore = Fault{kind: "timeout before"} // no effect, and no answer until the context ends
	TimeoutAfter  = Fault{kind: "timeout after"}  // the effect, and no answer until the context ends
	Lie           = Fault{kind: "lie"}            // says yes and does nothing
)

// Late breaks the connection at once; the effect lands after d all the same.
func Late(d time.Duration) Fault { return Fault{kind: "late", late: d} }

// For gives the fault for one verb.
func (f Fault) For(v Verb) Fault {
	f.Verb = v
	return f
}

var (
	errDown  = errors.New("connection refused: the target is down")
	errBreak = errors.New("connection broken: the effect is unknown")
)

// Plan adds faults to those that the next calls meet, one each, in order.
func (t *Target) Plan(faults ...Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plan = append(t.plan, faults...)
}

// FailNext makes the next n calls of Ensure or Remove refuse.
func (t *Target) FailNext(n int) {
	for range n {
		t.Plan(Fail)
	}
}

// SetDown makes every call fail without an effect until it is up again.
func (t *Target) SetDown(down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down = down
}

// Hang makes every call from now on wait for the function that it returns,
// whatever the call's context says. Calls that were waiting go on then.
func (t *Target) Hang() (release func()) {
	gate := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gate = gate
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.gate == gate {
			t.gate = nil
			close(gate)
		}
	}
}

// call is one call: note it, misbehave as planned, take effect, read back.
func (t *Target) call(ctx context.Context, verb Verb, e access.EntitlementKey, until time.Time, effect func()) (connector.Observation, error) {
	t.mu.Lock()
	n := len(t.calls)
	t.calls = append(t.calls, Call{Verb: verb, Key: e, Until: until, At: time.Now()})
	fault, gate := t.take(verb), t.gate
	t.mu.Unlock()
	if gate != nil {
		<-gate
	}

	o, err := t.act(ctx, fault, e, effect)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[n].Err = err
	return o, err
}

func (t *Target) act(ctx context.Context, fault Fault, e access.EntitlementKey, effect func()) (connector.Observation, error) {
	if err := ctx.Err(); err != nil {
		return connector.Observation{}, fmt.Errorf("calling the target: %w", err)
	}
	wait := func() (connector.Observation, error) {
		<-ctx.Done()
		return connector.Observation{}, fmt.Errorf("waiting for the target: %w", ctx.Err())
	}
	switch fault.kind {
	case "down":
		return connector.Observation{}, fmt.Errorf("%w: %w", connector.ErrRefused, errDown)
	case "fail":
		return connector.Observation{}, fmt.Errorf("as planned: %w", connector.ErrRefused)
	case "refuse after":
		t.do(effect)
		return connector.Observation{}, fmt.Errorf("as planned, after the effect: %w", connector.ErrRefused)
	case "permanent":
		return connector.Observation{}, fmt.Errorf("as planned: %w: %w", connector.ErrRefused, connector.ErrPermanent)
	case "break":
		return connector.Observation{}, errBreak
	case "break after":
		t.do(effect)
		return connector.Observation{}, errBreak
	case "timeout before":
		return wait()
	case "timeout after":
		t.do(effect)
		return wait()
	case "late":
		time.AfterFunc(fault.late, func() { t.do(effect) })
		return connector.Observation{}, errBreak
	case "lie":
		o := t.read(e)
		o.Present = !o.Present
		return o, nil
	}
	t.do(effect)
	return t.read(e), nil
}

// take gives the fault that this call meets. Called with the lock held.
func (t *Target) take(verb Verb) Fault {
	if t.down {
		return Fault{kind: "down"}
	}
	for i, f := range t.plan {
		if f.Verb == verb || f.Verb == "" && (verb == Ensure || verb == Remove) {
			t.plan = append(t.plan[:i:i], t.plan[i+1:]...)
			return f
		}
	}
	return Fault{}
}

func (t *Target) do(effect func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	effect()
}

func (t *Target) read(e access.EntitlementKey) connector.Observation {
	t.mu.Lock()
	defer t.mu.Unlock()
	until, ok := t.held[e]
	o := connector.Observation{Present: ok, Findings: t.findings}
	if t.class == access.ExpiryNative {
		o.Until = until
	}
	for s := range t.sessions {
		if s.key == e {
			o.Sessions++
		}
	}
	return o
}
