package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	inTx(t, s, func(tx *store.Tx) error {
		sealed, err := tx.SealCursor(t.Context(), alice, "requests", "1042")
		must(t, err)
		after, err := tx.OpenCursor(t.Context(), alice, "requests", sealed)
		must(t, err)
		require.Equal(t, "1042", after)

		foreign := map[string]struct {
			who  access.PrincipalID
			list string
			text string
		}{
			"somebody else's": {bob, "requests", sealed},
			"another list's":  {alice, "requests?state=pending", sealed},
			"longer":          {alice, "requests", sealed + "AAAA"},
			"shorter":         {alice, "requests", sealed[:len(sealed)-4]},
			"nothing but MAC": {alice, "requests", sealed[:21]},
			"not base64":      {alice, "requests", "!" + sealed[1:]},
			"an offset":       {alice, "requests", "50"},
		}
		for i := range sealed {
			other := byte('A')
			if sealed[i] == other {
				other = 'B'
			}
			foreign["changed at "+sealed[:i]] = struct {
				who  access.PrincipalID
				list string
				text string
			}{alice, "requests", sealed[:i] + string(other) + sealed[i+1:]}
		}
		for name, c := range foreign {
			_, err := tx.OpenCursor(t.Context(), c.who, c.list, c.text)
			require.Equal(t, access.Invalid, access.AsError(err).Code, name)
			require.Equal(t, "cursor", access.AsError(err).Details[0].Parameter, name)
		}
		return nil
	})
	// The first and the last page have no cursor.
	inTx(t, s, func(tx *store.Tx) error {
		sealed, err := tx.SealCursor(t.Context(), alice, "requests", "")
		must(t, err)
		after, err := tx.OpenCursor(t.Context(), alice, "requests", "")
		must(t, err)
		require.Equal(t, []string{"", ""}, []string{sealed, after})
		return nil
	})
}
