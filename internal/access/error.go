package access

import (
	"errors"
	"strings"
)

// Code says what kind of failure an Error is. It is stable: it is the code of
// the problem document, the slug of its type and the label in metrics.
type Code string

// The codes. docs/problems.md explains each.
const (
	Invalid             Code = "validation_failed"
	Unauthenticated     Code = "unauthenticated"
	SessionExpired      Code = "session_expired"
	Forbidden           Code = "forbidden"
	SelfApproval        Code = "self_approval"
	NotAnApprover       Code = "not_an_approver"
	CrossOrigin         Code = "cross_origin"
	NotFound            Code = "not_found"
	StateConflict       Code = "state_conflict"
	StaleVote           Code = "stale_vote"
	DuplicateRequest    Code = "duplicate_live_request"
	InProgress          Code = "request_in_progress"
	PreconditionFailed  Code = "precondition_failed"
	PreconditionMissing Code = "precondition_required"
	TooLarge            Code = "payload_too_large"
	UnsupportedMedia    Code = "unsupported_media_type"
	KeyReused           Code = "idempotency_key_reused"
	PolicyRefused       Code = "policy_refused"
	ContractInvalid     Code = "contract_invalid"
	RateLimited         Code = "rate_limited"
	Internal            Code = "internal"
	UpstreamFailed      Code = "upstream_failed"
	NotReady            Code = "not_ready"
)

// Error is the only error whose text reaches a client. Message is a sentence
// that says what is wrong and what would work.
type Error struct {
	Code    Code
	Message string
	Details []Detail // one for each fault found, where there are several
	Reasons []Reason // of a refusal by policy
	// DecisionID names the stored decision behind a PolicyRefused.
	DecisionID DecisionID
	// Current is the state that a StateConflict met, where it helps.
	Current string
}

// Detail is one fault of an input: where it is and what would be right.
type Detail struct {
	Detail    string `json:"detail"`
	Pointer   string `json:"pointer,omitempty"`   // JSON pointer into the body
	Parameter string `json:"parameter,omitempty"` // or the name of a parameter or header
	File      string `json:"file,omitempty"`      // or a place in a policy file
	Line      int    `json:"line,omitempty"`
	Column    int    `json:"column,omitempty"`
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, r := range e.Reasons {
		b.WriteString("; ")
		b.WriteString(r.Message)
	}
	for _, d := range e.Details {
		b.WriteString("; ")
		if at := d.Pointer + d.Parameter; at != "" {
			b.WriteString(at + ": ")
		}
		b.WriteString(d.Detail)
	}
	return b.String()
}

// Errorf-like helpers are left out on purpose: an Error is written where it
// happens, as a literal, so that its sentence can be read there.

// AsError gives the first Error in err's tree, nil for nil, and an Internal
// that says nothing for everything else.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Message: "Something went wrong on our side. What you asked for may or may not have been done: look before you try again, and give the request id to the operator if it stays."}
}

// IsCode says whether err is an Error of the code.
func IsCode(err error, code Code) bool {
	return err != nil && AsError(err).Code == code
}
