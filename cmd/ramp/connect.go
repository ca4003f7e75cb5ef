package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
)

func (a *app) connectCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "connect GRANT [-- ARG…]",
		Short: "Use a grant: start the target's client with fresh credentials",
		Long: `Fetch the credentials of a grant and start the target's own client (psql for
PostgreSQL) with them. They are handed over once and end with the grant. The
password goes to the client through its environment, never its arguments.`,
		Example: "  ramp connect grt_01m8…\n  ramp connect grt_01m8… -- -c 'select count(*) from prod_orders.orders'\n  ramp connect grt_01m8… --print",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := a.findGrant(cmd.Context(), args[0])
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
			return a.runClient(cmd, program, cred, args[1:])
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "show the credentials instead of starting a client")
	return cmd
}

// runClient runs the command that the connector names, with what a person
// adds, and ends as it ends.
func (a *app) runClient(cmd *cobra.Command, program string, cred client.Credentials, more []string) error {
	var args []string
	if len(cred.Command) > 0 {
		args = slices.Clone(cred.Command[1:])
	}
	run := exec.CommandContext(cmd.Context(), program, append(args, more...)...)
	run.Stdin, run.Stdout, run.Stderr = a.in, a.out, a.err
	run.Env = os.Environ()
	for k, v := range cred.Env {
		run.Env = append(run.Env, k+"="+v)
	}
	err := run.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &exitError{code: max(exit.ExitCode(), exitFailure)}
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", program, err)
	}
	return nil
}
