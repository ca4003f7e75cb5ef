package contract

import (
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Document is one policy document of a set.
type Document struct {
	Kind   string
	Name   string
	Digest access.Digest // of Body
	Body   []byte        // canonical JSON
	Source string        // the YAML as written, comments included
	File   string        // where it came from
	Line   int           // where it starts there
}

// Set is the decoded documents of one policy revision, sorted by name.
type Set struct {
	Documents  []Document
	Roles      []Role
	Resources  []Resource
	Approvers  []Approvers
	Contracts  []Contract
	Guardrails []Guardrail
}

// Metadata is what every document starts with.
type Metadata struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Owners      []Atom `json:"owners,omitempty"`
}

// Atom names subjects: exactly one member is set.
type Atom struct {
	User     string `json:"user,omitempty"` // subject, or issuer|subject
	Group    string `json:"group,omitempty"`
	Everyone bool   `json:"everyone,omitempty"`
}

// Subjects says whom a document is about: at least one of Any, every one of
// All, none of None. An empty Any is about nobody.
type Subjects struct {
	Any  []Atom `json:"any,omitempty"`
	All  []Atom `json:"all,omitempty"`
	None []Atom `json:"none,omitempty"`
}

// Role is a named permission and what it means on each type of resource.
type Role struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Title        string                       `json:"title"`
		Risk         string                       `json:"risk,omitempty"`
		Entitlements map[string][]RoleEntitlement `json:"entitlements"` // by resource type
	} `json:"spec"`
}

// RoleEntitlement is a permission in the target's terms; it may hold
// {{resource.name}}, {{resource.path}} and {{resource.labels.KEY}}.
type RoleEntitlement struct {
	Permission string `json:"permission"`
}

// Resource is a catalogue entry. Its name is type:path.
type Resource struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Title     string            `json:"title"`
		Connector string            `json:"connector"`
		Labels    map[string]string `json:"labels,omitempty"`
		Owners    []Atom            `json:"owners,omitempty"`
	} `json:"spec"`
}

// Approvers is a named set of people.
type Approvers struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Title string `json:"title,omitempty"`
		Any   []Atom `json:"any"`
	} `json:"spec"`
}

// Selector matches resources: type and path and labels.
type Selector struct {
	Type   string            `json:"type"`
	Path   string            `json:"path,omitempty"` // missing: every path
	Labels map[string]string `json:"labels,omitempty"`
}

// Contract is the only kind that permits.
type Contract struct {
	Metadata Metadata      `json:"metadata"`
	Digest   access.Digest `json:"-"`
	Spec     struct {
		State    string `json:"state,omitempty"` // draft, active (default), suspended
		Validity struct {
			NotBefore time.Time `json:"notBefore,omitzero"`
			NotAfter  time.Time `json:"notAfter,omitzero"`
		} `json:"validity,omitzero"`
		Precedence    int            `json:"precedence,omitempty"`
		Exclusive     bool           `json:"exclusive,omitempty"`
		Subjects      Subjects       `json:"subjects"`
		Permits       []Permit       `json:"permits"`
		Time          Time           `json:"time"`
		Justification *Justification `json:"justification,omitempty"`
		Approvals     Approvals      `json:"approvals,omitzero"`
		Limits        *Limits        `json:"limits,omitempty"`
	} `json:"spec"`
}

// Permit is what a contract permits: any of the roles on any of the resources.
type Permit struct {
	Roles     []string   `json:"roles"`
	Resources []Selector `json:"resources"`
}

// Time is a contract's clocks.
type Time struct {
	Duration struct {
		Min     Duration `json:"min,omitempty"`
		Default Duration `json:"default,omitempty"` // default: the smaller of 1h and max
		Max     Duration `json:"max"`
	} `json:"duration"`
	StartWithin  Duration `json:"startWithin,omitempty"`  // default 24h
	DecideWithin Duration `json:"decideWithin,omitempty"` // default 8h
}

// Justification is what a requester must say.
type Justification struct {
	MinLength int `json:"minLength,omitempty"` // characters, blanks at the ends not counted
	Ticket    *struct {
		Pattern  string `json:"pattern,omitempty"` // RE2, matches the whole ticket
		Required bool   `json:"required,omitempty"`
	} `json:"ticket,omitempty"`
}

// Approvals is who decides.
type Approvals struct {
	DeniesNeeded int        `json:"deniesNeeded,omitempty"` // default 1
	Auto         []AutoRule `json:"auto,omitempty"`
	Stages       []Stage    `json:"stages,omitempty"`
}

// AutoRule grants without stages when every member that is set holds.
type AutoRule struct {
	Name        string    `json:"name"`
	Roles       []string  `json:"roles,omitempty"`
	MaxDuration Duration  `json:"maxDuration,omitempty"`
	Subjects    *Subjects `json:"subjects,omitempty"`
}

// Stage is a step of approval.
type Stage struct {
	Name string `json:"name"`
	When *struct {
		Roles []string `json:"roles"` // the stage applies only to these
	} `json:"when,omitempty"`
	Seats []Seat `json:"seats"`
}

// Seat is Count distinct people from a named set, a group or a user.
type Seat struct {
	From struct {
		Set   string `json:"set,omitempty"`
		Group string `json:"group,omitempty"`
		User  string `json:"user,omitempty"`
	} `json:"from"`
	Count int `json:"count,omitempty"` // default 1
}

// Limits bounds how many grants of the contract are live at once.
type Limits struct {
	ActivePerSubject int `json:"activePerSubject,omitempty"`
	ActiveTotal      int `json:"activeTotal,omitempty"`
}

// Guardrail denies, or adds requirements; it never permits.
type Guardrail struct {
	Metadata Metadata      `json:"metadata"`
	Digest   access.Digest `json:"-"`
	Spec     struct {
		Match struct {
			Roles     []string   `json:"roles,omitempty"`     // patterns; missing: every role
			Resources []Selector `json:"resources,omitempty"` // missing: every resource
			Subjects  *Subjects  `json:"subjects,omitempty"`  // missing: everyone
		} `json:"match"`
		Deny *struct {
			Reason string `json:"reason"`
		} `json:"deny,omitempty"`
		Require *struct {
			MaxDuration Duration `json:"maxDuration,omitempty"`
			Ticket      bool     `json:"ticket,omitempty"`
			Seats       []Seat   `json:"seats,omitempty"`
		} `json:"require,omitempty"`
	} `json:"spec"`
}
