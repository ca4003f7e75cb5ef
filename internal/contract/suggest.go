package contract

import (
	"iter"
	"strings"
)

// suggest gives the candidate that is most like what was written, or "" when
// none is near. Of two that are equally near the first in order is given.
func suggest(written string, candidates iter.Seq[string]) string {
	best, least := "", max(2, len(written)/3)+1
	for c := range candidates {
		d := distance(strings.ToLower(written), strings.ToLower(c), least)
		if d < least || d == least && best != "" && c < best {
			best, least = c, d
		}
	}
	return best
}

func didYouMean(written string, candidates iter.Seq[string]) string {
	if s := suggest(written, candidates); s != "" {
		return "did you mean " + s + "?"
	}
	return ""
}

// distance is the least number of characters to change, insert, leave out or
// swap with their neighbour; most is as good as infinite.
func distance(a, b string, most int) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 100 || len(y) > 100 || len(x)-len(y) > most || len(y)-len(x) > most {
		return most + 1
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
