package devmode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// client calls the API as one demo person, the way a script with curl would.
type client struct {
	base  string
	token string
}

// client gives a client with a fresh token of the development provider.
func (p *Parts) client(name string) (*client, error) {
	token, err := p.idp.Token(name, time.Hour)
	if err != nil {
		return nil, fmt.Errorf("making a token for %s: %w", name, err)
	}
	return &client{base: p.URL + "/api/v1", token: token}, nil
}

// apiError is a problem document.
type apiError struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Detail  string `json:"detail"`
		Pointer string `json:"pointer"`
	} `json:"errors"`
}

func (e *apiError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d %s: %s", e.Status, e.Code, e.Detail)
	for _, f := range e.Errors {
		s.WriteString("; " + f.Pointer + " " + f.Detail)
	}
	return s.String()
}

// call sends one request and decodes the answer. in is sent as JSON, or as it
// is when it is a []byte, which is YAML.
func (c *client) call(ctx context.Context, method, path string, in, out any, header ...string) error {
	var body io.Reader
	contentType := "application/json"
	switch v := in.(type) {
	case nil:
	case []byte:
		body, contentType = bytes.NewReader(v), "application/yaml"
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encoding the body of %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("building %s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("calling %s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		problem := &apiError{Status: resp.StatusCode}
		if json.Unmarshal(raw, problem) != nil {
			problem.Detail = string(raw)
		}
		return problem
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("decoding the answer to %s %s: %w", method, path, err)
	}
	return nil
}

// bold marks a heading where the terminal can show it.
func bold(s string) string {
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" {
		return "\x1b[1m" + s + "\x1b[0m"
	}
	return s
}
