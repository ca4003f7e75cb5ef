// Package access is the vocabulary of Rampkeeper: who asks, what was asked,
// what was decided, and the grants that follow, with the lifecycle that
// requests, grants and entitlements obey.
//
// It is the lowest layer. It imports the standard library only, does no I/O
// and reads no clock: time and randomness come in as arguments.
package access
