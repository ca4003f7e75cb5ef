package devmode

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/rampkeeper/rampkeeper/deploy/demo"
)

// Seed makes the demo's people known and puts the example policy in force, the
// way an installation would: each person calls once, and a contract admin
// applies the files. A policy that is in force already is left alone, so that
// what was changed in an earlier run stays.
func Seed(ctx context.Context, p *Parts) (next int64, err error) {
	for _, name := range Names() {
		c, err := p.client(name)
		if err != nil {
			return 0, err
		}
		if err := c.call(ctx, http.MethodGet, "/me", nil, nil); err != nil {
			return 0, fmt.Errorf("introducing %s: %w", name, err)
		}
	}
	admin, err := p.client("lin")
	if err != nil {
		return 0, err
	}
	var revisions struct {
		Items []struct{} `json:"items"`
	}
	if err := admin.call(ctx, http.MethodGet, "/policy/revisions", nil, &revisions); err != nil {
		return 0, fmt.Errorf("looking for a policy: %w", err)
	}
	if len(revisions.Items) > 0 {
		return nextNumber(ctx, p)
	}
	type file struct {
		Name    string `json:"name"`
		Content string `json:"content"`
	}
	var body struct {
		Files []file `json:"files"`
	}
	names, err := fs.Glob(demo.Policy, "policy/*.yaml")
	if err != nil {
		return 0, fmt.Errorf("listing the example policy: %w", err)
	}
	for _, name := range names {
		raw, err := demo.Policy.ReadFile(name)
		if err != nil {
			return 0, fmt.Errorf("reading the example policy: %w", err)
		}
		body.Files = append(body.Files, file{Name: name, Content: string(raw)})
	}
	if err := admin.call(ctx, http.MethodPost, "/contracts/apply?note=The+example+policy.", body, nil, "If-Match", `"0"`); err != nil {
		return 0, fmt.Errorf("applying the example policy: %w", err)
	}
	return 1, nil
}

// nextNumber asks, as an auditor, for the newest request.
func nextNumber(ctx context.Context, p *Parts) (int64, error) {
	auditor, err := p.client("mary")
	if err != nil {
		return 0, err
	}
	var newest struct {
		Items []apiRequest `json:"items"`
	}
	if err := auditor.call(ctx, http.MethodGet, "/requests?limit=1", nil, &newest); err != nil {
		return 0, fmt.Errorf("looking for the newest request: %w", err)
	}
	if len(newest.Items) == 0 {
		return 1, nil
	}
	return newest.Items[0].Number + 1, nil
}
