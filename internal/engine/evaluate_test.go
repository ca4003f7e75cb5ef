package engine_test

import (
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

func lines(offers []access.Offer) []string {
	var out []string
	for _, o := range offers {
		out = append(out, line(o))
	}
	return out
}

func TestOffersAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		wantOffers, wantFailures := reference(w)

		offers, reasons := engine.Offers(w.index(), w.ask, w.facts)

		var failures []string
		for _, r := range reasons {
			if r.Code == access.GuardrailDeny {
				failures = append(failures, string(r.Code))
				continue
			}
			failures = append(failures, r.Contract+":"+string(r.Code))
		}
		sort.Strings(failures)
		require.Equal(t, wantOffers, lines(offers))
		require.Equal(t, wantFailures, failures)
		for _, r := range reasons {
			require.NotEmpty(t, r.Message)
			require.NotEmpty(t, r.Fix, r.Message)
		}
	})
}

func TestSameInputSameBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		again := w
		again.facts.Live, again.facts.Accounts = maps.Clone(w.facts.Live), maps.Clone(w.facts.Accounts)

		one, err := json.Marshal(w.decide())
		require.NoError(t, err)
		two, err := json.Marshal(again.decide())

		require.NoError(t, err)
		require.Equal(t, string(one), string(two))
	})
}

// The order of documents has no meaning: index sorts them, as the loader does.
func TestOrderOfDocumentsMeansNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		shuffled := w
		shuffled.set.Contracts = rapid.Permutation(w.set.Contracts).Draw(t, "contracts")
		shuffled.set.Guardrails = rapid.Permutation(w.set.Guardrails).Draw(t, "guardrails")
		shuffled.set.Approvers = rapid.Permutation(w.set.Approvers).Draw(t, "approvers")

		require.Equal(t, w.decide(), shuffled.decide())
	})
}

func TestLimitsNeverMix(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for _, o := range w.offers() {
			alone := w
			alone.set.Contracts = slices.DeleteFunc(slices.Clone(w.set.Contracts), func(c contract.Contract) bool { return c.Metadata.Name != o.Contract })

			require.Equal(t, []access.Offer{o}, alone.offers(), "an offer depends on its own contract and the guardrails alone")
		}
	})
}

func TestAddingAContractRemovesNoOffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		more := w
		added := drawContract(t, "c9")
		added.Spec.Exclusive = false
		more.set.Contracts = append(slices.Clone(w.set.Contracts), added)

		after := more.offers()

		after = slices.DeleteFunc(after, func(o access.Offer) bool { return o.Contract == "c9" })
		require.Equal(t, lines(w.offers()), lines(after))
	})
}

func TestAddingAGuardrailOnlyTightens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		more := w
		more.set.Guardrails = append(slices.Clone(w.set.Guardrails), drawGuardrail(t, "g9"))

		requireTighter(t, w.offers(), more.offers())
	})
}

func TestUnknownGroupsOnlyTighten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.facts.Subject.GroupsKnown = true
		w.facts.Subject.Groups = member(t, 4)
		unknown := w
		unknown.facts.Subject.GroupsKnown = false

		requireTighter(t, w.offers(), unknown.offers())
	})
}

func TestMoreGroupsNeverHurtUnlessNamed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		more := w
		joined := oneOf(t, "joins", groups...)
		names := func(atoms []contract.Atom) bool {
			return slices.ContainsFunc(atoms, func(a contract.Atom) bool { return a.Group == joined })
		}
		for _, g := range w.set.Guardrails {
			if s := g.Spec.Match.Subjects; s != nil && (names(s.Any) || names(s.All)) {
				t.Skip("a guardrail names the group")
			}
		}
		for _, c := range w.set.Contracts {
			for _, a := range c.Spec.Approvals.Auto {
				if a.Subjects != nil && names(a.Subjects.None) {
					t.Skip("a none names the group")
				}
			}
			if names(c.Spec.Subjects.None) {
				t.Skip("a none names the group")
			}
		}
		more.facts.Subject.Groups = append(slices.Clone(w.facts.Subject.Groups), joined)

		requireTighter(t, more.offers(), w.offers())
	})
}

