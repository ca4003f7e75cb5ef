package access

import (
	"slices"
	"strings"
	"time"
)

// PrincipalID is the identity of a person or machine: issuer, "|" and the
// subject that the issuer gave it. An issuer is a URL and holds no "|", so
// the first one separates. E-mail and name are for display only.
type PrincipalID string

// NewPrincipalID joins an issuer and a subject.
func NewPrincipalID(issuer, subject string) PrincipalID {
	return PrincipalID(issuer + "|" + subject)
}

// Issuer gives the part before the first "|".
func (p PrincipalID) Issuer() string { i, _, _ := strings.Cut(string(p), "|"); return i }

// Subject gives the part after the first "|".
func (p PrincipalID) Subject() string { _, s, _ := strings.Cut(string(p), "|"); return s }

// System is the actor of what the broker does by itself.
const System PrincipalID = "system"

// Subject is who is asking, as the last verified token said.
type Subject struct {
	ID       PrincipalID `json:"id"`
	Name     string      `json:"name,omitempty"`
	Email    string      `json:"email,omitempty"`
	Username string      `json:"username,omitempty"` // preferred_username
	Groups   []string    `json:"groups,omitempty"`
	// GroupsKnown is false when the token carried no usable groups claim.
	// Whoever asks what such a subject belongs to gets "unknown".
	GroupsKnown bool      `json:"groups_known"`
	AuthTime    time.Time `json:"auth_time,omitzero"`
}

// In says whether the subject is known to belong to the group.
func (s Subject) In(group string) bool { return s.GroupsKnown && slices.Contains(s.Groups, group) }

// DisplayName gives the name, or else the subject of the id.
func (s Subject) DisplayName() string {
	if s.Name != "" {
		return s.Name
	}
	return s.ID.Subject()
}

// AppRole is a role in the broker itself, given by groups in configuration.
// None implies another, and none lets its holder decide a request.
type AppRole string

// The application roles.
const (
	ContractAdmin AppRole = "contract_admin" // reads and applies policy
	Auditor       AppRole = "auditor"        // reads everything, changes nothing
	Operator      AppRole = "operator"       // ends grants, tests connectors
)

// Caller is a verified subject with its application roles, as one HTTP
// request or CLI call carries it.
type Caller struct {
	Subject
	Roles []AppRole
	// SessionID is set for browser sessions, zero for bearer tokens.
	SessionID SessionID
}

// Has says whether the caller holds the application role.
func (c Caller) Has(r AppRole) bool { return slices.Contains(c.Roles, r) }
