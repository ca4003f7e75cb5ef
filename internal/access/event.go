package access

import "encoding/json"

// Event is one entry of the audit log, as the broker writes it. The database
// adds its time, transaction and user, and the link to the stream's previous
// event. Data never carries secrets, nor free text other than by its digest.
type Event struct {
	Stream  string // such as request:req_…; see the Stream functions
	Version int64  // of the object after the change; consecutive in the stream
	Type    EventType
	Actor   PrincipalID
	Data    json.RawMessage
}

// EventType names what happened.
type EventType string

// The event types.
const (
	RequestSubmitted   EventType = "request.submitted"
	RequestRefused     EventType = "request.refused"
	RequestApproved    EventType = "request.approved"
	RequestDenied      EventType = "request.denied"
	RequestWithdrawn   EventType = "request.withdrawn"
	RequestExpired     EventType = "request.expired"
	RequestInvalidated EventType = "request.invalidated"
	VoteCast           EventType = "vote.cast"
	GrantScheduled     EventType = "grant.scheduled"
	GrantProvisioning  EventType = "grant.provisioning"
	GrantActivated     EventType = "grant.activated"
	GrantRevoking      EventType = "grant.revoking"
	GrantEnded         EventType = "grant.ended"
	GrantLapsed        EventType = "grant.lapsed"
	GrantCancelled     EventType = "grant.cancelled"
	GrantExtended      EventType = "grant.extended"
	GrantShortened     EventType = "grant.shortened"
	CredentialsIssued  EventType = "grant.credentials_issued"
	GrantAttested      EventType = "grant.attested" // one of the two signatures of T11
	EntitlementEnsured EventType = "entitlement.ensured"
	EntitlementRemoved EventType = "entitlement.removed"
	EntitlementFailed  EventType = "entitlement.failed" // the first failure of a row of them
	PolicyApplied      EventType = "policy.applied"
	SignedIn           EventType = "auth.signed_in"
	SignedOut          EventType = "auth.signed_out"
	GroupsChanged      EventType = "auth.groups_changed"
	AttemptRefused     EventType = "attempt.refused" // an authenticated caller was told no
)

// Streams other than those of single objects.
const PolicyStream = "policy"

// StreamOf gives the name of an object's stream.
func StreamOf[K kind](id ID[K]) string {
	var k K
	return map[string]string{"req": "request:", "grt": "grant:", "ent": "entitlement:", "ses": "session:"}[k.prefix()] + id.String()
}

// PrincipalStream gives the stream of what a person did outside requests and
// grants: signing in and being refused.
func PrincipalStream(p PrincipalID) string { return "principal:" + string(p) }

// AttemptStream gives the stream of a person's attempts on what is not there
// for them. Only auditors read it: to the person, what is hidden and what does
// not exist are the same.
func AttemptStream(p PrincipalID) string { return "attempt:" + string(p) }
