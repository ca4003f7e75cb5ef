package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// testStopWaiting presses Ctrl-C while ramp waits.
func testStopWaiting(t *testing.T, demo *demo) {
	ada := newPerson(t, demo)
	ada.token = demo.tokens["ada"]
	for _, args := range [][]string{
		{"request", "pg/readwrite", "on", "postgres/database:prod/orders", "--for", "11m", "--reason", "will be stopped", "--ticket", "OPS-91"},
		{"requests", "watch"},
	} {
		if args[0] == "requests" {
			id, _, code := ada.run(t, "requests", "ls", "--mine", "--state", "pending", "--search", "OPS-91", "-o", "name")
			require.Equal(t, 0, code)
			args = append(args, strings.TrimSpace(id))
		}
		waiting := ada.start(t, args...)
		number := waiting.find(`Request #(\d+) waits for 1 of .*db-owners \(.*Grace.*\)\. Decide by`)
		require.NoError(t, waiting.cmd.Process.Signal(syscall.SIGINT))
		waiting.find(`Stopped waiting; request #` + number + ` stays open\.`)
		waiting.find(`go on: +ramp requests watch ` + number)
		waiting.find(`take back: +ramp requests withdraw ` + number)
		waiting.exits(8)
	}
}

// testTailFollows sees an event soon after it has happened.
func testTailFollows(t *testing.T, demo *demo) {
	mary, ada := newPerson(t, demo), newPerson(t, demo)
	mary.token, ada.token = demo.tokens["mary"], demo.tokens["ada"]
	tail := mary.start(t, "audit", "tail", "-f", "-n", "1", "--type", "policy.applied")
	tail.find(`policy\.applied`)
	require.NoError(t, tail.cmd.Process.Signal(syscall.SIGINT))
	tail.exits(0)

	tail = mary.start(t, "audit", "tail", "-f", "-n", "1", "-o", "wide")
	tail.find(`\S`) // from now on it follows
	_, _, code := ada.run(t, "request", "pg/readonly", "on", "postgres/database:prod/billing", "--for", "13m", "--reason", "for the tail", "--no-wait")
	require.Equal(t, 8, code)
	tail.find(`request\.submitted +Ada Engineer .*"duration_seconds":780`)
	require.NoError(t, tail.cmd.Process.Signal(syscall.SIGINT))
	tail.exits(0)
}
