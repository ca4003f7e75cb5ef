package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// ids are well-formed ids of nothing.
var ids = strings.NewReplacer(
	"{request_id}", "req_01m843dj1xftgsy5stz96vwa7j", "{grant_id}", "grt_01m843dj1xftgsy5stz96vwa7j",
	"{decision_id}", "dec_01m843dj1xftgsy5stz96vwa7j", "{session_id}", "ses_01m843dj1xftgsy5stz96vwa7j",
	"{event_id}", "evt_01m843dj1xftgsy5stz96vwa7j",
	"{resource}", "nothing:here%2Fat%2Fall", "{name}", "nothing", "{connector}", "nothing",
)

// apiOperations gives the method and path of every operation under /api/v1.
func (s *scene) apiOperations(visit func(method, path string, op *operation)) {
	for key, op := range s.spec.operations {
		method, path, _ := strings.Cut(key, " ")
		if s.spec.doc.Paths.Value(path).Servers == nil {
			visit(method, base+path, op)
		}
	}
}

// Every operation answers bad calls with problems.
func TestEveryOperationRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	visited := 0
	s.apiOperations(func(method, template string, op *operation) {
		visited++
		path := ids.Replace(template)
		for name, token := range map[string]part{
			"nobody": func(*scene, *http.Request) {}, "any bearer": with("Authorization", "Bearer x"),
			"another scheme": with("Authorization", "Basic YTpi"), "an empty cookie": with("Cookie", "__Host-rampkeeper="),
		} {
			a := s.call(method, path, token)
			require.Equal(t, http.StatusUnauthorized, a.status, "%s %s as %s", method, path, name)
			require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
		}
		s.call("PATCH", path, as("alice")).code(t, http.StatusMethodNotAllowed, methodNotAllowed)

		p := s.call(method, path+"?bogus=1", as("alice"), valid(op)).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "bogus", p.Errors[0].Parameter, template)

		s.call(method, path, as("alice"), valid(op), with("Content-Encoding", "gzip")).code(t, http.StatusUnsupportedMediaType, access.UnsupportedMedia)
		if len(op.bodyTypes) == 0 {
			s.call(method, path, as("alice"), body(`{"actor":"somebody else"}`)).code(t, http.StatusBadRequest, access.Invalid)
			return
		}
		s.call(method, path, as("alice"), raw("text/plain", "{}")).code(t, http.StatusUnsupportedMediaType, access.UnsupportedMedia)
		s.call(method, path, as("alice"), raw("application/json; charset=utf-16", "{}")).code(t, http.StatusUnsupportedMediaType, access.UnsupportedMedia)
		for _, bad := range []string{`{`, `[]`, `"x"`, `{} {}`, `{"bogus":1}`, `{"a":1,"a":2}`, "\xff"} {
			s.call(method, path, as("alice"), body(bad)).code(t, http.StatusBadRequest, access.Invalid)
		}
		if op.bodyRequired {
			s.call(method, path, as("alice")).code(t, http.StatusBadRequest, access.Invalid)
		}
	})
	require.Greater(t, visited, 30)
}

// valid gives the operation the body it wants, or one that is as good as any.
func valid(op *operation) part {
	if len(op.bodyTypes) == 0 {
		return func(*scene, *http.Request) {}
	}
	return body("{}")
}

// An id of nothing, an id of somebody else's and a malformed one.
func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apiOperations(func(method, template string, op *operation) {
		if !strings.Contains(template, "{") {
			return
		}
		parts := []part{as("oprah"), with("If-Match", `"1"`)}
		if len(op.bodyTypes) > 0 {
			parts = append(parts, body(map[string]any{
				"castVote":    map[string]any{"decision": "deny", "reason": "no", "request_hash": strings.Repeat("0", 64)},
				"attestGrant": map[string]any{"evidence": "the target is gone"},
			}[op.id]))
			if body := map[string]string{
				"shortenGrant": `{"duration":"5m"}`, "extendGrant": `{"duration":"5m"}`, "releaseGrant": `{}`, "revokeGrant": `{}`,
			}[op.id]; body != "" {
				parts[len(parts)-1] = raw(jsonType, body)
			}
		}
		s.call(method, ids.Replace(template), parts...).code(t, http.StatusNotFound, access.NotFound)

		if strings.Contains(template, "_id}") {
			at := strings.NewReplacer("{request_id}", "req_1", "{grant_id}", "grt_1", "{decision_id}", "1", "{session_id}", "1", "{event_id}", "0").Replace(template)
			p := s.call(method, at, parts...).code(t, http.StatusBadRequest, access.Invalid)
			require.Contains(t, template, p.Errors[0].Parameter)
		}
	})
}

