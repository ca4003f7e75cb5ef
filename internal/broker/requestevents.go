package broker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The data of the events of requests: what an auditor needs, listed member by
// member. Free text comes in only as its salted digest.

type submittedData struct {
	Number         int64               `json:"number"`
	RequestHash    access.Digest       `json:"request_hash"`
	ReasonHash     access.Digest       `json:"reason_hash"`
	DecisionID     access.DecisionID   `json:"decision_id"`
	DecisionHash   access.Digest       `json:"decision_hash"`
	PolicyRevision int64               `json:"policy_revision"`
	FactsDigest    access.Digest       `json:"facts_digest"`
	Outcome        access.RequestState `json:"state"`
	Items          []itemData          `json:"items"`
	Duration       access.Seconds      `json:"duration_seconds"`
	StartAt        time.Time           `json:"start_at,omitzero"`
	DecideBy       time.Time           `json:"decide_by,omitzero"`
	Extends        access.GrantID      `json:"extends,omitzero"`
}

type itemData struct {
	Role     string `json:"role"`
	Resource string `json:"resource"`
	Contract string `json:"contract,omitempty"`
}

func submittedEvent(req access.Request, d access.Decision) access.Event {
	data := submittedData{
		Number: req.Number, RequestHash: req.Hash, ReasonHash: access.SaltedDigest(req.ReasonSalt, req.Ask.Reason),
		DecisionID: d.ID, DecisionHash: access.DigestOf(d), PolicyRevision: d.PolicyRevision, FactsDigest: d.FactsDigest,
		Outcome: req.State, Duration: req.Ask.Duration, StartAt: req.Ask.StartAt.UTC(), DecideBy: req.DecideBy.UTC(), Extends: req.Ask.Extends,
	}
	for _, item := range d.Items {
		row := itemData{Role: item.Item.Role, Resource: item.Item.Resource}
		if item.Offer != nil && req.State != access.Refused {
			row.Contract = item.Offer.Contract
		}
		data.Items = append(data.Items, row)
	}
	return requestEvent(req, submittedType[req.State], req.Requester, data)
}

var submittedType = map[access.RequestState]access.EventType{
	access.Pending:  access.RequestSubmitted,
	access.Approved: access.RequestApproved,
	access.Refused:  access.RequestRefused,
}

type voteData struct {
	VoteID      access.VoteID       `json:"vote_id"`
	Decision    access.VoteDecision `json:"decision"`
	RequestHash access.Digest       `json:"request_hash"`
	ReasonHash  access.Digest       `json:"reason_hash"`
}

// closedData is the data of whatever takes a request out of pending.
type closedData struct {
	RequestHash access.Digest     `json:"request_hash"`
	DecisionID  access.DecisionID `json:"decision_id"`
	// PolicyRevision is the one in force, whose guardrails were looked at.
	PolicyRevision int64           `json:"policy_revision,omitempty"`
	Votes          []access.VoteID `json:"votes,omitempty"`
	// Why is a sentence of the broker's own; no person wrote it.
	Why string `json:"why,omitempty"`
}

type grantedData struct {
	RequestID   access.RequestID     `json:"request_id"`
	RequestHash access.Digest        `json:"request_hash"`
	DecisionID  access.DecisionID    `json:"decision_id"`
	Item        int                  `json:"item"`
	Holder      access.PrincipalID   `json:"holder"`
	Role        string               `json:"role"`
	Resource    string               `json:"resource"`
	Contract    string               `json:"contract"`
	Connector   string               `json:"connector"`
	Duration    access.Seconds       `json:"duration_seconds"`
	StartAt     time.Time            `json:"start_at"`
	StartBy     time.Time            `json:"start_by"`
	ExpiresAt   time.Time            `json:"expires_at"`
	ExpiryClass access.ExpiryClass   `json:"expiry_class"`
	Needs       []entitlementKeyData `json:"entitlements"`
}

type entitlementKeyData struct {
	Connector  string `json:"connector"`
	Account    string `json:"account"`
	Permission string `json:"permission"`
}

type refusedData struct {
	Action string      `json:"action"`
	Object string      `json:"object"`
	Rule   access.Code `json:"rule"`
}

func requestEvent(req access.Request, kind access.EventType, actor access.PrincipalID, data any) access.Event {
	return access.Event{
		Stream: access.StreamOf(req.ID), Version: req.Version, Type: kind, Actor: actor, Data: encode(data),
	}
}

// encode marshals data of an event.
func encode(data any) json.RawMessage {
	b, err := json.Marshal(data)
	if err != nil {
		panic(fmt.Sprintf("encoding %T: %v", data, err)) // programmer error: our own types marshal
	}
	return b
}