// requireTighter wants every offer of tight among those of wide, and no
// wider there in anything.
func requireTighter(t *rapid.T, wide, tight []access.Offer) {
	for _, o := range tight {
		i := slices.IndexFunc(wide, func(x access.Offer) bool { return x.Contract == o.Contract })
		require.GreaterOrEqual(t, i, 0, "an offer of %s appeared", o.Contract)
		require.LessOrEqual(t, o.MaxDuration, wide[i].MaxDuration)
		require.LessOrEqual(t, o.Duration, wide[i].Duration)
		require.GreaterOrEqual(t, count(o.Stages), count(wide[i].Stages))
		if o.Auto != "" {
			require.NotEmpty(t, wide[i].Auto)
		}
	}
}

func count(stages []access.Stage) (n int) {
	for _, s := range stages {
		for _, seat := range s.Seats {
			n += seat.Count
		}
	}
	return n
}

func TestDecisionOverItems(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)

		d := w.decide()

		require.Equal(t, int64(7), d.PolicyRevision)
		require.Equal(t, w.facts.Digest(), d.FactsDigest)
		require.Len(t, d.Items, len(w.ask.Items))
		tracked := map[int]int{}
		for i, track := range d.Approvals {
			for _, at := range track.Items {
				tracked[at] = i
				require.Equal(t, track.Stages, d.Items[at].Offer.Stages)
				require.Equal(t, track.Contract, d.Items[at].Offer.Contract)
			}
			for _, other := range d.Approvals[:i] {
				require.NotEqual(t, [2]any{other.Contract, other.Stages}, [2]any{track.Contract, track.Stages}, "asked twice")
			}
		}
		refused, review := false, false
		taken := map[string]int{}
		var decide []access.Seconds
		for at, it := range d.Items {
			require.Equal(t, w.ask.Items[at], it.Item)
			require.NotEmpty(t, it.Trace)
			refused = refused || it.Outcome == access.Refuse
			require.Equal(t, it.Outcome == access.Refuse, it.Offer == nil)
			require.Equal(t, it.Outcome == access.Refuse, len(it.Reasons) > 0)
			if it.Offer == nil {
				continue
			}
			alone := w
			alone.ask.Items = w.ask.Items[at : at+1]
			alone.facts.Live = maps.Clone(w.facts.Live)
			for c, n := range taken {
				l := alone.facts.Live[c]
				alone.facts.Live[c] = engine.Live{Subject: l.Subject + n, Total: l.Total + n}
			}
			offers := alone.offers()
			i := slices.IndexFunc(offers, func(o access.Offer) bool { return w.ask.Contract == "" || o.Contract == w.ask.Contract })
			require.GreaterOrEqual(t, i, 0)
			require.Equal(t, &offers[i], it.Offer)
			require.Equal(t, len(it.Offer.Stages) > 0, it.Outcome == access.Review)
			require.Len(t, it.Others, len(offers)-1)
			taken[it.Offer.Contract]++
			review = review || it.Outcome == access.Review
			decide = append(decide, it.Offer.DecideWithin)
			_, waits := tracked[at]
			if d.Outcome != access.Refuse {
				require.Equal(t, len(it.Offer.Stages) > 0, waits)
			}
		}
		switch d.Outcome {
		case access.Refuse:
			require.NotEmpty(t, d.Reasons)
			require.Empty(t, d.Approvals)
			require.Zero(t, d.DecideWithin)
			if !refused {
				require.Equal(t, access.UnsatisfiableQuorum, d.Reasons[0].Code)
			}
		case access.Review, access.Permit:
			require.False(t, refused)
			require.Equal(t, review, d.Outcome == access.Review)
			require.Empty(t, d.Reasons)
			require.Equal(t, slices.Min(decide), d.DecideWithin)
			require.True(t, refSeatable(w, trackSeats(d.Approvals), nil))
		}
	})
}

// trackSeats writes every seat of the tracks as the reference does.
func trackSeats(tracks []access.Track) (out []string) {
	for _, track := range tracks {
		for _, stage := range track.Stages {
			for _, seat := range stage.Seats {
				for range seat.Count {
					out = append(out, reFrom(seat.From))
				}
			}
		}
	}
	return out
}
