package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ctrl-C belongs to the target's client while it runs: psql cancels a
// statement with it, and must not be killed.
func testConnectLeavesCtrlC(t *testing.T, demo *demo) {
	eve := newPerson(t, demo)
	eve.token = demo.tokens["eve"]
	grant, stderr, code := eve.run(t, "request", "pg/readwrite", "on", "postgres/database:staging/orders", "--for", "17m", "--reason", "to press keys", "-o", "name")
	require.Equal(t, 0, code, stderr)
	program := filepath.Join(eve.dir, "psql")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\ntrap 'kill $!' TERM\ntest -n \"$PGPASSWORD\" && echo started\nsleep 2 & wait\necho over; exit 5\n"), 0o700))
	client := eve.startIn(t, eve.dir+":"+os.Getenv("PATH"), "connect", grant[:30])
	client.find("started")
	require.NoError(t, client.cmd.Process.Signal(syscall.SIGINT))
	client.find("over")
	client.exits(5)
}
