package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// document gives the document as it is stored. Its body is canonical: keys
// sorted, no blanks, and nothing filled in, so that a later version with
// other defaults gives the same digest.
func (p *parsed) document(kind, name string) (Document, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p.value); err != nil {
		return Document{}, fmt.Errorf("encoding %s/%s: %w", kind, name, err)
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return Document{
		Kind: kind, Name: name, Digest: digestOf(body), Body: body,
		Source: p.source(), File: p.file, Line: p.line + p.at[""].line - 1,
	}, nil
}

// decode adds the document to the set's typed lists, with the defaults filled
// in. It has passed the schema.
func (s *Set) decode(d Document) error {
	var err error
	switch d.Kind {
	case "Role":
		s.Roles, err = appendDecoded(s.Roles, d.Body)
	case "Resource":
		s.Resources, err = appendDecoded(s.Resources, d.Body)
	case "Approvers":
		s.Approvers, err = appendDecoded(s.Approvers, d.Body)
	case "Contract":
		if s.Contracts, err = appendDecoded(s.Contracts, d.Body); err == nil {
			c := &s.Contracts[len(s.Contracts)-1]
			c.Digest = d.Digest
			c.fillDefaults()
		}
	case "Guardrail":
		if s.Guardrails, err = appendDecoded(s.Guardrails, d.Body); err == nil {
			g := &s.Guardrails[len(s.Guardrails)-1]
			g.Digest = d.Digest
			if g.Spec.Require != nil {
				fillSeats(g.Spec.Require.Seats)
			}
		}
	default:
		err = fmt.Errorf("kind %s is not known", d.Kind)
	}
	if err != nil {
		return fmt.Errorf("decoding %s/%s: %w", d.Kind, d.Name, err)
	}
	return nil
}

func appendDecoded[T any](list []T, body []byte) ([]T, error) {
	var doc T
	if err := json.Unmarshal(body, &doc); err != nil {
		return list, err
	}
	return append(list, doc), nil
}

// The defaults of a contract.
const (
	defaultMin          Duration = 1
	defaultDuration     Duration = 3600
	defaultStartWithin  Duration = 24 * 3600
	defaultDecideWithin Duration = 8 * 3600
)

// fillDefaults is the one place where what a contract leaves out gets its
// value.
func (c *Contract) fillDefaults() {
	if c.Spec.State == "" {
		c.Spec.State = "active"
	}
	d := &c.Spec.Time.Duration
	if d.Min == 0 {
		d.Min = defaultMin
	}
	if d.Default == 0 {
		d.Default = max(d.Min, min(defaultDuration, d.Max))
	}
	if c.Spec.Time.StartWithin == 0 {
		c.Spec.Time.StartWithin = defaultStartWithin
	}
	if c.Spec.Time.DecideWithin == 0 {
		c.Spec.Time.DecideWithin = defaultDecideWithin
	}
	if c.Spec.Approvals.DeniesNeeded == 0 {
		c.Spec.Approvals.DeniesNeeded = 1
	}
	for i := range c.Spec.Approvals.Stages {
		fillSeats(c.Spec.Approvals.Stages[i].Seats)
	}
}

func fillSeats(seats []Seat) {
	for i := range seats {
		if seats[i].Count == 0 {
			seats[i].Count = 1
		}
	}
}

// Decode rebuilds a set from documents that were loaded before. They were
// checked when they were put on record; that they are still the same is what
// their digests say.
func Decode(documents []Document) (*Set, error) {
	s := &Set{}
	for _, d := range documents {
		if digestOf(d.Body) != d.Digest {
			return nil, fmt.Errorf("%s/%s is not what its digest says: it was changed after it was put on record", d.Kind, d.Name)
		}
		if err := s.decode(d); err != nil {
			return nil, err
		}
	}
	s.Documents = append(s.Documents, documents...)
	s.sort()
	return s, nil
}

func digestOf(body []byte) access.Digest {
	sum := sha256.Sum256(body)
	return access.Digest(hex.EncodeToString(sum[:]))
}
