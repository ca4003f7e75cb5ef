// Command ramp is the client: ask for access, decide, use it, and see it end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when a release is linked.
var version = "dev"

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

func main() { os.Exit(run()) }

// run is main for tests, which start this binary within theirs.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	err := a.command().ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailure
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		code = coded.code
		err = coded.err
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ramp: "+plain(err.Error()))
	}
	return code
}

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

func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// app is what every command shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	server string
	format string
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "ramp",
		Short: "Ask for access, decide, use it, and see it end",
		Long: `ramp is the client of Rampkeeper: access that is asked for, approved, and
ended on time.

RAMP_SERVER and RAMP_TOKEN in the environment override what 'ramp login' saved.
Data goes to standard output, progress to standard error.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 denied, 4 not signed in,
5 not found, 6 conflict, 7 there are changes, 8 still pending.`,
		Example: `  ramp login --server https://access.example.com
  ramp request pg/readonly on postgres/database:prod/orders --for 1h --reason "Order 4711 is stuck"
  ramp approve 1042
  ramp connect grt_01m843dj1xftgsy5stz96vwa7j`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVarP(&a.format, "output", "o", "table", "table, wide, json, yaml or name")
	root.PersistentFlags().StringVar(&a.server, "server", "", "address of the broker (default RAMP_SERVER, or the one of 'ramp login')")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, a.format) {
			return usage("--output must be one of %s", strings.Join(formats, ", "))
		}
		return nil
	}
	root.AddCommand(
		a.loginCommand(), a.logoutCommand(), a.whoamiCommand(),
		a.catalogCommand(), a.requestCommand(), a.requestsCommand(),
		a.voteCommand("approve"), a.voteCommand("deny"),
		a.grantsCommand(), a.connectCommand(), a.explainCommand(),
		a.contractsCommand(), a.auditCommand(), a.connectorsCommand(), a.apiCommand(),
	)
	for _, c := range root.Commands() {
		usageForArgs(c)
	}
	return root
}

// usageForArgs makes wrong arguments exit with 2 and point to the help.
func usageForArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage("%w; see '%s --help'", err, c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		usageForArgs(sub)
	}
}

// say tells a person what goes on.
func (a *app) say(format string, args ...any) {
	fmt.Fprintln(a.err, plain(fmt.Sprintf(format, args...)))
}

// plain makes text that others wrote safe for a terminal: no escape sequence
// and no other control character but line ends and tabs gets through.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return '\ufffd'
	}, s)
}
