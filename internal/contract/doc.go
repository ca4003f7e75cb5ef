// Package contract holds the policy documents: loading them strictly, with a
// position for every problem, checking them against their schema and each
// other, and compiling a set to an index that the engine reads.
//
// It is pure: bytes in, values out. Patterns exist only here, in policy;
// requests carry exact values, so matching is one-way and linear.
package contract
