package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits on what a person writes.
const (
	MaxItems      = 20
	MaxReason     = 4096 // bytes
	MaxTicket     = 256
	MaxName       = 512 // a role, a resource, a contract
	MaxStartAhead = 90 * 24 * time.Hour
)

// Digest is a SHA-256 in lower-case hexadecimal.
type Digest string

// DigestOf hashes the canonical JSON of v: encoding/json's, whose members
// come in the order of the struct or, for maps, sorted by key.
func DigestOf(v any) Digest {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("digesting %T: %v", v, err)) // programmer error: our own types marshal
	}
	sum := sha256.Sum256(b)
	return Digest(hex.EncodeToString(sum[:]))
}

// SaltedDigest hashes free text with its salt. The text can be erased later
// while the digest, in requests and audit events, stays verifiable.
func SaltedDigest(salt []byte, text string) Digest {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(text))
	return Digest(hex.EncodeToString(h.Sum(nil)))
}

// Item is one thing asked for: a role on a resource.
type Item struct {
	Role     string `json:"role"`
	Resource string `json:"resource"`
}

// Ask is what a requester writes. It carries exact values; only policy
// carries patterns.
type Ask struct {
	Items    []Item    `json:"items"`
	Duration Seconds   `json:"duration_seconds"`
	Reason   string    `json:"reason,omitempty"`
	Ticket   string    `json:"ticket,omitempty"`
	StartAt  time.Time `json:"start_at,omitzero"` // zero: as soon as approved
	Contract string    `json:"contract,omitempty"`
	// Extends is the active grant whose end should move; then Duration is how
	// much longer, and Items holds that grant's role and resource.
	Extends GrantID `json:"extends,omitzero"`
}

// namePattern is what roles and contracts look like in a request.
var namePattern = regexp.MustCompile(`^[^\s\x00-\x1f*]+$`)

// Validate reports every fault of an Ask that needs no policy to see.
func (a Ask) Validate(now time.Time) error {
	var faults []Detail
	fault := func(pointer, detail string) {
		faults = append(faults, Detail{Pointer: pointer, Detail: detail})
	}
	if n := len(a.Items); n < 1 || n > MaxItems {
		fault("/items", fmt.Sprintf("ask for 1 to %d items", MaxItems))
	}
	seen := map[Item]bool{}
	for i, it := range a.Items {
		at := fmt.Sprintf("/items/%d", i)
		for name, v := range map[string]string{"role": it.Role, "resource": it.Resource} {
			if len(v) > MaxName || !namePattern.MatchString(v) || CheckText(v, MaxName) != "" {
				fault(at+"/"+name, "an exact name without blanks, control characters or *, at most 512 bytes")
			}
		}
		if seen[it] {
			fault(at, "this role on this resource is asked for twice")
		}
		seen[it] = true
	}
	if a.Duration <= 0 || a.Duration > MaxSeconds {
		fault("/duration", errSeconds.Error())
	}
	if f := CheckText(a.Reason, MaxReason); f != "" {
		fault("/reason", f)
	}
	if f := CheckText(a.Ticket, MaxTicket); f != "" {
		fault("/ticket", f)
	}
	if a.Contract != "" && (len(a.Contract) > MaxName || !namePattern.MatchString(a.Contract)) {
		fault("/contract", "the exact name of a contract")
	}
	if !a.StartAt.IsZero() {
		if a.StartAt.Before(now.Add(-time.Minute)) {
			fault("/start_at", "is in the past: it is now "+now.UTC().Format(time.RFC3339))
		} else if a.StartAt.After(now.Add(MaxStartAhead)) {
			fault("/start_at", "is more than 90 days ahead")
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return &Error{Code: Invalid, Message: "The request cannot be taken as it is.", Details: faults}
}

// CheckText gives what is wrong with free text from outside, or "". Control
// characters, invalid UTF-8 and characters that reorder or hide text are
// refused: they make an approver read something other than what was written.
func CheckText(s string, maxBytes int) string {
	switch {
	case len(s) > maxBytes:
		return fmt.Sprintf("is %d bytes long; at most %d are kept", len(s), maxBytes)
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if r == '\n' || r == '\t' {
			continue
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' || r == '\ufffd' {
			return fmt.Sprintf("holds the character U+%04X, which hides or reorders text", r)
		}
	}
	return ""
}

// RequestState is where a request stands.
type RequestState string

// The states of a request. All but Pending are terminal.
const (
	Pending     RequestState = "pending"
	Approved    RequestState = "approved"
	Refused     RequestState = "refused"     // policy said no
	Denied      RequestState = "denied"      // an approver said no
	Withdrawn   RequestState = "withdrawn"   // the requester took it back
	LapsedAsk   RequestState = "expired"     // nobody decided in time
	Invalidated RequestState = "invalidated" // facts or policy changed under it
)

// Request is what was asked, frozen and hashed.
type Request struct {
	ID        RequestID
	Number    int64 // per install, for speech: #1042
	Requester PrincipalID
	Ask       Ask
	// ReasonSalt goes into the hash with the reason, so that the text can be
	// erased without breaking the record.
	ReasonSalt []byte
	Hash       Digest
	State      RequestState
	DecisionID DecisionID
	DecideBy   time.Time // zero unless it was ever pending
	Version    int64
	CreatedAt  time.Time
	DecidedAt  time.Time // zero while pending
	// StateReason says why it ended, where a sentence helps.
	StateReason string
}

// HashRequest freezes an ask: what voters bind their votes to.
func HashRequest(id RequestID, requester PrincipalID, ask Ask, salt []byte) Digest {
	frozen := struct {
		ID         RequestID   `json:"id"`
		Requester  PrincipalID `json:"requester"`
		Ask        Ask         `json:"ask"`
		ReasonHash Digest      `json:"reason_hash"`
	}{id, requester, ask, SaltedDigest(salt, ask.Reason)}
	frozen.Ask.Reason = ""
	return DigestOf(frozen)
}

// VoteDecision is what an approver says.
type VoteDecision string

// The two things a vote can say.
const (
	Approve VoteDecision = "approve"
	Deny    VoteDecision = "deny"
)

// Vote is one person's word on one request, bound to the request's hash.
type Vote struct {
	ID          VoteID
	RequestID   RequestID
	Voter       PrincipalID
	Decision    VoteDecision
	Reason      string
	ReasonSalt  []byte
	RequestHash Digest
	CastAt      time.Time
}
