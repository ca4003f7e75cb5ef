package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// plain makes text that others wrote safe for a terminal: no escape sequence
// gets through, nor any other character, but line ends and tabs, that moves
// the cursor or turns the direction of writing.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unsafe(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// unsafe says whether a character can change what a terminal shows elsewhere.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// inline puts text on one line.
func inline(s string) string {
	return plain(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " "))
}

// short cuts text that is too long for its place.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:max(most-1, 0)]) + "…"
	}
	return s
}

// clock writes an instant in the local zone: the time alone if it is today.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.Local()
	if now := time.Now(); t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// left writes how long it is until t.
func left(t time.Time) string {
	d := time.Until(t).Round(time.Second)
	if d <= 0 {
		return "over"
	}
	if d > time.Hour {
		d = d.Round(time.Minute)
	}
	return access.Seconds(d / time.Second).String()
}

// quote writes a word as a shell reads it.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./:@%+,=", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// plural writes a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
