// Command ramp is the client: ask for access, decide, use it, and see it end.
package main

import (
	"context"
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

func main() { os.Exit(run()) }

// run is main for tests, which start this binary within theirs.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	return a.execute(ctx, os.Args[1:])
}

// execute runs one command line and gives its exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.command()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		// Nothing ran, so the command line itself is wrong.
		err = misused(cmd, err)
	}
	code, message := outcome(err)
	if message != "" {
		fmt.Fprintln(a.err, "ramp: "+plain(message))
	}
	return code
}

// app is what every command shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	server string
	format string
	began  bool // whether a command has begun its work
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
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
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
	a.finish(root)
	return root
}

// finish makes groups of commands know their members, and notes when a
// command begins.
func (a *app) finish(cmd *cobra.Command) {
	if cmd.RunE == nil {
		cmd.Args, cmd.RunE = knownMember, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	work := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.began = true
		return work(cmd, args)
	}
	for _, member := range cmd.Commands() {
		a.finish(member)
	}
}

// knownMember refuses a member that a group of commands does not have.
func knownMember(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.SuggestionsMinimumDistance == 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return fmt.Errorf("there is no '%s %s'; did you mean '%s %s'?", cmd.CommandPath(), args[0], cmd.CommandPath(), like[0])
	}
	return fmt.Errorf("there is no '%s %s'", cmd.CommandPath(), args[0])
}

// human says whether the output is for people.
func (a *app) human() bool { return a.format == "table" || a.format == "wide" }

// say tells a person what goes on. Each text that is put in stays on its line,
// so that nobody can make up lines of ours.
func (a *app) say(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = inline(s)
		}
	}
	fmt.Fprintln(a.err, plain(fmt.Sprintf(format, args...)))
}
