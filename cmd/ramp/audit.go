package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Read the record"}
	cmd.AddCommand(a.auditTailCommand())
	return cmd
}

func (a *app) auditTailCommand() *cobra.Command {
	var follow bool
	var lines int
	var filter client.ListEventsParams
	var stream, typ, actor string
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest events, oldest first",
		Long: `Show the newest events that you may see, oldest first. With -f events go on
appearing as they happen, and none is missed: an event appears once every
transaction that began before it is over.`,
		Example: "  ramp audit tail -f\n  ramp audit tail -n 100 --type grant.ended -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lines < 0 || lines == 0 && !follow {
				return usage("--lines must be 1 or more")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			setIf(&filter.Stream, stream)
			setIf(&filter.Type, typ)
			setIf(&filter.Actor, actor)
			t := tail{app: a, client: c, filter: filter}
			if follow {
				return t.follow(cmd.Context(), lines)
			}
			return t.show(cmd.Context(), lines)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing events as they happen")
	cmd.Flags().IntVarP(&lines, "lines", "n", 50, "how many of those there are already")
	cmd.Flags().StringVar(&stream, "stream", "", "only this stream, such as grant:grt_01m8…")
	cmd.Flags().StringVar(&typ, "type", "", "only this type, such as grant.ended")
	cmd.Flags().StringVar(&actor, "actor", "", "only what this person did: me, system, or issuer|subject")
	return cmd
}

// printEvent writes one event a line, also as JSON, so that a stream of them
// can be read by a program.
func (a *app) printEvent(e client.Event) error {
	switch a.format {
	case "json":
		raw, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
		fmt.Fprintln(a.out, harmless(raw))
	case "yaml":
		raw, err := toYAML(e)
		if err != nil {
			return err
		}
		fmt.Fprint(a.out, "---\n"+raw)
	case "name":
		fmt.Fprintln(a.out, e.ID)
	case "wide":
		data, err := json.Marshal(e.Data)
		if err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
		fmt.Fprintln(a.out, eventLine(e)+"  "+harmless(data))
	default:
		fmt.Fprintln(a.out, eventLine(e))
	}
	return nil
}

func eventLine(e client.Event) string {
	return inline(fmt.Sprintf("%s  %-26s %-16s %s", e.At.Local().Format("2006-01-02 15:04:05.000"), e.Type, actorName(e), e.Stream))
}
