package engine_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

func drawAsk(t *rapid.T) access.Ask {
	a := access.Ask{
		Items: rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) access.Item {
			return access.Item{
				Role:     oneOf(t, "role", "pg/readonly", "pg/readonly", "pg/debug-rw", "kube/view"),
				Resource: oneOf(t, "resource", catalog[0], catalog[0], catalog[1], catalog[2], catalog[3]),
			}
		}), 1, 3, rapid.ID[access.Item]).Draw(t, "items"),
		Duration: oneOf[access.Seconds](t, "duration", 1800, 1800, 1800, 60, 600, 1200, 1800, 3600, 2*3600, 4*3600+1),
		Reason:   oneOf(t, "reason", "looking into it", " äöü ", "abcd", "looking into the odd orders"),
		Ticket:   oneOf(t, "ticket", "", "PAY-1", "PAY-1x", "OPS-1", "AB", " "),
		StartAt:  oneOf(t, "start", time.Time{}, time.Time{}, time.Time{}, time.Time{}, noon.Add(30*time.Minute), noon.Add(2*time.Hour)),
	}
	if chance(t, "named", 1) {
		a.Contract = oneOf(t, "contract", "c0", "c1", "nothing")
	}
	return a
}

func drawSubject(t *rapid.T, user string) access.Subject {
	s := access.Subject{ID: id(user), GroupsKnown: !chance(t, "groupsUnknown", 1)}
	if s.GroupsKnown {
		s.Groups = member(t, 4)
	}
	return s
}

func drawFacts(t *rapid.T) engine.Facts {
	f := engine.Facts{Now: noon, Live: map[string]engine.Live{}, Accounts: map[string]string{"pg": "acct"}}
	for _, u := range users { // everybody, the requester too
		f.People = append(f.People, drawSubject(t, u))
	}
	f.Subject = f.People[0]
	for _, c := range []string{"c0", "c1"} {
		mine := oneOf(t, "mine", 0, 0, 1, 2)
		f.Live[c] = engine.Live{Subject: mine, Total: mine + between(t, "theirs", 0, 1)}
	}
	if chance(t, "noAccount", 1) {
		f.Accounts = nil
	}
	return f
}
