package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// How definite a failure is.
const (
	temporary = false // the call had no effect; another may succeed
	permanent = true  // another would fail as well
)

// refused is a definite failure with a sentence for people.
func refused(final bool, message string) error {
	e := &access.Error{Code: access.UpstreamFailed, Message: message}
	if final {
		return fmt.Errorf("%w (%w, %w)", e, connector.ErrRefused, connector.ErrPermanent)
	}
	return fmt.Errorf("%w (%w)", e, connector.ErrRefused)
}

// changed is a failure of a call that has changed something, with a sentence
// for people.
func changed(message string) error {
	return &access.Error{Code: access.UpstreamFailed, Message: message}
}

// uncertain keeps what an error says but not that it is definite: the call
// had changed something before it failed. Whatever fails after the first
// statement that changes the target goes through here.
func uncertain(err error) error {
	if e, ok := errors.AsType[*access.Error](err); ok {
		return e
	}
	return err
}

// The SQLSTATEs that target-setup.sql raises.
const (
	badName  = "RKN01"
	refusal  = "RKP01"
	notNow   = "RKR01"
	tooLate  = "RKD01"
	noRight  = "42501"
	noObject = "42704"
	noFunc   = "42883"
	noSchema = "3F000"
	lockBusy = "55P03"
	tupleHit = "XX000" // "tuple concurrently updated" has no code of its own
)

// explain turns what pgx said into what the broker acts on: a definite answer
// of the server, or an error that leaves the effect uncertain. Nothing of the
// query, its arguments or the URL gets into it.
func (c *Connector) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, connector.ErrRefused) { // said already, such as by the identity check
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Severity != "FATAL" && pg.Severity != "PANIC" {
		say := func(final bool, more string) error {
			return refused(final, fmt.Sprintf("%s on %s: the server says: %s (SQLSTATE %s).%s", doing, c.cfg.Name, pg.Message, pg.Code, more))
		}
		switch pg.Code {
		case noFunc, noSchema:
			return say(permanent, " Has an administrator run target-setup.sql of this version in that database?")
		case noRight:
			return say(permanent, " Is the broker's login a member of rampkeeper_broker?")
		case badName, refusal, noObject:
			return say(permanent, "")
		default:
			return say(temporary, "")
		}
	}
	return fmt.Errorf("%s on %s: %w", doing, c.cfg.Name, plain(err))
}

// unreachable says that no connection could be had. Nothing was sent, so that
// it is a definite answer.
func (c *Connector) unreachable(err error) error {
	if errors.Is(err, connector.ErrRefused) {
		return err
	}
	why := plain(err).Error()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		why = fmt.Sprintf("the server says: %s (SQLSTATE %s)", pg.Message, pg.Code)
	} else if op, ok := errors.AsType[*net.OpError](err); ok {
		why = op.Error()
	}
	return refused(temporary, fmt.Sprintf("%s cannot be reached: %s.", c.cfg.Name, why))
}

// plain keeps what can be told of an error of the connection: which of a few
// kinds it is. The text of others might hold a part of the URL.
func plain(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, io.ErrUnexpectedEOF, io.EOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return fmt.Errorf("the connection ended without an answer: %w", known)
		}
	}
	if pgconn.Timeout(err) {
		return fmt.Errorf("the connection ended without an answer: %w", context.DeadlineExceeded)
	}
	return errors.New("the connection broke without an answer")
}

// codeOf gives the SQLSTATE of an error of the server, or "".
func codeOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}
