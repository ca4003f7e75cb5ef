package broker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// attestAfter is how long a removal must have failed before people may say in
// the target's place that the access is gone.
const attestAfter = time.Hour

// attestedData is one signature of an attested end.
type attestedData struct {
	Author   access.PrincipalID `json:"author"`
	Role     access.AppRole     `json:"role"`
	Evidence access.Digest      `json:"evidence_hash"`
	Grant    access.GrantID     `json:"grant_id"`
}

// Attest signs that the access of a grant is gone although its target cannot
// confirm it (T11), for a target that will never answer again. It takes a
// contract admin and an operator, two people, neither of them the holder. The
// first signature is put on record; the second ends the grant. The loops go on
// trying to remove the access all the same.
func (b *Broker) Attest(ctx context.Context, who access.Caller, id access.GrantID, evidence string) (GrantView, error) {
	evidence = strings.TrimSpace(evidence)
	why := access.CheckText(evidence, access.MaxReason)
	if evidence == "" {
		why = "say how you know that the access is gone"
	}
	if why != "" {
		return GrantView{}, &access.Error{
			Code: access.Invalid, Message: "The evidence cannot be taken as it is.",
			Details: []access.Detail{{Pointer: "/evidence", Detail: why}},
		}
	}
	var (
		view          GrantView
		before, after access.Grant
	)
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := b.seenGrant(ctx, tx, who, id); err != nil {
			return err
		}
		_, g, err := lockGrant(ctx, tx, id)
		if err != nil {
			return err
		}
		before, after = g, g
		signed, err := tx.GrantNotes(ctx, store.NoteAttest, id)
		if err != nil {
			return err
		}
		role, err := mayAttest(g, who, signed, tx.Now)
		if err != nil {
			return err
		}
		note := store.GrantNote{Grant: id, Kind: store.NoteAttest, Author: who.ID, Role: role, Text: evidence, Salt: newSalt(), At: tx.Now}
		if err := tx.InsertGrantNote(ctx, note); err != nil {
			return err
		}
		if after, err = b.sign(ctx, tx, g, append(signed, note)); err != nil {
			return err
		}
		view, err = b.grantView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return GrantView{}, b.refused(ctx, who, "grant.attest", id.String(), err)
	}
	b.metrics.moved(before, after)
	return view, nil
}

// sign records the last of the signatures, and ends the grant when both are
// there.
func (b *Broker) sign(ctx context.Context, tx *store.Tx, g access.Grant, signed []store.GrantNote) (access.Grant, error) {
	attested := make([]attestedData, len(signed))
	for i, n := range signed {
		attested[i] = attestedData{Author: n.Author, Role: n.Role, Evidence: access.SaltedDigest(n.Salt, n.Text), Grant: g.ID}
	}
	last := attested[len(attested)-1]
	if len(signed) < 2 {
		// The grant does not move, so its own stream has no place for it.
		return g, tx.Record(ctx, access.Event{
			Stream: access.PrincipalStream(last.Author), Type: access.GrantAttested, Actor: last.Author, Data: encode(last),
		})
	}
	of, err := tx.EntitlementsOf(ctx, g.ID)
	if err != nil {
		return g, err
	}
	_, seen := b.entitlementFacts(g.ID, of[g.ID], tx.Now)
	return b.moveGrant(ctx, tx, g, grantMove{
		on: access.OnAttest, actor: last.Author, set: func(g *access.Grant) { g.EndReason = access.EndAttested },
		data: grantData{Attested: attested, Entitlements: seen},
	})
}

// mayAttest says in which role the caller's signature counts, or why it does
// not.
func mayAttest(g access.Grant, who access.Caller, signed []store.GrantNote, now time.Time) (access.AppRole, error) {
	var role access.AppRole
	for _, r := range []access.AppRole{access.ContractAdmin, access.Operator} {
		taken := slices.ContainsFunc(signed, func(n store.GrantNote) bool { return n.Role == r })
		if who.Has(r) && !taken && role == "" {
			role = r
		}
	}
	switch {
	case !who.Has(access.ContractAdmin) && !who.Has(access.Operator):
		return "", &access.Error{Code: access.Forbidden, Message: "Only a contract admin and an operator together attest that access is gone."}
	case g.Holder == who.ID:
		return "", &access.Error{Code: access.Forbidden, Message: "Nobody attests the end of a grant of their own."}
	case g.State != access.Revoking:
		return "", &access.Error{Code: access.StateConflict, Message: "Only a grant whose access cannot be removed is attested; this one is " + string(g.State) + ".", Current: string(g.State)}
	case now.Sub(g.RevokingAt) < attestAfter:
		return "", &access.Error{Code: access.StateConflict, Message: "Removal has been tried since " + stamp(g.RevokingAt) + "; people may attest it from " + stamp(g.RevokingAt.Add(attestAfter)) + " on.", Current: string(g.State)}
	case slices.ContainsFunc(signed, func(n store.GrantNote) bool { return n.Author == who.ID }):
		return "", &access.Error{Code: access.StateConflict, Message: "You have signed this already; the other signature is somebody else's.", Current: string(g.State)}
	case role == "":
		return "", &access.Error{Code: access.StateConflict, Message: "Somebody of your role has signed this already; the other signature is a contract admin's or an operator's.", Current: string(g.State)}
	}
	return role, nil
}
