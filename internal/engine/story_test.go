package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// story is a scenario as it goes on.
type story struct {
	t        *testing.T
	ix       *contract.Index
	mirror   *contract.Index // of the same documents the other way round
	people   map[string]access.Subject
	now      time.Time
	requests []*asked
	out      strings.Builder
}

type asked struct {
	by    string
	ask   access.Ask
	d     access.Decision
	votes []access.Vote
	of    *asked // that it extends
	// start and end of the grants that followed, by item.
	start, end []time.Time
}

func newStory(t *testing.T, policy, directory []byte) *story {
	s := &story{t: t, ix: load(t, policy), people: map[string]access.Subject{}, now: noon}
	documents := strings.Split(string(policy), "\n---\n")
	slices.Reverse(documents)
	s.mirror = load(t, []byte(strings.Join(documents, "\n---\n")))
	var groups map[string][]string
	require.NoError(t, yaml.Unmarshal(directory, &groups))
	for name, list := range groups {
		s.people[name] = access.Subject{ID: id(name), Groups: list, GroupsKnown: list != nil}
	}
	return s
}

func load(t *testing.T, policy []byte) *contract.Index {
	set, problems := contract.Load(contract.File{Name: "contracts.yaml", Data: policy})
	require.NotNil(t, set, "%v", problems)
	return contract.Compile(set, 1, issuer)
}

func (s *story) play(steps string) string {
	for step := range strings.Lines(steps) {
		step = strings.TrimSpace(step)
		if step == "" || strings.HasPrefix(step, "#") {
			continue
		}
		s.sayf("> %s", step)
		who, rest, _ := strings.Cut(step, " ")
		verb, rest, _ := strings.Cut(rest, " ")
		switch {
		case who == "at":
			s.now = s.clock(verb)
		case who == "trace":
			s.trace(s.request(verb))
		case verb == "asks":
			s.asks(who, rest)
		case verb == "extends":
			s.extends(who, rest)
		case verb == "approves":
			s.votes(who, s.request(rest), access.Approve)
		case verb == "denies":
			s.votes(who, s.request(rest), access.Deny)
		case verb == "joins":
			p := s.people[who]
			p.Groups = append(slices.Clone(p.Groups), rest)
			s.people[who] = p
		case verb == "leaves":
			p := s.people[who]
			p.Groups = slices.DeleteFunc(slices.Clone(p.Groups), func(g string) bool { return g == rest })
			s.people[who] = p
		default:
			s.t.Fatalf("no such step: %s", step)
		}
	}
	return s.out.String()
}

func (s *story) sayf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *story) clock(text string) time.Time {
	at, err := time.Parse("15:04", text)
	require.NoError(s.t, err)
	return noon.Truncate(24 * time.Hour).Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
}

func (s *story) request(number string) *asked {
	var n int
	_, err := fmt.Sscanf(number, "#%d", &n)
	require.NoError(s.t, err, number)
	return s.requests[n-1]
}

func (s *story) asks(who, text string) {
	r := &asked{by: who}
	text, r.ask.Reason, _ = strings.Cut(text, " because ")
	text, r.ask.Ticket, _ = strings.Cut(text, " ticket ")
	text, r.ask.Contract, _ = strings.Cut(text, " under ")
	text, from, later := strings.Cut(text, " from ")
	if later {
		r.ask.StartAt = s.clock(from)
	}
	text, length, _ := strings.Cut(text, " for ")
	var err error
	r.ask.Duration, err = access.ParseSeconds(length)
	require.NoError(s.t, err)
	for item := range strings.SplitSeq(text, ", ") {
		role, resource, _ := strings.Cut(item, " on ")
		r.ask.Items = append(r.ask.Items, access.Item{Role: role, Resource: resource})
	}
	s.decide(r, nil)
}

func (s *story) extends(who, text string) {
	number, by, _ := strings.Cut(text, " by ")
	of := s.request(number)
	more, err := access.ParseSeconds(by)
	require.NoError(s.t, err)
	r := &asked{by: who, of: of, ask: access.Ask{Items: of.ask.Items[:1], Duration: more, Reason: of.ask.Reason, Ticket: of.ask.Ticket, Extends: access.GrantID{1}}}
	s.decide(r, &engine.Extension{Grant: r.ask.Extends, Contract: of.d.Items[0].Offer.Contract, StartedAt: of.start[0], ExpiresAt: of.end[0]})
}

