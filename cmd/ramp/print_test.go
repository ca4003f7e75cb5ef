package main

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLayout(t *testing.T) {
	t.Parallel()
	rows := [][]string{
		{"NUMBER", "RESOURCE", "REASON"},
		{"#1042", "postgres/database:prod/orders", "order 4711 is stuck between paid and shipped"},
		{"#7", "x", "größer"},
	}
	require.Equal(t, `NUMBER   RESOURCE                        REASON
#1042    postgres/database:prod/orders   order 4711 is stuck between paid and shipped
#7       x                               größer
`, layout(rows, []int{2}, 0), "no terminal")
	require.Equal(t, `NUMBER   RESOURCE                        REASON
#1042    postgres/database:prod/orders   order 4711 is stuck…
#7       x                               größer
`, layout(rows, []int{2}, 61))
	require.Equal(t, `NUMBER   RESOURCE                        REASON
#1042    postgres/database:prod/orders   order 4711 …
#7       x                               größer
`, layout(rows, []int{2}, 20), "names are whole in a terminal that is too narrow for them")
	require.Empty(t, layout(nil, nil, 80))
}

func TestPlain(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a\ufffd[31mb\ufffdc\ufffdd\n\te", plain("a\x1b[31mb\u009bc\u202ed\n\te"))
	require.Equal(t, "one two  three", inline("one\r\ntwo  three\n"))
	require.Equal(t, `{"a":"x\u009by\u202e"}`, harmless([]byte("{\"a\":\"x\u009by\u202e\"}")))
}

func TestLeft(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"over": -time.Second, "20s": 20 * time.Second, "10m": 10 * time.Minute, "30m10s": 30*time.Minute + 10*time.Second,
		"1h30m": 90 * time.Minute, "2h": 2*time.Hour + 10*time.Second, "1d": 24 * time.Hour,
	} {
		require.Equal(t, want, left(time.Now().Add(d+100*time.Millisecond)))
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "''", "pg/readonly": "pg/readonly", "postgres/database:prod/orders": "postgres/database:prod/orders",
		"two words": "'two words'", "it's $(id) `id`": `'it'\''s $(id) ` + "`id`'",
	} {
		require.Equal(t, want, quote(in))
	}
}

func TestForEachGoesOn(t *testing.T) {
	t.Parallel()
	var done []string
	err := forEach([]string{"a", "b", "c"}, func(arg string) error {
		done = append(done, arg)
		switch arg {
		case "a":
			return fail(exitNotFound, "there is no a")
		case "b":
			return errors.New("b is broken")
		}
		return nil
	})
	require.Equal(t, []string{"a", "b", "c"}, done)
	code, message := outcome(err)
	require.Equal(t, exitNotFound, code)
	require.Equal(t, "a: there is no a\nb: b is broken", message)
}
