package access

import "time"

// Outcome is the engine's answer.
type Outcome string

// The answers.
const (
	Permit Outcome = "permit" // granted at once, by an auto rule or a contract without stages
	Review Outcome = "review" // granted once the stages are filled
	Refuse Outcome = "refuse"
)

// Decision is the engine's whole answer to one request: a function of the
// request, the policy revision and the facts, and nothing else. It is stored
// as it is, so that it can be replayed byte for byte.
type Decision struct {
	ID             DecisionID     `json:"id,omitzero"`
	Outcome        Outcome        `json:"outcome"`
	PolicyRevision int64          `json:"policy_revision"`
	RequestHash    Digest         `json:"request_hash,omitempty"`
	FactsDigest    Digest         `json:"facts_digest"`
	Items          []ItemDecision `json:"items"`
	// Approvals is what is left to people, over all items: equal stages of
	// one contract are asked once.
	Approvals []Track `json:"approvals,omitempty"`
	// Reasons is why it was refused, over all items.
	Reasons      []Reason `json:"reasons,omitempty"`
	DecideWithin Seconds  `json:"decide_within_seconds,omitempty"`
}

// ItemDecision is the answer for one item.
type ItemDecision struct {
	Item    Item    `json:"item"`
	Outcome Outcome `json:"outcome"`
	// Offer is the one chosen; nil when the item is refused.
	Offer *Offer `json:"offer,omitempty"`
	// Others names the contracts whose offers also stood, best first.
	Others       []string         `json:"others,omitempty"`
	Entitlements []EntitlementKey `json:"entitlements,omitempty"`
	Reasons      []Reason         `json:"reasons,omitempty"`
	Trace        []Clause         `json:"trace"`
}

// Offer is what one contract, tightened by the guardrails that match, would
// grant. Limits never mix between contracts.
type Offer struct {
	Contract       string    `json:"contract"`
	ContractDigest Digest    `json:"contract_digest"`
	Precedence     int       `json:"precedence"`
	Duration       Seconds   `json:"duration_seconds"` // what would be granted
	MinDuration    Seconds   `json:"min_duration_seconds"`
	MaxDuration    Seconds   `json:"max_duration_seconds"`
	DecideWithin   Seconds   `json:"decide_within_seconds"`
	StartWithin    Seconds   `json:"start_within_seconds"`
	NotAfter       time.Time `json:"not_after,omitzero"` // end of the contract's validity: no grant outlives it
	Auto           string    `json:"auto,omitempty"`     // the auto rule that held
	DeniesNeeded   int       `json:"denies_needed"`
	Stages         []Stage   `json:"stages,omitempty"`
	Guardrails     []string  `json:"guardrails,omitempty"` // that matched
}

// Track is the ordered stages that some items need.
type Track struct {
	Contract     string  `json:"contract"`
	Items        []int   `json:"items"` // indexes into Decision.Items
	DeniesNeeded int     `json:"denies_needed"`
	Stages       []Stage `json:"stages"`
}

// Stage is a step of approval; stages are filled in order.
type Stage struct {
	Name  string `json:"name"`
	Seats []Seat `json:"seats"`
}

// Seat is a number of distinct people out of a set.
type Seat struct {
	From  string `json:"from"` // as the contract names it, for people to read
	Count int    `json:"count"`
	Who   []Who  `json:"who"` // any of these; pinned by the revision, membership is live
}

// Who names people: a user or a group, exactly one of them.
type Who struct {
	User  PrincipalID `json:"user,omitempty"`
	Group string      `json:"group,omitempty"`
}

// Covers says whether the subject is one of those named. A subject whose
// groups are unknown belongs to none: seats are permits.
func (w Who) Covers(s Subject) bool {
	return w.User != "" && w.User == s.ID || w.Group != "" && s.In(w.Group)
}

// ReasonCode says why a request was refused.
type ReasonCode string

// The reason codes that this version can give.
const (
	NoContract           ReasonCode = "no_contract"
	NotEligible          ReasonCode = "not_eligible"
	GuardrailDeny        ReasonCode = "guardrail_deny"
	DurationTooLong      ReasonCode = "duration_too_long"
	DurationTooShort     ReasonCode = "duration_too_short"
	StartTooFar          ReasonCode = "start_too_far"
	TicketInvalid        ReasonCode = "ticket_invalid"
	JustificationShort   ReasonCode = "justification_short"
	LimitReached         ReasonCode = "limit_reached"
	UnsatisfiableQuorum  ReasonCode = "unsatisfiable_quorum"
	FactUnavailable      ReasonCode = "fact_unavailable"
	ResourceUnknown      ReasonCode = "resource_unknown"
	ContractExpired      ReasonCode = "contract_expired"
	ContractNotAmongThem ReasonCode = "contract_not_offered" // the request named a contract that gives no offer
)

// Reason is one ground of a refusal, with what would work.
type Reason struct {
	Code     ReasonCode `json:"code"`
	Item     int        `json:"item"` // index into the request's items
	Contract string     `json:"contract,omitempty"`
	Message  string     `json:"message"`
	Fix      string     `json:"fix,omitempty"`
}

// Verdict is how one clause of policy turned out.
type Verdict string

// The verdicts.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Unknown Verdict = "unknown"
	Skipped Verdict = "skipped"
)

// Clause is one line of a trace: a clause of a document, what it wanted and
// what it met.
type Clause struct {
	Rule     string  `json:"rule"` // Kind/name of the document
	Path     string  `json:"path"` // JSON pointer into it
	Expected string  `json:"expected,omitempty"`
	Actual   string  `json:"actual,omitempty"`
	Verdict  Verdict `json:"verdict"`
	Fix      string  `json:"fix,omitempty"`
}