func (s *story) facts(who string) engine.Facts {
	f := engine.Facts{Now: s.now, Subject: s.people[who], Accounts: map[string]string{}, Live: map[string]engine.Live{}}
	for _, name := range slices.Sorted(maps.Keys(s.people)) {
		f.People = append(f.People, s.people[name])
	}
	for _, r := range s.ix.Set().Resources {
		f.Accounts[r.Spec.Connector] = who
	}
	for _, r := range s.requests {
		for i, end := range r.end {
			if s.now.Before(end) {
				l := f.Live[r.d.Items[i].Offer.Contract]
				l.Total++
				if r.by == who {
					l.Subject++
				}
				f.Live[r.d.Items[i].Offer.Contract] = l
			}
		}
	}
	return f
}

func (s *story) decide(r *asked, extends *engine.Extension) {
	f := s.facts(r.by)
	f.Extends = extends
	r.d = engine.Evaluate(s.ix, r.ask, "hash", f)
	one, err := json.Marshal(r.d)
	require.NoError(s.t, err)
	two, err := json.Marshal(engine.Evaluate(s.mirror, r.ask, "hash", f))
	require.NoError(s.t, err)
	require.Equal(s.t, string(one), string(two), "the order of documents means nothing")

	s.requests = append(s.requests, r)
	within := ""
	if r.d.Outcome == access.Review {
		within = " within " + r.d.DecideWithin.String()
	}
	s.sayf("#%d %s%s", len(s.requests), r.d.Outcome, within)
	for _, it := range r.d.Items {
		if o := it.Offer; o != nil {
			text := fmt.Sprintf("   %s: %s for %s", it.Item.Role, o.Contract, o.Duration)
			if o.Auto != "" {
				text += " by auto rule " + o.Auto
			}
			if len(o.Guardrails) > 0 {
				text += " within " + strings.Join(o.Guardrails, ", ")
			}
			if len(it.Others) > 0 {
				text += "; also " + strings.Join(it.Others, ", ")
			}
			s.sayf("%s", text)
		}
	}
	for _, track := range r.d.Approvals {
		for _, stage := range track.Stages {
			for _, seat := range stage.Seats {
				s.sayf("   needs in stage %s: %d of %s, for items %v", stage.Name, seat.Count, seat.From, track.Items)
			}
		}
	}
	for _, reason := range r.d.Reasons {
		s.sayf("   %s (item %d): %s\n      fix: %s", reason.Code, reason.Item, reason.Message, reason.Fix)
	}
	if redacted := engine.Redact(r.d); !slices.Equal(redacted.Reasons, r.d.Reasons) {
		for _, reason := range redacted.Reasons {
			s.sayf("   %s is told %s (item %d): %s", r.by, reason.Code, reason.Item, reason.Message)
		}
	}
	if r.d.Outcome == access.Permit {
		s.grant(r)
	}
}

func (s *story) grant(r *asked) {
	if r.of != nil {
		r.of.end[0] = r.of.end[0].Add(r.d.Items[0].Offer.Duration.Duration())
		s.sayf("   it ends at %s", r.of.end[0].Format("15:04"))
		return
	}
	for _, it := range r.d.Items {
		start := s.now
		if r.ask.StartAt.After(start) {
			start = r.ask.StartAt
		}
		r.start, r.end = append(r.start, start), append(r.end, start.Add(it.Offer.Duration.Duration()))
	}
}

func (s *story) votes(who string, r *asked, v access.VoteDecision) {
	people := map[access.PrincipalID]access.Subject{}
	for _, p := range s.people {
		people[p.ID] = p
	}
	if err := engine.CanVote(r.d, id(r.by), r.votes, people, s.people[who], v); err != nil {
		s.sayf("   %s: %s", err.Code, err.Message)
		return
	}
	r.votes = append(r.votes, access.Vote{Voter: id(who), Decision: v})
	tally := engine.Count(r.d, id(r.by), r.votes, people)
	s.sayf("   %s", tally.State)
	for t, track := range tally.Tracks {
		for _, st := range track.Seats {
			stage := r.d.Approvals[t].Stages[st.Stage]
			var names []string
			for _, p := range st.Filled {
				names = append(names, p.Subject())
			}
			s.sayf("   stage %s, %s: %v, %d missing", stage.Name, stage.Seats[st.Seat].From, names, st.Missing)
		}
	}
	if tally.State == engine.Filled {
		s.grant(r)
	}
}

func (s *story) trace(r *asked) {
	for _, it := range r.d.Items {
		for _, c := range it.Trace {
			s.sayf("   %-7s %s%s: %s / %s", c.Verdict, c.Rule, c.Path, c.Expected, c.Actual)
		}
	}
}
