package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/api/client"
)

// problem is a refusal by the broker.
type problem struct {
	client.Problem

	again time.Duration // after which it may be tried again, if the broker says so
}

func (p *problem) Error() string {
	var b strings.Builder
	b.WriteString(inline(cmp.Or(p.Detail, p.Title)))
	for _, e := range p.Errors {
		b.WriteString("\n  ")
		switch {
		case e.File != "":
			fmt.Fprintf(&b, "%s:%d:%d: ", inline(e.File), e.Line, e.Column)
		case e.Pointer != "":
			b.WriteString(inline(e.Pointer) + ": ")
		case e.Parameter != "":
			b.WriteString(inline(e.Parameter) + ": ")
		}
		b.WriteString(inline(e.Detail))
	}
	for _, r := range p.Reasons {
		b.WriteString("\n  " + inline(r.Message))
		if r.Fix != "" {
			b.WriteString("\n    what would work: " + inline(r.Fix))
		}
	}
	switch {
	case p.again > 0:
		fmt.Fprintf(&b, "\n  try again in %s", plural(int(p.again/time.Second), "second", "seconds"))
	case p.Status >= http.StatusInternalServerError:
		b.WriteString("\n  request id " + inline(p.RequestID) + ", for the operator")
	}
	return b.String()
}

// decode reads an answer, or turns the problem into an error with the exit
// code of its kind.
func decode[T any](resp *http.Response, err error) (T, error) {
	var out T
	if err != nil {
		return out, unreachable(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return out, unreachable(err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return out, refusal(resp, raw)
	}
	if len(raw) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("the server's answer cannot be read; is ramp %s made for it? (%w)", version, err)
	}
	return out, nil
}

// exitCodes are those of the statuses; every other is a plain failure.
var exitCodes = map[int]int{
	http.StatusBadRequest:           exitUsage,
	http.StatusUnauthorized:         exitNotSignedIn,
	http.StatusForbidden:            exitDenied,
	http.StatusNotFound:             exitNotFound,
	http.StatusConflict:             exitConflict,
	http.StatusPreconditionFailed:   exitConflict,
	http.StatusPreconditionRequired: exitConflict,
}

// refusal is the error of an answer that is not a success.
func refusal(resp *http.Response, raw []byte) error {
	p := &problem{}
	if json.Unmarshal(raw, &p.Problem) != nil || p.Code == "" {
		return fmt.Errorf("the server answered %s, which is not from Rampkeeper; is the address right?", resp.Status)
	}
	p.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.again = time.Duration(seconds) * time.Second
	}
	code := cmp.Or(exitCodes[resp.StatusCode], exitFailure)
	if p.Code == "policy_refused" {
		code = exitDenied
	}
	if code == exitNotSignedIn {
		return fail(code, "%w\n  sign in with 'ramp login', or set RAMP_TOKEN", p)
	}
	return &exitError{code: code, err: p}
}

// errUnreachable marks that no answer came.
var errUnreachable = errors.New("the broker cannot be reached")

func unreachable(err error) error {
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped before the broker answered; what was asked may have happened all the same")
	}
	return fmt.Errorf("%w: %w", errUnreachable, err)
}

// collect follows the cursors of a list until it has enough, or everything if
// most is 0. It says whether there is more.
func collect[P, T any](most int, get func(cursor *string, limit int) (P, error), split func(P) ([]T, string)) (all []T, more bool, err error) {
	const pageSize = 200
	all = []T{}
	var cursor *string
	for {
		limit := pageSize
		if most > 0 {
			limit = min(pageSize, most-len(all))
		}
		page, err := get(cursor, limit)
		if err != nil {
			return nil, false, err
		}
		items, next := split(page)
		all = append(all, items...)
		switch {
		case next == "":
			return all, false, nil
		case most > 0 && len(all) >= most:
			return all, true, nil
		case cursor != nil && next == *cursor:
			return nil, false, errors.New("the server's list does not end; ask its operator")
		}
		cursor = &next
	}
}
