package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rampkeeper/rampkeeper/api/client"
)

// problem is a refusal by the broker.
type problem struct{ client.Problem }

func (p *problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	if p.Detail == "" {
		b.WriteString(p.Title)
	}
	for _, e := range p.Errors {
		b.WriteString("\n  ")
		switch {
		case e.File != "":
			fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
		case e.Pointer != "":
			b.WriteString(e.Pointer + ": ")
		case e.Parameter != "":
			b.WriteString(e.Parameter + ": ")
		}
		b.WriteString(e.Detail)
	}
	for _, r := range p.Reasons {
		b.WriteString("\n  " + r.Message)
		if r.Fix != "" {
			b.WriteString("\n    what would work: " + r.Fix)
		}
	}
	if p.Code == "internal" {
		b.WriteString(" (request id " + p.RequestID + ")")
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
	if resp.StatusCode >= 300 {
		return out, problemOf(resp, raw)
	}
	if len(raw) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("the server's answer cannot be read; is ramp %s made for it? (%w)", version, err)
	}
	return out, nil
}

func problemOf(resp *http.Response, raw []byte) error {
	p := &problem{}
	if json.Unmarshal(raw, &p.Problem) != nil || p.Code == "" {
		return fmt.Errorf("the server answered %s, which is not from Rampkeeper; is the address right?", resp.Status)
	}
	code := exitFailure
	switch resp.StatusCode {
	case http.StatusBadRequest:
		code = exitUsage
	case http.StatusUnauthorized:
		code = exitNotSignedIn
	case http.StatusForbidden:
		code = exitDenied
	case http.StatusNotFound:
		code = exitNotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		code = exitConflict
	case http.StatusUnprocessableEntity:
		if p.Code == "policy_refused" {
			code = exitDenied
		}
	}
	if code == exitNotSignedIn {
		return &exitError{code: code, err: fmt.Errorf("%w\n  sign in with 'ramp login', or set RAMP_TOKEN", p)}
	}
	return &exitError{code: code, err: p}
}

func unreachable(err error) error {
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		return err
	}
	return fmt.Errorf("the broker cannot be reached: %w", err)
}

// watch waits for the next version of an object: get is called with the tag of
// the last one and asks the server to wait. It answers the tag and the object,
// or no object when nothing has changed.
func watch[T any](get func(tag *string) (*http.Response, error), tag string) (string, *T, error) {
	var known *string
	if tag != "" {
		known = &tag
	}
	resp, err := get(known)
	if err != nil {
		return tag, nil, unreachable(err)
	}
	if resp.StatusCode == http.StatusNotModified {
		_ = resp.Body.Close()
		return tag, nil, nil
	}
	v, err := decode[T](resp, nil)
	if err != nil {
		return tag, nil, err
	}
	return resp.Header.Get("ETag"), &v, nil
}
