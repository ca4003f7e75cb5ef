package httpapi

import (
	"context"
	"strings"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// each maps a list, never to nil: lists are [] in JSON.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

// list makes nil [].
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// or gives what a pointer points to, or the zero value.
func or[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// limitOf gives the page size that was asked for.
func limitOf(p *int) int {
	if p == nil {
		return 50
	}
	return *p
}

// person shows a subject, by its id where no name is known.
func person(id access.PrincipalID, name, email string) api.Person {
	if name == "" {
		name = id.Subject()
	}
	if name == "" {
		name = string(id)
	}
	return api.Person{ID: id, Name: name, Email: email}
}

func subject(s access.Subject) api.Person { return person(s.ID, s.Name, s.Email) }

func cans(in []broker.Can) []api.Can {
	return each(in, func(c broker.Can) api.Can { return api.Can(c) })
}

// me reads whom the caller means: the word me, the whole id of a person, or
// its subject alone, which is one of the caller's own provider.
func me(ctx context.Context, id *string) access.PrincipalID {
	caller, said := callOf(ctx).caller.ID, access.PrincipalID(or(id))
	switch {
	case said == "me":
		return caller
	case said == "" || said == access.System || strings.Contains(string(said), "|"):
		return said
	}
	return access.PrincipalID(caller.Issuer()) + "|" + said
}

// keyOf gives the idempotency key of the call.
func keyOf(ctx context.Context, key *string) broker.Key {
	if key == nil {
		return broker.Key{}
	}
	return broker.Key{Key: *key, BodyHash: callOf(ctx).bodyHash}
}

// replayed is the header of an answer that repeats an earlier one.
func replayed(yes bool) *bool {
	if !yes {
		return nil
	}
	return &yes
}

// length reads a length of time that was given as one of two members.
func length(text string, seconds int64) (access.Seconds, []access.Detail) {
	switch {
	case text != "" && seconds != 0:
		return 0, []access.Detail{{Pointer: "/duration_seconds", Detail: "give duration or duration_seconds, not both"}}
	case seconds != 0:
		return access.Seconds(seconds), nil
	case text == "":
		return 0, []access.Detail{{Pointer: "/duration", Detail: "is missing: say for how long, such as 30m or 2h"}}
	}
	d, err := access.ParseSeconds(text)
	if err != nil {
		return 0, []access.Detail{{Pointer: "/duration", Detail: err.Error()}}
	}
	return d, nil
}

func faulty(faults []access.Detail) error {
	return &access.Error{Code: access.Invalid, Message: "The input cannot be taken as it is.", Details: faults}
}
