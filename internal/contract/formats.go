package contract

import (
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/unicode/norm"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// formats are what the schema cannot say by itself. Their errors are what the
// author reads.
var formats = map[string]func(string) error{
	"rampkeeper-duration": func(s string) error { _, err := access.ParseSeconds(s); return err },
	"rampkeeper-instant": func(s string) error {
		if _, err := time.Parse(time.RFC3339, s); err != nil {
			return errors.New("write a moment like 2026-01-01T00:00:00Z")
		}
		return nil
	},
	"rampkeeper-regexp": func(s string) error {
		if _, err := regexp.Compile(s); err != nil {
			return errors.New("is not a regular expression of RE2: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		return nil
	},
	"rampkeeper-template":     func(s string) error { _, err := labelsIn(s); return err },
	"rampkeeper-nfc":          checkNFC,
	"rampkeeper-resource-id":  CheckResourceID,
	"rampkeeper-role-pattern": checkRolePattern,
	"rampkeeper-type-pattern": func(s string) error {
		if s != "*" && !typePattern.MatchString(s) {
			return errors.New("write a type like postgres/database, or * for every type")
		}
		return nil
	},
	"rampkeeper-path-pattern": func(s string) error { return checkPath(s, true) },
}

func registerFormats(c *jsonschema.Compiler) {
	for name, check := range formats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if s, ok := v.(string); ok {
				return check(s)
			}
			return nil // its type is wrong, which is said elsewhere
		}})
	}
	c.AssertFormat()
}

var (
	typePattern = regexp.MustCompile(`^[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)*$`)
	roleSegment = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

func checkNFC(s string) error {
	if !norm.NFC.IsNormalString(s) {
		return errors.New("is not in Unicode normal form C, so it looks like a name that it does not equal")
	}
	return nil
}

// CheckResourceID says what is wrong with the id of a resource. Ids are
// compared byte by byte, so there is one spelling of each.
func CheckResourceID(id string) error {
	kind, path, found := strings.Cut(id, ":")
	switch {
	case !found || len(kind) > 126 || !typePattern.MatchString(kind):
		return errors.New("write type:path, such as postgres/database:prod/orders; a type is lower case")
	case len(id) > access.MaxName:
		return errors.New("is longer than 512 bytes")
	}
	return checkPath(path, false)
}

// checkPath checks the path of an id, or of a selector, which may hold
// patterns.
func checkPath(path string, pattern bool) error {
	if err := checkNFC(path); err != nil {
		return err
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		literal := s
		if pattern {
			if s == "**" {
				if i < len(segments)-1 {
					return errors.New("** may stand at the end only")
				}
				continue
			}
			if s == "*" {
				continue
			}
			literal = strings.TrimSuffix(s, "*")
		}
		switch {
		case literal == "":
			return errors.New("a segment of the path is empty")
		case s == "." || s == "..":
			return errors.New("neither . nor .. may be a segment of the path")
		case strings.Contains(literal, "*") && pattern:
			return errors.New("a * stands alone or at the end of a segment, as in * and prod-*, and nowhere else")
		case strings.ContainsAny(literal, "*{}") || strings.ContainsFunc(literal, unreadableRune):
			return errors.New("a segment of the path may not hold blanks, control characters, *, { or }")
		}
	}
	return nil
}

func unreadableRune(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func checkRolePattern(s string) error {
	segments := strings.Split(s, "/")
	for i, seg := range segments {
		switch {
		case seg == "**" && i < len(segments)-1:
			return errors.New("** may stand at the end only")
		case seg != "*" && seg != "**" && !roleSegment.MatchString(seg):
			return errors.New("write a role like pg/readonly; a segment may be *, and the last one **")
		}
	}
	return nil
}
