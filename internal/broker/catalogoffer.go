package broker

import (
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// CatalogOffer is one contract's offer of one role: what an ask would get
// that meets the contract's conditions.
type CatalogOffer struct {
	Role            string
	RoleTitle       string
	Risk            string
	Contract        string
	Description     string // of the contract
	MinDuration     access.Seconds
	DefaultDuration access.Seconds
	MaxDuration     access.Seconds
	// Stages are asked when Auto does not hold.
	Stages []StageView
	// Auto names the rule by which the caller would be granted without the
	// contract's stages, up to AutoMaxDuration.
	Auto            string
	AutoMaxDuration access.Seconds
	TicketRequired  bool
	TicketPattern   string
	MinReason       int // characters
	// WhyNot says why every ask would be refused now; "" when it would not.
	WhyNot string
}

func offer(role *contract.Role, s engine.Standing) CatalogOffer {
	c := s.Contract
	o := CatalogOffer{
		Role: role.Metadata.Name, RoleTitle: role.Spec.Title, Risk: role.Spec.Risk,
		Contract: c.Metadata.Name, Description: c.Metadata.Description,
		MinDuration: s.Offer.MinDuration, MaxDuration: s.Offer.MaxDuration,
		DefaultDuration: min(c.Spec.Time.Duration.Default.Seconds(), s.Offer.MaxDuration),
		Auto:            s.Auto, AutoMaxDuration: s.AutoMax, TicketRequired: s.Ticket,
		Stages: []StageView{},
	}
	for _, stage := range s.Offer.Stages {
		v := StageView{Name: stage.Name}
		for _, seat := range stage.Seats {
			v.Seats = append(v.Seats, SeatView{From: seat.From, Count: seat.Count})
		}
		o.Stages = append(o.Stages, v)
	}
	if j := c.Spec.Justification; j != nil {
		o.MinReason = j.MinLength
		if j.Ticket != nil {
			o.TicketPattern = j.Ticket.Pattern
		}
	}
	return o
}
