package access

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Seconds is a length of time in whole seconds. People write it 45s, 30m, 8h,
// 7d or 1d12h (d is 24 hours), or as ISO 8601 PT30M; JSON carries the number.
type Seconds int64

// MaxSeconds is the longest length accepted anywhere: ten years.
const MaxSeconds Seconds = 10 * 365 * 86400

var errSeconds = errors.New("write a length of time like 30m, 2h, 1d12h or PT30M: whole numbers, largest unit first, more than 0 and at most ten years")

// ParseSeconds reads what a person or a document wrote. Months and years have
// no fixed length and are refused, like fractions, signs and blanks.
func ParseSeconds(s string) (Seconds, error) {
	units, rest := "dhms", s
	timePart := true // ISO wants a T before hours, minutes and seconds
	if iso, ok := strings.CutPrefix(s, "P"); ok {
		units, rest, timePart = "DHMS", iso, false
	}
	if rest == "" {
		return 0, errSeconds
	}
	var total int64
	for last := -1; rest != ""; {
		if !timePart {
			if after, ok := strings.CutPrefix(rest, "T"); ok && after != "" {
				timePart, rest = true, after
			}
		}
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 9 || digits == len(rest) {
			return 0, errSeconds
		}
		unit := strings.IndexByte(units, rest[digits])
		if unit <= last || (unit > 0) != timePart && units[0] == 'D' {
			return 0, errSeconds
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, errSeconds
		}
		total += n * [...]int64{86400, 3600, 60, 1}[unit]
		last, rest = unit, rest[digits+1:]
	}
	if total <= 0 || total > int64(MaxSeconds) {
		return 0, errSeconds
	}
	return Seconds(total), nil
}

// String writes the shortest form that ParseSeconds reads, such as 1h30m.
func (s Seconds) String() string {
	if s == 0 {
		return "0s"
	}
	var b strings.Builder
	for i, size := range [...]Seconds{86400, 3600, 60, 1} {
		if n := s / size; n != 0 {
			fmt.Fprintf(&b, "%d%c", n, "dhms"[i])
			s %= size
		}
	}
	return b.String()
}

// Duration converts to the standard library's type.
func (s Seconds) Duration() time.Duration {
	if s > math.MaxInt64/Seconds(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(s) * time.Second
}
