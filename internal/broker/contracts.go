package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// ContractFilter selects contracts.
type ContractFilter struct {
	Limit  int
	Cursor string
}

// ContractView is a contract as one caller may see it: a summary for those
// who may use it or are named by it, the whole document for contract admins
// and auditors.
type ContractView struct {
	Name        string
	Description string
	State       string // draft, active, suspended
	NotBefore   time.Time
	NotAfter    time.Time
	Revision    int64 // of the policy in force
	Digest      access.Digest
	Precedence  int
	Permits     []contract.Permit
	MinDuration access.Seconds
	// DefaultDuration is what a request without a duration should offer.
	DefaultDuration access.Seconds
	MaxDuration     access.Seconds
	Stages          []StageView
	Auto            []string // the names of the auto rules
	// Full says that Body and Source are there.
	Full   bool
	Body   []byte // canonical JSON
	Source string // as it was written, comments included
}

// StageView is a step of approval for people to read.
type StageView struct {
	Name  string
	Roles []string // the stage applies only to these; empty: to all
	Seats []SeatView
}

// SeatView is a number of people out of a set.
type SeatView struct {
	From  string // as in decisions: the name of a set, or group …, or user …
	Count int
}

// ContractPage is a page of contracts, with the policy that they are from.
type ContractPage struct {
	Page[ContractView]
	Revision int64 // 0 before the first apply
}

// Contracts lists those that the caller may see, by name.
func (b *Broker) Contracts(ctx context.Context, who access.Caller, f ContractFilter) (ContractPage, error) {
	limit, err := limitOf(f.Limit)
	if err != nil {
		return ContractPage{}, err
	}
	var page ContractPage
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return err
		}
		after, err := tx.OpenCursor(ctx, who.ID, "contracts", f.Cursor)
		if err != nil {
			return err
		}
		page = ContractPage{Page: Page[ContractView]{Items: []ContractView{}}, Revision: ix.Revision}
		all := ix.Set().Contracts
		from, _ := slices.BinarySearchFunc(all, after+"\x00", func(c contract.Contract, name string) int { return strings.Compare(c.Metadata.Name, name) })
		if after == "" {
			from = 0
		}
		for i := from; i < len(all); i++ {
			c := &all[i]
			if !seesContract(ix, c, who) {
				continue
			}
			if len(page.Items) == limit {
				page.Next, err = tx.SealCursor(ctx, who.ID, "contracts", page.Items[limit-1].Name)
				return err
			}
			page.Items = append(page.Items, viewContract(ix, c, who))
		}
		return nil
	})
	if err != nil {
		return ContractPage{}, fmt.Errorf("listing contracts: %w", err)
	}
	return page, nil
}

// Contract gives one of them. One that the caller may not see is not found.
func (b *Broker) Contract(ctx context.Context, who access.Caller, name string) (ContractView, error) {
	var view ContractView
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return err
		}
		c, ok := ix.Contract(name)
		if !ok || !seesContract(ix, c, who) {
			return errNoContract
		}
		view = viewContract(ix, c, who)
		return nil
	})
	if err != nil {
		return ContractView{}, b.refused(ctx, who, "contract.read", "contract:"+name, fmt.Errorf("reading a contract: %w", err))
	}
	return view, nil
}

var errNoContract = &access.Error{Code: access.NotFound, Message: "There is no such contract, or it is not yours to see."}

// seesContract says whether the caller may know of the contract: admins and
// auditors, those it is for, and those whom its seats or owners name. Drafts
// are for admins and auditors alone.
func seesContract(ix *contract.Index, c *contract.Contract, who access.Caller) bool {
	if readsPolicy(who) {
		return true
	}
	if c.Spec.State == "draft" {
		return false
	}
	if engine.Eligible(ix, c.Spec.Subjects, who.Subject) {
		return true
	}
	covers := func(w access.Who) bool { return w.Covers(who.Subject) }
	for _, a := range c.Metadata.Owners {
		if covers(ix.Who(a)) {
			return true
		}
	}
	for _, s := range c.Spec.Approvals.Stages {
		for _, seat := range s.Seats {
			if slices.ContainsFunc(ix.SeatWho(seat), covers) {
				return true
			}
		}
	}
	return false
}

func viewContract(ix *contract.Index, c *contract.Contract, who access.Caller) ContractView {
	d := c.Spec.Time.Duration
	v := ContractView{
		Name: c.Metadata.Name, Description: c.Metadata.Description, State: c.Spec.State,
		NotBefore: c.Spec.Validity.NotBefore, NotAfter: c.Spec.Validity.NotAfter,
		Revision: ix.Revision, Digest: c.Digest, Precedence: c.Spec.Precedence, Permits: c.Spec.Permits,
		MinDuration: d.Min.Seconds(), DefaultDuration: d.Default.Seconds(), MaxDuration: d.Max.Seconds(),
	}
	for _, s := range c.Spec.Approvals.Stages {
		stage := StageView{Name: s.Name}
		if s.When != nil {
			stage.Roles = s.When.Roles
		}
		for _, seat := range s.Seats {
			stage.Seats = append(stage.Seats, SeatView{From: seat.String(), Count: seat.Count})
		}
		v.Stages = append(v.Stages, stage)
	}
	for _, a := range c.Spec.Approvals.Auto {
		v.Auto = append(v.Auto, a.Name)
	}
	if readsPolicy(who) {
		if d, ok := ix.Set().Document("Contract", c.Metadata.Name); ok {
			v.Full, v.Body, v.Source = true, d.Body, d.Source
		}
	}
	return v
}
