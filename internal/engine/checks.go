package engine

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// elapsed is how much of its duration the grant that is extended has already:
// what it ran and what is left of it. It is zero for a new grant.
func (e *evaluation) elapsed() access.Seconds {
	x := e.f.Extends
	if x == nil {
		return 0
	}
	d := x.ExpiresAt.Sub(x.StartedAt)
	if x.StartedAt.IsZero() {
		d = x.ExpiresAt.Sub(e.f.Now)
	}
	return access.Seconds((max(0, d) + time.Second - 1) / time.Second)
}

// spoken is how a sentence names the document of a rule.
func spoken(rule string) string { return strings.Replace(rule, "/", " ", 1) }

// total is how long the access would last in all.
func (d *drafting) total() access.Seconds { return d.elapsed() + d.o.Duration }

// duration wants the asked length between the least and the most. It is never
// cut down silently.
func (d *drafting) duration() {
	least, most, asked := d.o.MinDuration, d.o.MaxDuration, d.o.Duration
	by := spoken(d.capRule)
	path := "/spec/time/duration/min"
	if x := d.f.Extends; x != nil {
		d.extension(x)
		return
	}
	switch {
	case least > most:
		fix := "Ask under another contract, or ask the owners of both documents."
		d.noteFix(d.capRule, d.capPath, access.Fail, "at most "+most.String(), "the contract grants no less than "+least.String(), fix)
		d.fail(access.DurationTooLong, fmt.Sprintf("%s allows at most %s, and contract %s grants no less than %s.", by, most, d.o.Contract, least), fix)
	case asked > most:
		fix := "Ask for at most " + most.String() + "."
		d.noteFix(d.capRule, d.capPath, access.Fail, "at most "+most.String(), asked.String(), fix)
		d.fail(access.DurationTooLong, fmt.Sprintf("%s allows at most %s; you asked for %s.", by, most, asked), fix)
	case asked < max(1, least):
		fix := "Ask for at least " + max(1, least).String() + "."
		d.noteFix(d.rule, path, access.Fail, "at least "+max(1, least).String(), asked.String(), fix)
		d.fail(access.DurationTooShort, fmt.Sprintf("Contract %s grants no less than %s; you asked for %s.", d.o.Contract, max(1, least), asked), fix)
	default:
		d.note(d.capRule, d.capPath, access.Pass, "at most "+most.String(), asked.String())
		if least > 0 {
			d.note(d.rule, path, access.Pass, "at least "+least.String(), asked.String())
		}
	}
}

// longest is the longest that a grant may last with all its extensions.
func (d *drafting) longest(x *Extension) access.Seconds {
	if x.MaxTotal > 0 {
		return min(d.o.MaxDuration, x.MaxTotal)
	}
	return d.o.MaxDuration
}

// extension wants the whole life of the grant within what the contract
// allows now and what was pinned when it was made.
func (d *drafting) extension(x *Extension) {
	most := d.longest(x)
	d.o.MaxDuration = most
	room := most - d.elapsed()
	fix := "Ask for at most " + room.String() + " more."
	if room <= 0 {
		fix = "Nothing can be added. Ask anew when this grant has ended."
	}
	switch {
	case d.o.Duration < 1:
		d.fail(access.DurationTooShort, "An extension adds at least one second.", fix)
	case d.o.Duration > room:
		d.noteFix(d.capRule, d.capPath, access.Fail, "at most "+most.String()+" in all", d.total().String(), fix)
		d.fail(access.DurationTooLong, fmt.Sprintf("%s allows at most %s in all; with %s more the grant would last %s.",
			spoken(d.capRule), most, d.o.Duration, d.total()), fix)
	default:
		d.note(d.capRule, d.capPath, access.Pass, "at most "+most.String()+" in all", d.total().String())
	}
}

// start wants the start within the contract's horizon.
func (d *drafting) start() {
	at, now := d.ask.StartAt, d.f.Now
	if at.IsZero() {
		return
	}
	const path = "/spec/time/startWithin"
	latest := now.Add(d.o.StartWithin.Duration())
	fix := "Leave the start out, or start by " + stamp(latest) + "."
	switch {
	case d.f.Extends != nil:
		fix = "Leave the start out."
		d.noteFix(d.rule, path, access.Fail, "no start: an extension begins where the grant ends", stamp(at), fix)
		d.fail(access.StartTooFar, "An extension has no start of its own: it begins where the grant ends now.", fix)
	case at.After(latest):
		d.noteFix(d.rule, path, access.Fail, "by "+stamp(latest), stamp(at), fix)
		d.fail(access.StartTooFar, fmt.Sprintf("Contract %s lets a grant start at most %s ahead; %s is later.", d.o.Contract, d.o.StartWithin, stamp(at)), fix)
	default:
		d.note(d.rule, path, access.Pass, "by "+stamp(latest), stamp(at))
	}
}

