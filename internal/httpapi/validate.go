package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	nethttpmiddleware "github.com/oapi-codegen/nethttp-middleware"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// newValidator builds the middleware that holds requests against the
// specification and answers all faults at once.
func (s *Server) newValidator() (func(http.Handler) http.Handler, error) {
	doc, err := readSpec() // its own: the middleware changes it
	if err != nil {
		return nil, err
	}
	return nethttpmiddleware.OapiRequestValidatorWithOptions(doc, &nethttpmiddleware.Options{
		DoNotValidateServers:  true,
		DiscardValidatedValue: true,
		Prefix:                base,
		Options: openapi3filter.Options{
			MultiError:         true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // authenticate did it
		},
		ErrorHandlerWithOpts: func(_ context.Context, err error, w http.ResponseWriter, r *http.Request, _ nethttpmiddleware.ErrorHandlerOpts) {
			s.problem(w, r, invalid(err))
		},
	}), nil
}

// invalid turns the validator's tree of causes into its leaves.
func invalid(err error) error {
	faults := leaves(err, access.Detail{})
	if len(faults) == 0 {
		return err
	}
	return &access.Error{Code: access.Invalid, Message: "The input cannot be taken as it is.", Details: faults}
}

func leaves(err error, at access.Detail) []access.Detail {
	switch e := err.(type) { //nolint:errorlint // the tree is walked by hand: every branch matters, not the first
	case openapi3.MultiError:
		var all []access.Detail
		for _, sub := range e {
			all = append(all, leaves(sub, at)...)
		}
		return all
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			at.Parameter = e.Parameter.Name
		}
		if e.Err == nil {
			at.Detail = e.Reason
			return []access.Detail{at}
		}
		return leaves(e.Err, at)
	case *openapi3.SchemaError:
		var tree *jsonschema.ValidationError
		if errors.As(e, &tree) {
			return schemaFaults(tree, at)
		}
	case *openapi3filter.ParseError:
		at.Detail = "is not of the right type"
		return []access.Detail{at}
	}
	if errors.Is(err, openapi3filter.ErrInvalidRequired) {
		at.Detail = "is missing"
	} else if errors.Is(err, openapi3filter.ErrInvalidEmptyValue) {
		at.Detail = "is empty"
	} else {
		at.Detail = "is not valid"
	}
	return []access.Detail{at}
}

// undecodable answers what the generated code could not bind.
func (s *Server) undecodable(w http.ResponseWriter, r *http.Request, err error) {
	detail := access.Detail{Detail: "is not of the right type"}
	var (
		format  *api.InvalidParamFormatError
		missing *api.RequiredParamError
		header  *api.RequiredHeaderError
		many    *api.TooManyValuesForParamError
	)
	switch {
	case errors.As(err, &format):
		detail.Parameter = format.ParamName
	case errors.As(err, &missing):
		detail = access.Detail{Parameter: missing.ParamName, Detail: "is missing"}
	case errors.As(err, &header):
		detail = access.Detail{Parameter: header.ParamName, Detail: "is missing"}
	case errors.As(err, &many):
		detail = access.Detail{Parameter: many.ParamName, Detail: "is given more than once"}
	case asError(err).Code == access.Internal:
		detail.Pointer = pointerOf(err)
	default:
		s.problem(w, r, err)
		return
	}
	s.problem(w, r, &access.Error{Code: access.Invalid, Message: "The input cannot be taken as it is.", Details: []access.Detail{detail}})
}
