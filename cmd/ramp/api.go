package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
)

func (a *app) apiCommand() *cobra.Command {
	var input string
	var headers []string
	cmd := &cobra.Command{
		Use:   "api METHOD PATH",
		Short: "Call the API directly",
		Long: `Call the API as you and show what it answers. PATH is as in the documentation
of the API, with or without /api/v1.`,
		Example: `  ramp api GET /me
  ramp api GET '/audit/events?type=grant.ended'
  ramp api POST /requests --input body.json
  echo '{"reason":"done"}' | ramp api POST /grants/grt_01m8…/release --input -`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.openInput(input)
			if err != nil {
				return err
			}
			if body != nil {
				defer body.Close()
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			path := "/" + strings.TrimLeft(args[1], "/")
			if rest, ok := strings.CutPrefix(path, apiPath+"/"); ok {
				path = "/" + rest
			}
			req, err := http.NewRequestWithContext(cmd.Context(), strings.ToUpper(args[0]), strings.TrimRight(c.Server, "/")+path, body)
			if err != nil {
				return usage("%w", err)
			}
			if body != nil {
				req.Header.Set("Content-Type", "application/json")
			}
			for _, h := range headers {
				name, value, ok := strings.Cut(h, ":")
				if !ok {
					return usage("--header must be 'Name: value'")
				}
				req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
			}
			return a.callAPI(c, req)
		},
	}
	cmd.Flags().StringVar(&input, "input", "", "file with the body; - for standard input")
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "another header, 'Name: value'")
	cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"GET", "POST", "DELETE"}, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

// openInput opens the body; a nil reader is none.
func (a *app) openInput(name string) (io.ReadCloser, error) {
	switch name {
	case "":
		return nil, nil //nolint:nilnil // no body, and no error
	case "-":
		return io.NopCloser(a.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usage("--input: %w", err)
	}
	return f, nil
}

// callAPI sends a request and shows the answer, also if it is a problem: who
// calls the API wants to see what it says.
func (a *app) callAPI(c *client.Client, req *http.Request) error {
	for _, edit := range c.RequestEditors {
		if err := edit(req.Context(), req); err != nil {
			return err
		}
	}
	resp, err := c.Client.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return unreachable(err)
	}
	var pretty bytes.Buffer
	shown := string(raw)
	if json.Indent(&pretty, raw, "", "  ") == nil {
		shown = harmless(pretty.Bytes())
	} else if columns(a.out) > 0 {
		shown = plain(shown)
	}
	if shown = strings.TrimRight(shown, "\n"); shown != "" {
		fmt.Fprintln(a.out, shown)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	failed := refusal(resp, raw)
	code, _ := outcome(failed)
	a.say("%s", resp.Status)
	return &exitError{code: code}
}
