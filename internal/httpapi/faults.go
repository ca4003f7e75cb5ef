package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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
			faults = append(faults, place("/"+escapePointer(printable(name)), "is not a member of this object"))
		}
	default:
		faults = append(faults, place("", said(e.ErrorKind)))
	}
	return faults
}

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
		return "is not a valid " + k.Want + example(k.Want)
	case *kind.Pattern:
		return "does not have the form " + k.Want
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

func example(format string) string {
	if format == "date-time" {
		return ", such as 2026-11-23T14:00:00Z"
	}
	return ""
}

// pointerOf finds the member that encoding/json could not take.
func pointerOf(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return "/" + strings.ReplaceAll(wrong.Field, ".", "/")
	}
	return ""
}
