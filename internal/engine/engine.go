// Package engine decides: what policy gives to an ask, and whether the votes
// so far are enough. It is pure. It takes the time, the policy and the facts
// as arguments, does no I/O, and gives the same bytes for the same input.
package engine
