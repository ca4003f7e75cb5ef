// Package engine decides: what policy gives to an ask, and whether the votes
// so far are enough. It is pure. It takes the time, the policy and the facts
// as arguments, does no I/O, and gives the same bytes for the same input.
//
// An item of an ask is decided in eight steps, which evaluation.decide
// follows in this order:
//
//  1. The guardrails that match the subject, role and resource are found. A
//     fact that is unknown counts as a match.
//  2. One that denies refuses the item.
//  3. Contracts with a permit for the role on the resource are candidates
//     while they are active and valid.
//  4. If one of them is exclusive, the others are set aside. The subject is
//     not looked at for this.
//  5. Those whose subjects match stay. A fact that is unknown does not match.
//  6. Each makes an offer out of its own limits, stages and checks alone,
//     tightened by every guardrail that matched.
//  7. Offers that fail a check are dropped; each failure keeps what would work.
//  8. The best offer is the outcome, unless the ask names a contract.
//
// All steps leave their clauses in the trace, also those that no longer
// change the outcome: the trace explains the whole policy to an auditor, and
// Redact cuts it down to what the requester may see.
//
// Seats that guardrails require are a floor. For each set of people that the
// matching guardrails name, the highest count that any of them demands is
// compared with the seats that the contract's own stages take from the same
// set; what is missing becomes seats of one last stage, named after the
// guardrails that ask for it. An auto rule leaves no stages of the contract,
// so it leaves the whole floor.
package engine
