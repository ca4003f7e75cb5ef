package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) apiCommand() *cobra.Command {
	var input string
	var headers []string
	cmd := &cobra.Command{
		Use:   "api METHOD PATH",
		Short: "Call the API directly",
		Example: `  ramp api GET /me
  ramp api POST /requests --input body.json
  echo '{"reason":"done"}' | ramp api POST /grants/grt_01m8…/release --input -`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var body io.Reader
			switch input {
			case "":
			case "-":
				body = a.in
			default:
				f, err := os.Open(input)
				if err != nil {
					return usage("--input: %w", err)
				}
				defer f.Close()
				body = f
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			path := strings.TrimPrefix("/"+strings.TrimLeft(args[1], "/"), "/api/v1")
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
			for _, edit := range c.RequestEditors {
				if err := edit(cmd.Context(), req); err != nil {
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
			if json.Indent(&pretty, raw, "", "  ") == nil {
				raw = pretty.Bytes()
			}
			if len(raw) > 0 {
				fmt.Fprintln(a.out, strings.TrimRight(string(raw), "\n"))
			}
			if resp.StatusCode >= 300 {
				code := exitFailure // the body has been shown, so only the code is left to give
				if failed := (*exitError)(nil); errors.As(problemOf(resp, raw), &failed) {
					code = failed.code
				}
				return &exitError{code: code}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&input, "input", "", "file with the body; - for standard input")
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "another header, 'Name: value'")
	return cmd
}
