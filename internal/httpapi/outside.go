package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/web"
)

// health says that the process runs.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jsonType, api.Health{Status: "ok"})
}

// probeTimeout bounds each check of readiness.
const probeTimeout = time.Second

// ready says whether requests should be sent here. Targets are no part of it:
// one that is down must not take the broker out.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	checks := []api.Check{
		{Name: "database", OK: true},
		{Name: "accepting", OK: !s.draining.Load()},
	}
	if err := s.Store.Ping(ctx); err != nil {
		checks[0] = api.Check{Name: "database", Detail: "does not answer"}
		callOf(r.Context()).err = err
	}
	if !checks[1].OK {
		checks[1].Detail = "is shutting down"
	}
	problem := &access.Error{Code: access.NotReady, Message: "This instance takes no requests now."}
	for _, c := range checks {
		if !c.OK {
			problem.Details = append(problem.Details, access.Detail{Detail: c.Name + " " + c.Detail})
		}
	}
	if len(problem.Details) > 0 {
		s.problem(w, r, problem)
		return
	}
	answer := api.Health{Status: "ok"}
	if r.URL.Query().Has("verbose") {
		answer.Checks = checks
	}
	writeJSON(w, http.StatusOK, jsonType, answer)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jsonType, api.Version{
		Version: s.Version.Version, Revision: s.Version.Revision, GoVersion: s.Version.GoVersion,
	})
}

// discovery is what a client needs to know to sign in.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	d := s.Discovery
	if d.Scopes == nil {
		d.Scopes = []string{}
	}
	writeJSON(w, http.StatusOK, jsonType, api.Discovery{
		API: base, Issuer: d.Issuer, ClientID: d.ClientID, Scopes: d.Scopes, Audience: d.Audience,
	})
}

func (s *Server) contractSchema(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/schema+json")
	_, _ = w.Write(contract.Schema()) // the client may be gone
}

// landing is the first page. It is rendered here, so it needs no script.
func (s *Server) landing(w http.ResponseWriter, r *http.Request) {
	page := web.Page{API: base, Version: s.Version.Version}
	if caller, err := s.Auth.Authenticate(r); err == nil {
		callOf(r.Context()).caller = caller
		page.Name = caller.DisplayName()
		page.ID = string(caller.ID)
		page.Session = !caller.SessionID.IsZero()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := web.Render(w, page); err != nil {
		callOf(r.Context()).err = err
	}
}

func (s *Server) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(web.Style) // the client may be gone
}
