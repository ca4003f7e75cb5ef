package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes, as documented in docs/cli.md.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitDenied      = 3
	exitNotSignedIn = 4
	exitNotFound    = 5
	exitConflict    = 6
	exitChanges     = 7
	exitPending     = 8
)

// exitError carries the exit code of a failure. Without err nothing more is
// printed: the command has said it.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// fail makes an error with the exit code of its kind.
func fail(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

func usage(format string, args ...any) error { return fail(exitUsage, format, args...) }

// misused points to the help of the command that was used wrongly.
func misused(cmd *cobra.Command, err error) error {
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		return err
	}
	return usage("%w; see '%s --help'", err, cmd.CommandPath())
}

// outcome gives the exit code, and what is left to say.
func outcome(err error) (code int, message string) {
	if err == nil {
		return exitOK, ""
	}
	coded := (*exitError)(nil)
	if !errors.As(err, &coded) {
		return exitFailure, err.Error()
	}
	if coded.err == nil {
		return coded.code, ""
	}
	return coded.code, err.Error()
}

// forEach does the same to each of several things. One that fails does not
// stop the others; the exit code is that of the first failure.
func forEach(args []string, do func(arg string) error) error {
	var failures []string
	var first error
	for _, arg := range args {
		err := do(arg)
		if err == nil {
			continue
		}
		if len(args) == 1 {
			return err
		}
		if first == nil {
			first = err
		}
		failures = append(failures, arg+": "+err.Error())
		if code, _ := outcome(err); code == exitPending || code == exitNotSignedIn {
			break // the person has stopped, or nothing else would work either
		}
	}
	if first == nil {
		return nil
	}
	code, _ := outcome(first)
	return fail(code, "%s", strings.Join(failures, "\n"))
}