// validity cuts the duration down to the end of the contract, and says so.
func (d *drafting) validity() {
	end := d.o.NotAfter
	if end.IsZero() {
		return
	}
	const path = "/spec/validity/notAfter"
	from := d.f.Now
	if d.ask.StartAt.After(from) {
		from = d.ask.StartAt
	}
	if d.f.Extends != nil {
		from = d.f.Extends.ExpiresAt
	}
	left := access.Seconds(end.Sub(from) / time.Second)
	switch {
	case left < 1 || d.f.Extends == nil && left < d.o.MinDuration:
		fix := "Ask under another contract, or ask the owners of this one to renew it."
		d.noteFix(d.rule, path, access.Fail, "an end by "+stamp(end), "starts "+stamp(from), fix)
		d.fail(access.ContractExpired, fmt.Sprintf("Contract %s ends at %s, which leaves too little time from %s on.", d.o.Contract, stamp(end), stamp(from)), fix)
	case d.o.Duration > left:
		d.note(d.rule, path, access.Pass, "an end by "+stamp(end), fmt.Sprintf("shortened from %s to %s", d.o.Duration, left))
		d.o.Duration = left
	default:
		d.note(d.rule, path, access.Pass, "an end by "+stamp(end), stamp(from.Add(d.o.Duration.Duration())))
	}
}

// justification wants a reason of some length.
func (d *drafting) justification() {
	j := d.c.Spec.Justification
	if j == nil || j.MinLength <= 0 {
		return
	}
	const path = "/spec/justification/minLength"
	have := utf8.RuneCountInString(strings.TrimSpace(d.ask.Reason))
	least := count(j.MinLength, "character")
	want, actual := least, count(have, "character")
	switch {
	case have >= j.MinLength:
		d.note(d.rule, path, access.Pass, want, actual)
		return
	case have == 0 && d.question:
		d.note(d.rule, path, access.Skipped, "a reason of at least "+least, notGiven)
		return
	}
	fix := "Give a reason of at least " + least + "."
	d.noteFix(d.rule, path, access.Fail, want, actual, fix)
	d.fail(access.JustificationShort, fmt.Sprintf("Contract %s wants a reason of at least %s; yours has %d.", d.o.Contract, least, have), fix)
}

// notGiven is what a question need not say.
const notGiven = "not given yet"

// ticket wants one where the contract or a guardrail requires it, and of the
// contract's form where it has one.
func (d *drafting) ticket() {
	rule, path, pattern, required := d.rule, "/spec/justification/ticket", "", false
	if j := d.c.Spec.Justification; j != nil && j.Ticket != nil {
		pattern, required = j.Ticket.Pattern, j.Ticket.Required
	}
	for _, g := range d.gs {
		if g.Spec.Require != nil && g.Spec.Require.Ticket && !required {
			rule, path, required = "Guardrail/"+g.Metadata.Name, "/spec/require/ticket", true
		}
	}
	have := strings.TrimSpace(d.ask.Ticket)
	switch {
	case have == "" && required && d.question:
		want := "a ticket"
		if pattern != "" {
			want += " of the form " + pattern
		}
		d.note(rule, path, access.Skipped, want, notGiven)
	case have == "" && required:
		fix := "Name a ticket."
		if pattern != "" {
			fix = "Name a ticket of the form " + pattern + "."
		}
		d.noteFix(rule, path, access.Fail, "a ticket", "none", fix)
		d.fail(access.TicketInvalid, spoken(rule)+" wants a ticket, and there is none.", fix)
	case have == "":
	case pattern != "" && !matches(pattern, d.ask.Ticket):
		fix := "Name a ticket of the form " + pattern + "."
		d.noteFix(d.rule, "/spec/justification/ticket/pattern", access.Fail, pattern, d.ask.Ticket, fix)
		d.fail(access.TicketInvalid, fmt.Sprintf("Contract %s takes tickets of the form %s only.", d.o.Contract, pattern), fix)
	case required || pattern != "":
		d.note(rule, path, access.Pass, "a ticket", d.ask.Ticket)
	}
}

// matches says whether the whole ticket has the form. A pattern that cannot
// be read, which the loader does not let in, matches nothing.
func matches(pattern, ticket string) bool {
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	return err == nil && re.MatchString(ticket)
}

// count says how many there are of a thing.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// limits wants room for one more live grant. An extension makes no new grant,
// so the one that it is about does not count.
func (d *drafting) limits() {
	l := d.c.Spec.Limits
	if l == nil {
		return
	}
	f := d.f
	if f.Extends != nil {
		f = f.Without(d.o.Contract)
	}
	live := f.Live[d.o.Contract]
	d.limit("activePerSubject", l.ActivePerSubject, live.Subject, "you have",
		"Give one of yours back first (ramp grants release), or wait until one ends.")
	d.limit("activeTotal", l.ActiveTotal, live.Total, "all together have",
		"Wait until one of them ends.")
}

func (d *drafting) limit(name string, most, have int, who, fix string) {
	if most <= 0 {
		return
	}
	earlier := d.chosen[d.o.Contract]
	path, want, actual := "/spec/limits/"+name, "at most "+count(most, "live grant"), fmt.Sprintf("%d with this one", have+earlier+1)
	if have+earlier < most {
		d.note(d.rule, path, access.Pass, want, actual)
		return
	}
	d.noteFix(d.rule, path, access.Fail, want, actual, fix)
	message := fmt.Sprintf("Contract %s allows %s (%s), and %s %d already", d.o.Contract, count(most, "live grant"), name, who, have)
	if earlier > 0 {
		message += fmt.Sprintf(", with %d more in this request", earlier)
	}
	d.fail(access.LimitReached, message+".", fix)
}
