package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Redact gives the requester's view of a decision, for callers who are
// neither auditor nor contract admin. The requester may know of the contracts
// that are for them, and of what those bring along; of everything else there
// is no trace. A resource that does not exist, one that no contract opens to
// the requester and a role that does not exist all read the same.
func Redact(d access.Decision) access.Decision {
	if d.ID.IsZero() {
		// It would differ with the people behind a hidden resource. That of a
		// decision on record is salted, and its event shows it too.
		d.FactsDigest = ""
	}
	d.Items = slices.Clone(d.Items)
	seen := make([]map[string]bool, len(d.Items))
	var reasons []access.Reason
	for i, it := range d.Items {
		seen[i] = known(it.Trace)
		d.Items[i] = redactItem(it, i, seen[i])
		reasons = append(reasons, d.Items[i].Reasons...)
	}
	for _, r := range d.Reasons { // those about all items together
		if r.Item >= len(d.Items) || d.Items[r.Item].Outcome != access.Refuse {
			reasons = append(reasons, r)
		}
	}
	slices.SortStableFunc(reasons, func(a, b access.Reason) int { return cmp.Compare(a.Item, b.Item) })
	d.Reasons = reasons
	return d
}

func redactItem(it access.ItemDecision, at int, known map[string]bool) access.ItemDecision {
	groupsUnknown := slices.ContainsFunc(it.Trace, func(c access.Clause) bool { return c.Rule == subjectRule })
	trace := []access.Clause{}
	about := map[string]bool{} // guardrails that match
	for _, c := range it.Trace {
		if strings.HasPrefix(c.Rule, "Guardrail/") && c.Verdict != access.Skipped {
			about[c.Rule] = true
		}
	}
	for _, c := range it.Trace {
		keep := about[c.Rule]
		switch {
		case strings.HasPrefix(c.Rule, "Contract/"):
			keep = known[c.Rule]
		case !strings.HasPrefix(c.Rule, "Guardrail/"):
			keep = true
		}
		if keep && len(known) > 0 {
			trace = append(trace, c)
		}
	}
	it.Trace = trace
	if it.Outcome != access.Refuse {
		return it
	}
	var reasons []access.Reason
	for _, r := range it.Reasons {
		if len(known) > 0 && (r.Contract == "" || known["Contract/"+r.Contract]) {
			reasons = append(reasons, r)
		}
	}
	if len(reasons) == 0 {
		r := access.Reason{
			Code: access.NoContract, Item: at,
			Message: fmt.Sprintf("No contract lets you have %s on %s.", it.Item.Role, it.Item.Resource),
			Fix:     "See what you can ask for: ramp catalog. Or ask the owners of the resource.",
		}
		if groupsUnknown {
			r.Code = access.FactUnavailable
			r.Message += " Your groups are unknown, so that no contract for a group is for you."
			r.Fix = groupsFix
		}
		reasons = []access.Reason{r}
	}
	it.Reasons = reasons
	return it
}

// known gives the contracts of a trace that are for the subject and that the
// subject may know of: not those still in draft, nor those that an exclusive
// contract sets aside.
func known(trace []access.Clause) map[string]bool {
	out := map[string]bool{}
	hidden := map[string]bool{}
	for _, c := range trace {
		if !strings.HasPrefix(c.Rule, "Contract/") {
			continue
		}
		switch {
		case strings.HasPrefix(c.Path, "/spec/subjects/") && c.Verdict == access.Pass:
			out[c.Rule] = true
		case strings.HasPrefix(c.Path, "/spec/subjects/"), c.Path == exclusivePath, c.Path == "/spec/state" && c.Actual == "draft":
			hidden[c.Rule] = true
		}
	}
	maps.DeleteFunc(out, func(rule string, _ bool) bool { return hidden[rule] })
	return out
}
