package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"
)

// await follows the versions of an object until done says so. The server is
// asked to wait for the next one; when it cannot be reached for a while, or
// asks for patience, the waiting goes on. It ends with the context's error
// when the person stops it.
func await[T any](ctx context.Context, a *app, v T, get func(tag *string) (*http.Response, error), done func(T) bool) (T, error) {
	var tag *string
	quiet := false
	for !done(v) {
		asked := time.Now()
		resp, err := get(tag)
		if err == nil && resp.StatusCode == http.StatusNotModified {
			_ = resp.Body.Close()
			if time.Since(asked) < time.Second { // something between does not let us wait
				rest(ctx, time.Second)
			}
			continue
		}
		next, err := decode[T](resp, err)
		switch {
		case ctx.Err() != nil:
			return v, ctx.Err()
		case err == nil:
			v, quiet = next, false
			if tag = new(resp.Header.Get("ETag")); *tag == "" {
				tag = nil
				rest(ctx, time.Second)
			}
		default:
			pause, passes := passing(err)
			if !passes {
				return v, err
			}
			if !quiet {
				a.say("%s Trying again; Ctrl-C stops.", trouble(err))
				quiet = true
			}
			if !rest(ctx, pause) {
				return v, ctx.Err()
			}
		}
	}
	return v, nil
}

// passing says whether a failure may pass by itself, and when to look again.
func passing(err error) (pause time.Duration, ok bool) {
	if errors.Is(err, errUnreachable) {
		return 2 * time.Second, true
	}
	p := (*problem)(nil)
	if !errors.As(err, &p) {
		return 0, false
	}
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return max(p.again, time.Second), true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return 2 * time.Second, true
	}
	return 0, false
}

// trouble is a failure that may pass, in a sentence.
func trouble(err error) string {
	if p := (*problem)(nil); errors.As(err, &p) {
		return cmp.Or(p.Detail, p.Title+".")
	}
	return "The broker cannot be reached."
}

// rest waits, and says whether nobody has stopped it.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
