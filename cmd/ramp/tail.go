package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/rampkeeper/rampkeeper/api/client"
)

// tail shows the end of the audit log.
type tail struct {
	*app
	client *client.Client
	filter client.ListEventsParams
}

// show shows the newest events.
func (t tail) show(ctx context.Context, lines int) error {
	newest, _, err := t.newest(ctx, lines)
	if err != nil {
		return err
	}
	return t.print(newest)
}

// follow shows the newest events, and those that come.
//
// Events are numbered before they are committed, so one with a lower number
// may appear after one with a higher. The list of what follows an event has
// another order, by transaction, and answers only what no older transaction
// can still add to. So a first answer of it is needed to know a place behind
// which nothing is missed; what came before it is then complete in the list of
// the newest, too.
func (t tail) follow(ctx context.Context, lines int) error {
	const back = 200 // far enough to find such a place at once
	recent, more, err := t.newest(ctx, back)
	if err != nil {
		return t.ended(ctx, err)
	}
	from := "start"
	if more {
		from = slices.MinFunc(recent, inLog).ID.String()
	}
	var last client.Event
	for {
		settled, err := t.after(ctx, from)
		if err != nil {
			return t.ended(ctx, err)
		}
		if len(settled) > 0 {
			last = settled[len(settled)-1]
		}
		if len(settled) > 0 || !more {
			break
		}
		if !rest(ctx, time.Second) { // a transaction runs that is older than all these
			return nil
		}
	}
	if !last.ID.IsZero() {
		from = last.ID.String()
		begun, _, err := t.newest(ctx, max(lines, 1))
		if err != nil {
			return t.ended(ctx, err)
		}
		begun = slices.DeleteFunc(begun, func(e client.Event) bool { return inLog(e, last) > 0 }) // to come yet
		if err := t.print(begun[max(len(begun)-lines, 0):]); err != nil {
			return err
		}
	}
	return t.goOn(ctx, from)
}

// goOn shows the events behind a place, until the person stops it.
func (t tail) goOn(ctx context.Context, from string) error {
	quiet := false
	for {
		events, err := t.after(ctx, from)
		pause := time.Second
		if err != nil {
			passes := false
			if pause, passes = passing(err); !passes || ctx.Err() != nil {
				return t.ended(ctx, err)
			}
			if !quiet {
				t.say("%s Trying again, and nothing will be missed; Ctrl-C stops.", trouble(err))
			}
		}
		quiet = err != nil
		if err := t.print(events); err != nil {
			return err
		}
		if len(events) > 0 {
			from = events[len(events)-1].ID.String()
		}
		if !rest(ctx, pause) {
			return nil
		}
	}
}

// ended is the end of following: nothing is left undone when it is stopped.
func (t tail) ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func (t tail) print(events []client.Event) error {
	for _, e := range events {
		if err := t.printEvent(e); err != nil {
			return err
		}
	}
	return nil
}

// newest gives that many events in the order of their numbers, and whether
// there are more.
func (t tail) newest(ctx context.Context, most int) ([]client.Event, bool, error) {
	events, more, err := t.list(ctx, nil, most)
	slices.SortFunc(events, func(x, y client.Event) int { return cmp.Compare(x.Index, y.Index) })
	return events, more, err
}

// after gives all events behind a place, in the order of the log.
func (t tail) after(ctx context.Context, place string) ([]client.Event, error) {
	events, _, err := t.list(ctx, &place, 0)
	return events, err
}

func (t tail) list(ctx context.Context, after *string, most int) ([]client.Event, bool, error) {
	params := t.filter
	params.After = after
	return collect(most, func(cursor *string, limit int) (client.EventPage, error) {
		params.Cursor, params.Limit = cursor, &limit
		return decode[client.EventPage](t.client.ListEvents(ctx, &params))
	}, func(p client.EventPage) ([]client.Event, string) { return p.Items, p.NextCursor })
}

// inLog compares two events by their places in the log.
func inLog(x, y client.Event) int {
	return cmp.Or(cmp.Compare(transaction(x), transaction(y)), cmp.Compare(x.Index, y.Index))
}

func transaction(e client.Event) uint64 {
	n, err := strconv.ParseUint(e.Xid, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
