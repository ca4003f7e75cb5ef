package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Read the record", Args: cobra.NoArgs}
	cmd.AddCommand(a.auditTailCommand())
	return cmd
}

func (a *app) auditTailCommand() *cobra.Command {
	var follow bool
	var limit int
	var stream, typ string
	cmd := &cobra.Command{
		Use:     "tail",
		Short:   "Show the newest events, oldest first",
		Example: "  ramp audit tail -f\n  ramp audit tail -n 100 --type grant.ended -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			params := &client.ListEventsParams{Limit: &limit}
			setIf(&params.Stream, stream)
			setIf(&params.Type, typ)
			seen := map[int64]bool{}
			for {
				page, err := decode[client.EventPage](c.ListEvents(cmd.Context(), params))
				if err != nil && cmd.Context().Err() == nil {
					return err
				}
				slices.SortFunc(page.Items, func(x, y client.Event) int { return int(x.Index - y.Index) })
				for _, e := range page.Items {
					if !seen[e.Index] {
						seen[e.Index] = true
						if err := a.printEvent(e); err != nil {
							return err
						}
					}
				}
				if !follow {
					return nil
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(time.Second):
				}
			}
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing events as they happen")
	cmd.Flags().IntVarP(&limit, "lines", "n", 50, "how many, at most 200")
	cmd.Flags().StringVar(&stream, "stream", "", "only this stream, such as grant:grt_01m8…")
	cmd.Flags().StringVar(&typ, "type", "", "only this type, such as grant.ended")
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
		fmt.Fprintln(a.out, string(raw))
	case "yaml":
		raw, err := toYAML(e)
		if err != nil {
			return err
		}
		fmt.Fprint(a.out, "---\n"+raw)
	case "name":
		fmt.Fprintln(a.out, e.Index)
	default:
		fmt.Fprintln(a.out, plain(fmt.Sprintf("%s  %-26s %-16s %s", e.At.Local().Format("2006-01-02 15:04:05.000"), e.Type, actorName(e), e.Stream)))
	}
	return nil
}
