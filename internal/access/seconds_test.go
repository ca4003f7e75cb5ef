package access_test

import (
	"math"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestParseSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]access.Seconds{
		"45s": 45, "30m": 1800, "8h": 28800, "7d": 604800, "1d12h": 129600, "1h30m": 5400, "1d1h1m1s": 90061, "090m": 5400,
		"PT30M": 1800, "PT8H": 28800, "P7D": 604800, "P1DT12H": 129600, "PT1H30M": 5400, "3650d": access.MaxSeconds,
	} {
		got, err := access.ParseSeconds(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "0", "0s", "5", "m", "1.5h", "-1h", "+1h", "1h ", " 1h", "1 h", "1h1h", "30m1h", "1w", "1y", "1M", "1H", "1mo",
		"P", "PT", "P1", "P1M", "P1Y", "P1W", "PT1D", "P1H", "P1DT", "PT30m", "p1d", "P0D", "3651d", "9999999999s", "1e3s", "٣h",
		"P1DT1H1H", "TT1H", "T1H", "PTT1H",
	} {
		_, err := access.ParseSeconds(text)
		require.Error(t, err, "%q", text)
	}
}

func TestSecondsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := access.Seconds(rapid.Int64Range(1, int64(access.MaxSeconds)).Draw(t, "seconds"))
		again, err := access.ParseSeconds(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		require.Equal(t, time.Duration(s)*time.Second, s.Duration())
	})
	require.Equal(t, "0s", access.Seconds(0).String())
	require.Equal(t, time.Duration(math.MaxInt64), access.Seconds(math.MaxInt64).Duration())
}

var spellings = regexp.MustCompile(`^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$|^P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?$`)

func FuzzParseSeconds(f *testing.F) {
	for _, seed := range []string{"30m", "PT30M", "1d12h", "P1DT12H", "PT", "1h1h", "999999999d", "0s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := access.ParseSeconds(text)
		if err != nil {
			require.Zero(t, s)
			return
		}
		require.Regexp(t, spellings, text)
		require.Positive(t, s)
		require.LessOrEqual(t, s, access.MaxSeconds)
		again, err := access.ParseSeconds(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
