package access

import "time"

// GrantState is where a grant stands.
type GrantState string

// The states of a grant. Ended, Lapsed and Cancelled are terminal.
const (
	Scheduled    GrantState = "scheduled"    // approved; waits for its start
	Provisioning GrantState = "provisioning" // access is being made; it may exist already
	Active       GrantState = "active"       // every entitlement was read back as present
	Revoking     GrantState = "revoking"     // its end was requested; it may still exist
	Ended        GrantState = "ended"        // every entitlement was verified gone, or is still needed by another grant
	Lapsed       GrantState = "lapsed"       // never started
	Cancelled    GrantState = "cancelled"    // stopped while scheduled
)

// Live says whether the grant may mean access on the target now or later.
func (s GrantState) Live() bool {
	switch s {
	case Scheduled, Provisioning, Active, Revoking:
		return true
	case Ended, Lapsed, Cancelled:
		return false
	default:
		return false
	}
}

// EndReason is why a grant ends or ended.
type EndReason string

// The end reasons.
const (
	EndExpired         EndReason = "expired"
	EndByRequester     EndReason = "revoked_by_requester"
	EndByApprover      EndReason = "revoked_by_approver"
	EndByAdmin         EndReason = "revoked_by_admin"
	EndByPolicy        EndReason = "policy"
	EndByIdentity      EndReason = "identity"
	EndByDrift         EndReason = "drift"
	EndFailedProvision EndReason = "failed_provision"
	EndAttested        EndReason = "attested"
)

// ExpiryClass is who ends the access when its time is up.
type ExpiryClass string

// The expiry classes, strongest first.
const (
	ExpiryNative   ExpiryClass = "native"   // the target itself
	ExpiryDecision ExpiryClass = "decision" // the target asks the broker each time
	ExpiryReaper   ExpiryClass = "reaper"   // the broker removes it
)

// Grant is the access that an approved item gives. ExpiresAt is absolute from
// the moment the row exists: while scheduled it is the latest possible end.
type Grant struct {
	ID        GrantID
	RequestID RequestID
	Item      int // index into the request's items
	Holder    PrincipalID
	Role      string
	Resource  string
	Contract  string
	Connector string
	State     GrantState
	Duration  Seconds
	// MaxTotal bounds ExpiresAt − StartedAt over all extensions.
	MaxTotal    Seconds
	StartAt     time.Time // not before
	StartBy     time.Time // lapses if it has not started by then
	NotAfter    time.Time // end of the contract's validity; zero for none
	ExpiresAt   time.Time
	StartedAt   time.Time // T5; the duration counts from here
	ActivatedAt time.Time // T6
	RevokingAt  time.Time // T7, T8: since when its access should be gone
	EndedAt     time.Time // terminal since
	EndReason   EndReason // set from revoking on
	ExpiryClass ExpiryClass
	// Residual is the connector's declared worst-case overstay past ExpiresAt
	// if the broker is down; Unbounded if only the broker ends all of it.
	Residual Seconds
	// CredentialsIssuedAt is when the once-only credentials were handed over.
	CredentialsIssuedAt time.Time
	Version             int64
	CreatedAt           time.Time
}

// Unbounded is the residual of access that nothing but the broker ends.
const Unbounded Seconds = -1

// WorstCaseEnd gives when the access is over at the latest, even if the broker
// is down; zero if there is no such instant.
func (g Grant) WorstCaseEnd() time.Time {
	switch {
	case !g.EndedAt.IsZero():
		return g.EndedAt
	case g.Residual < 0:
		return time.Time{}
	default:
		return g.ExpiresAt.Add(g.Residual.Duration())
	}
}

// Overdue says whether the access may exist past its end. It is a condition
// that is shown, measured and alarmed; there is no state for it.
func (g Grant) Overdue(now time.Time) bool {
	switch g.State {
	case Provisioning, Active, Revoking:
		return now.After(g.ExpiresAt)
	default:
		return false
	}
}

// EntitlementKey is one effect on one target. Connectors act on entitlements,
// never on grants; several grants may need the same one.
type EntitlementKey struct {
	Connector  string `json:"connector"`
	Account    string `json:"account"`    // on the target
	Permission string `json:"permission"` // in the target's terms
}

// Presence is what was last verified about an entitlement.
type Presence string

// The presences. UnknownPresence is where every uncertain call leads.
const (
	UnknownPresence Presence = "unknown"
	Present         Presence = "present"
	Absent          Presence = "absent"
)

// Entitlement is an EntitlementKey with what the broker knows of it.
type Entitlement struct {
	ID EntitlementID
	EntitlementKey
	Presence Presence
	// Until is the end that was last written to the target, where it has one.
	Until      time.Time
	Fence      int64     // raised by every claim; a stale holder's write is refused
	LeaseUntil time.Time // a worker holds it until then
	Failures   int       // since the last success; sets the backoff, never the fence
	NextAt     time.Time // due at; zero when nothing is to be done
	LastError  string
	Version    int64 // of its audit stream
}

// OperationKind is what an operation asks of a connector.
type OperationKind string

// The kinds of operations.
const (
	OpEnsure     OperationKind = "ensure"
	OpRemove     OperationKind = "remove"
	OpCredential OperationKind = "credential"
)

// OperationOutcome is how an operation ended.
type OperationOutcome string

// The outcomes. An operation without a definite answer is Uncertain: its
// effect may still land until its deadline plus the skew.
const (
	Open      OperationOutcome = "open"
	Succeeded OperationOutcome = "succeeded"
	Failed    OperationOutcome = "failed"
	Uncertain OperationOutcome = "uncertain"
)

// Operation is one attempt to bring an entitlement to its desired state. Its
// row is committed before the connector is called.
type Operation struct {
	ID            OperationID
	EntitlementID EntitlementID
	Kind          OperationKind
	Fence         int64
	Deadline      time.Time
	Outcome       OperationOutcome
	StartedAt     time.Time
	FinishedAt    time.Time
	Error         string
}
