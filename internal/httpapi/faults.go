package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// schemaFaults goes down to what the schema itself said, once for each place.
func schemaFaults(e *jsonschema.ValidationError, at access.Detail) []access.Detail {
	if len(e.Causes) > 0 {
		var all []access.Detail
		for _, cause := range e.Causes {
			all = append(all, schemaFaults(cause, at)...)
		}
		return all
	}
	var pointer strings.Builder
	for _, part := range e.InstanceLocation {
		pointer.WriteString("/" + escapePointer(part))
	}
	place := func(member, detail string) access.Detail {
		d := access.Detail{Parameter: at.Parameter, Detail: detail}
		if at.Parameter == "" {
			d.Pointer = pointer.String() + member
		}
		return d
	}
	var faults []access.Detail
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			faults = append(faults, place("/"+escapePointer(name), "is missing"))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			faults = append(faults, place("/"+escapePointer(printable(name)), notAMember))
		}
	default:
		faults = append(faults, place("", said(e.ErrorKind)))
	}
	return faults
}

const notAMember = "is not a member of this object"

// said puts a fault into words that never quote the value: it may be a
// secret, or far too long.
func said(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is of type %s, and must be %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Enum:
		allowed := make([]string, len(k.Want))
		for i, v := range k.Want {
			allowed[i] = fmt.Sprint(v)
		}
		return "must be one of " + strings.Join(allowed, ", ")
	case *kind.Const:
		return fmt.Sprintf("must be %v", k.Want)
	case *kind.Format:
		if slices.ContainsFunc(formats, func(f jsonschema.Format) bool { return f.Name == k.Want }) {
			return k.Err.Error() // our own words
		}
		return "is not a valid " + k.Want
	case *kind.Pattern:
		return form(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("is %d characters long; at least %d are needed", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("is %d characters long; at most %d are taken", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d entries; at least %d are needed", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d entries; at most %d are taken", k.Got, k.Want)
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.Not, *kind.AllOf, *kind.AnyOf, *kind.OneOf:
		return k.LocalizedString(message.NewPrinter(language.English))
	}
	return "is not valid"
}

// formats are those that only our specification has, and what it wants of an
// instant: one that Go reads, and not its zero, which stands for none.
var formats = []jsonschema.Format{
	{Name: "date-time", Validate: func(v any) error {
		s, ok := v.(string)
		var at time.Time
		switch {
		case !ok:
		case at.UnmarshalText([]byte(s)) != nil:
			return errors.New("is not an instant, such as 2026-11-23T14:00:00Z")
		case at.Unix() < 0:
			return errors.New("is before 1970")
		}
		return nil
	}},
	{Name: "length-of-time", Validate: func(v any) error {
		s, ok := v.(string)
		if !ok {
			return nil
		}
		_, err := access.ParseSeconds(s)
		return err
	}},
	{Name: "plain-text", Validate: func(v any) error {
		s, _ := v.(string)
		if what := access.CheckText(s, access.MaxReason); what != "" {
			return errors.New(what)
		}
		return nil
	}},
}

// form says what a pattern wants, where it can be said.
func form(pattern string) string {
	if prefix, _, ok := strings.Cut(strings.TrimPrefix(pattern, "^"), "_[0-7]"); ok {
		if word, prefix, also := strings.Cut(strings.TrimPrefix(prefix, "("), "|"); also {
			return "is neither " + word + " nor " + idLike(prefix)
		}
		return "is not " + idLike(prefix)
	}
	switch pattern {
	case `^[^\s*\x00-\x1f\x7f]+$`:
		return "must be an exact name, without blanks, control characters and *"
	case `^[0-9a-f]{64}$`:
		return "is not a SHA-256 in hexadecimal"
	}
	return "does not have the form " + pattern
}

func idLike(prefix string) string { return "an id such as " + prefix + "_01m843dj1xftgsy5stz96vwa7j" }

// pointerOf finds the member that encoding/json could not take.
func pointerOf(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return "/" + strings.ReplaceAll(wrong.Field, ".", "/")
	}
	return ""
}
