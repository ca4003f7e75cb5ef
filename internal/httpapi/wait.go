package httpapi

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	maxWait = 60 * time.Second
	// lookEvery is the safety net of a long poll: hints may get lost.
	lookEvery = 2 * time.Second
)

// waitOf reads the seconds of `Prefer: wait=30`. Other preferences are
// somebody else's.
func waitOf(prefer string) time.Duration {
	for part := range strings.SplitSeq(prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n <= 0 {
			return 0
		}
		return min(time.Duration(n)*time.Second, maxWait)
	}
	return 0
}

// etag names a representation: the row's version, by which edits are
// guarded, and a digest of the rest of what the caller sees. A request shows
// its grants and what the caller may do, which change without it.
func etag(version int64, shown any) string {
	return `"` + strconv.FormatInt(version, 10) + "-" + string(access.DigestOf(shown)[:12]) + `"`
}

// matches says whether one of the tags of If-None-Match is the tag.
func matches(header *string, tag string) bool {
	if header == nil {
		return false
	}
	for part := range strings.SplitSeq(*header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// ifMatch reads the version that an edit was made from. "*" leaves it open.
func ifMatch(header *string) (version int64, anyVersion bool, err error) {
	if header == nil {
		return 0, false, &access.Error{Code: access.PreconditionMissing, Message: "Send If-Match with the ETag that you last saw, so that nobody's change is lost."}
	}
	tag := strings.TrimSpace(*header)
	if tag == "*" {
		return 0, true, nil
	}
	text, ok := strings.CutPrefix(tag, `"`)
	if ok {
		text, ok = strings.CutSuffix(text, `"`)
	}
	text, _, _ = strings.Cut(text, "-")
	version, err = strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || version < 0 {
		return 0, false, &access.Error{
			Code: access.Invalid, Message: "The input cannot be taken as it is.",
			Details: []access.Detail{{Parameter: "If-Match", Detail: `is not an ETag of ours, such as "3"`}},
		}
	}
	return version, false, nil
}

// poll answers at once when there is something new, and else waits as long as
// the client prefers. look gives what there is and its tag.
func poll[T any](ctx context.Context, s *Server, stream string, known, prefer *string, look func() (T, string, error)) (v T, tag string, fresh bool, err error) {
	v, tag, err = look()
	wait := time.Duration(0)
	if prefer != nil {
		wait = waitOf(*prefer)
	}
	if err != nil || !matches(known, tag) || wait == 0 {
		return v, tag, err == nil && !matches(known, tag), err
	}
	w, err := s.hub.watch(callOf(ctx).caller.ID)
	if err != nil {
		return v, tag, false, err
	}
	defer w.close()
	if err := s.extend(ctx, wait+answerTimeout); err != nil {
		return v, tag, false, err
	}
	s.leave(ctx)
	over := time.NewTimer(wait)
	defer over.Stop()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case hint := <-w.hints:
			if !concerns(hint, stream) {
				continue
			}
		case <-w.missed:
		case <-again.C:
		case <-over.C:
			return v, tag, false, nil
		case <-s.hub.closed:
			return v, tag, false, nil
		case <-ctx.Done():
			return v, tag, false, ctx.Err()
		}
		if err := s.enter(ctx); err != nil {
			return v, tag, false, err
		}
		v, tag, err = look()
		s.leave(ctx)
		if err != nil || !matches(known, tag) {
			return v, tag, err == nil, err
		}
	}
}

// concerns says whether a hint may be about the object: about it, or, for a
// request, about a grant.
func concerns(hint, stream string) bool {
	return hint == stream || strings.HasPrefix(stream, "request:") && strings.HasPrefix(hint, "grant:")
}
