package store_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/pgtest"
)

// What is asked all the time finds its rows by an index: planned without
// knowing the arguments, and where nothing else is forced upon the planner
// than to avoid whole tables.
func TestPlansOfHotStatements(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t).AppDSN)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	for _, sql := range []string{`set search_path to ''`, `set enable_seqscan = off`, `set enable_bitmapscan = off`, `set plan_cache_mode = force_generic_plan`} {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	queries := constants(t)
	for name, want := range map[string][]string{
		"selectTimeline":    {"event_stream_version_uq", "Index Cond: (stream = ANY"},
		"selectStreams":     {"Index Cond: (stream = ANY"},
		"selectLiveTwin":    {"request_twin_ix"},
		"claimEntitlements": {"entitlement_due_ix"},
	} {
		positional, args, err := pgx.NamedArgs{}.RewriteQuery(t.Context(), conn, queries[name], nil)
		must(t, err)
		_, err = conn.Exec(t.Context(), "prepare "+name+" as "+positional)
		must(t, err)
		call := "explain execute " + name
		if len(args) > 0 {
			call += "(" + strings.TrimSuffix(strings.Repeat("null, ", len(args)), ", ") + ")"
		}
		rows, err := conn.Query(t.Context(), call)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		plan := strings.Join(lines, "\n")
		for _, part := range want {
			require.Contains(t, plan, part, name)
		}
		require.NotContains(t, plan, "Seq Scan", name)
	}
}