// Every operation has an answer for those who may: the rest of the tests and
// this one together see each success answer that the specification describes.
func TestReads(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit("alice", "pg/admin")
	granted := s.submit("alan", "pg/readonly")
	require.Equal(t, access.Approved, granted.State)

	for _, name := range []string{"alice", "olive", "mallory", "carol", "audrey", "oprah"} {
		for _, path := range []string{
			"/me", "/me/sessions", "/catalog", "/catalog?requestable=true&q=ord&type=postgres%2Fdatabase", "/requests", "/approvals", "/grants", "/contracts", "/audit/events",
			"/requests?state=pending,approved&contract=changes&requester=me&since=2020-01-01T00:00:00Z", "/requests?approver=me", "/grants?live=false",
			"/audit/events?type=request.submitted&after=start&limit=5",
		} {
			s.call("GET", base+path, as(name)).is(t, http.StatusOK)
		}
	}
	for _, path := range []string{
		"/requests/" + req.ID.String(), "/requests/" + req.ID.String() + "/timeline", "/decisions/" + req.Decision.ID.String(),
		"/requests/" + granted.ID.String(), "/grants/" + granted.Grants[0].ID.String(), "/contracts/changes", "/policy/revisions",
		"/catalog/postgres%2Fdatabase:prod%2Forders", "/catalog?resource=postgres%2Fdatabase:prod%2Forders",
	} {
		s.call("GET", base+path, as("audrey")).is(t, http.StatusOK)
	}
	for _, path := range []string{"/connectors"} {
		s.call("GET", base+path, as("oprah")).is(t, http.StatusOK)
	}
	s.call("POST", base+"/connectors/target/test", as("oprah")).is(t, http.StatusOK)
	s.call("POST", base+"/decisions/explain", as("alice"), body(ask("pg/admin"))).is(t, http.StatusOK)
	s.call("POST", base+"/contracts/lint", as("alice"), yaml(policy)).is(t, http.StatusOK)
	s.call("POST", base+"/contracts/diff", as("carol"), yaml(policy)).is(t, http.StatusOK)
	s.call("POST", base+"/requests/"+req.ID.String()+"/withdraw", as("alice")).is(t, http.StatusOK)
	for _, path := range []string{
		"/", "/style.css", "/problems/not_found", "/healthz", "/readyz", "/readyz?verbose", "/version", "/openapi.json", "/openapi.yaml", "/schemas/contract.v1.json", "/.well-known/rampkeeper",
	} {
		s.call("GET", path).is(t, http.StatusOK)
	}
}

// Every route is in the specification, or is one of these.
func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	outside := []string{
		"GET /", "GET /style.css", "GET /openapi.yaml", "GET /openapi.json", "GET /schemas/contract.v1.json", "GET /problems/{code}",
		"GET /auth/login", "GET /auth/callback", "POST /auth/logout", "HEAD /healthz", "HEAD /readyz",
	}
	var routed, described []string
	require.NoError(t, chi.Walk(s.handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if key := method + " " + route; !slices.Contains(outside, key) {
			routed = append(routed, key)
		}
		return nil
	}))
	for key := range s.spec.operations {
		method, path, _ := strings.Cut(key, " ")
		if s.spec.doc.Paths.Value(path).Servers == nil {
			path = base + path
		}
		described = append(described, method+" "+path)
	}
	require.ElementsMatch(t, described, routed)
	for _, key := range routed {
		method, _, _ := strings.Cut(key, " ")
		require.Contains(t, []string{"GET", "POST", "DELETE"}, method, "an odd method: %s", key)
	}
}
