package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func (a *app) connectCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "connect [GRANT] [-- ARG…]",
		Short: "Use a grant: start the target's client with fresh credentials",
		Long: `Fetch the credentials of a grant and start the target's own client (psql for
PostgreSQL) with them. They are handed over once and end with the grant. The
password goes to the client through its environment, never its arguments.

Without GRANT it is the one grant whose credentials you have not had. Access
that is just being made is waited for.`,
		Example:           "  ramp connect grt_01m8…\n  ramp connect grt_01m8… -- -c 'select count(*) from prod_orders.orders'\n  ramp connect grt_01m8… --print",
		ValidArgsFunction: a.completeGrants(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			var more []string
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				args, more = args[:dash], args[dash:]
			}
			c, g, err := a.grantToUse(cmd.Context(), args)
			if err != nil {
				return err
			}
			program := ""
			if !show {
				// Looked for first: the credentials are handed over only once.
				if program, err = exec.LookPath("psql"); err != nil {
					return errors.New("psql is not installed here: install the PostgreSQL client, or see the address with --print")
				}
			}
			if g, err = a.awaitGrant(cmd.Context(), c, g, func(g client.Grant) bool { return !beingMade(g) }); err != nil {
				return err
			}
			cred, err := decode[client.Credentials](c.GetCredentials(cmd.Context(), g.ID))
			if err != nil {
				return err
			}
			a.say("%s on %s until %s.", g.Role, g.Resource, clock(g.ExpiresAt))
			if show {
				return a.print(cred, cred.DSN, table{rows: [][]string{
					{"user", cred.Username}, {"password", cred.Password}, {"address", cred.DSN}, {"until", clock(cred.Until)},
				}})
			}
			return a.runClient(cmd, program, cred, more)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "show the credentials instead of starting a client")
	return cmd
}

// grantToUse takes the grant that is named, or the only one there is.
func (a *app) grantToUse(ctx context.Context, args []string) (*client.Client, client.Grant, error) {
	if len(args) > 1 {
		return nil, client.Grant{}, usage("name one grant; what follows -- goes to the target's client")
	}
	if len(args) == 1 {
		return a.findGrant(ctx, args[0])
	}
	c, err := a.connect()
	if err != nil {
		return nil, client.Grant{}, err
	}
	mine, _, err := listGrants(ctx, c, client.ListGrantsParams{Holder: new("me"), Live: new(true)}, 0)
	if err != nil {
		return nil, client.Grant{}, err
	}
	fresh := slices.DeleteFunc(mine, func(g client.Grant) bool {
		return !beingMade(g) && (g.State != access.Active || !g.CredentialsIssuedAt.IsZero())
	})
	switch len(fresh) {
	case 1:
		return c, fresh[0], nil
	case 0:
		return nil, client.Grant{}, fail(exitNotFound, "you have no active grant whose credentials you have not had; ask with 'ramp request'")
	default:
		return nil, client.Grant{}, usage("you have %d active grants whose credentials you have not had; name one of 'ramp grants ls --mine'", len(fresh))
	}
}

// runClient runs the command that the connector names, with what a person
// adds, and ends as it ends.
func (a *app) runClient(cmd *cobra.Command, program string, cred client.Credentials, more []string) error {
	var args []string
	if len(cred.Command) > 0 {
		args = slices.Clone(cred.Command[1:])
	}
	// Ctrl-C is the client's: psql cancels a statement with it. So the
	// program ends when it ends, and no sooner.
	run := exec.CommandContext(context.WithoutCancel(cmd.Context()), program, append(args, more...)...)
	run.Stdin, run.Stdout, run.Stderr = a.in, a.out, a.err
	run.Env = os.Environ()
	for k, v := range cred.Env {
		if strings.HasPrefix(k, "PG") { // nothing else is for the server to set here
			run.Env = append(run.Env, k+"="+v)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := run.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM { // the terminal sends Ctrl-C to both by itself
				_ = run.Process.Signal(s)
			}
		case err := <-ended:
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				return &exitError{code: max(exit.ExitCode(), exitFailure)}
			}
			if err != nil {
				return fmt.Errorf("running %s: %w", program, err)
			}
			return nil
		}
	}
}
