package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// revisionTag is the ETag of everything that a policy revision fixes.
func revisionTag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// ListContracts lists the contracts in force.
func (s operations) ListContracts(ctx context.Context, in api.ListContractsRequestObject) (api.ListContractsResponseObject, error) {
	page, err := s.Broker.Contracts(ctx, callOf(ctx).caller, broker.ContractFilter{Limit: limitOf(in.Params.Limit), Cursor: or(in.Params.Cursor)})
	if err != nil {
		return nil, err
	}
	body := api.ContractList{Items: []api.Contract{}, NextCursor: page.Next, Revision: page.Revision}
	for _, v := range page.Items {
		shown, err := contractOf(v)
		if err != nil {
			return nil, err
		}
		body.Items = append(body.Items, shown)
	}
	return api.ListContracts200JSONResponse{Body: body, Headers: api.ListContracts200ResponseHeaders{ETag: revisionTag(body.Revision)}}, nil
}

// GetContract gives one of them.
func (s operations) GetContract(ctx context.Context, in api.GetContractRequestObject) (api.GetContractResponseObject, error) {
	v, err := s.Broker.Contract(ctx, callOf(ctx).caller, in.Name)
	if err != nil {
		return nil, err
	}
	body, err := contractOf(v)
	if err != nil {
		return nil, err
	}
	return api.GetContract200JSONResponse{Body: body, Headers: api.GetContract200ResponseHeaders{ETag: revisionTag(v.Revision)}}, nil
}

func contractOf(v broker.ContractView) (api.Contract, error) {
	shown := api.Contract{
		Name: v.Name, Description: v.Description, State: api.ContractState(v.State), Revision: v.Revision, Digest: v.Digest,
		NotBefore: v.NotBefore, NotAfter: v.NotAfter,
		MinDurationSeconds: int64(v.MinDuration), DefaultDurationSeconds: int64(v.DefaultDuration), MaxDurationSeconds: int64(v.MaxDuration),
		Stages: each(v.Stages, contractStage), Auto: v.Auto, Source: v.Source,
		Permits: each(v.Permits, func(p contract.Permit) api.ContractPermit {
			return api.ContractPermit{Roles: list(p.Roles), Resources: each(p.Resources, func(x contract.Selector) api.ContractSelector {
				return api.ContractSelector{Type: x.Type, Path: x.Path, Labels: x.Labels}
			})}
		}),
	}
	if v.Full {
		if err := json.Unmarshal(v.Body, &shown.Document); err != nil {
			return api.Contract{}, fmt.Errorf("reading a contract's document: %w", err)
		}
	}
	return shown, nil
}

// policyFiles reads a set of documents from either kind of body.
func policyFiles(files *api.PolicyFiles, stream io.Reader) ([]contract.File, error) {
	if files == nil {
		b, err := io.ReadAll(stream)
		if err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
		return []contract.File{{Name: "policy.yaml", Data: b}}, nil
	}
	out := make([]contract.File, 0, len(files.Files))
	var faults []access.Detail
	seen := map[string]bool{}
	for i, f := range files.Files {
		at := "/files/" + strconv.Itoa(i) + "/name"
		if seen[f.Name] {
			faults = append(faults, access.Detail{Pointer: at, Detail: "is the name of two files"})
		}
		if what := access.CheckText(f.Name, access.MaxName); what != "" {
			faults = append(faults, access.Detail{Pointer: at, Detail: what})
		}
		seen[f.Name] = true
		out = append(out, contract.File{Name: f.Name, Data: []byte(f.Content)})
	}
	if len(faults) > 0 {
		return nil, faulty(faults)
	}
	return out, nil
}

// LintContracts reports what is wrong with a set.
func (s operations) LintContracts(_ context.Context, in api.LintContractsRequestObject) (api.LintContractsResponseObject, error) {
	files, err := policyFiles(in.JSONBody, in.Body)
	if err != nil {
		return nil, err
	}
	documents, problems := s.Broker.LintPolicy(files)
	return api.LintContracts200JSONResponse{
		OK: len(problems.Errors()) == 0, Documents: documents, Problems: each(problems, policyProblem),
	}, nil
}

func policyProblem(p contract.Problem) api.PolicyProblem {
	shown := api.PolicyProblem{
		Severity: api.PolicyProblemSeverityError, File: p.File, Line: p.Line, Column: p.Column,
		Pointer: p.Pointer, Message: p.Message, Fix: p.Fix,
	}
	if p.Warning {
		shown.Severity = api.PolicyProblemSeverityWarning
	}
	return shown
}

// DiffContracts compares a set with the policy in force.
func (s operations) DiffContracts(ctx context.Context, in api.DiffContractsRequestObject) (api.DiffContractsResponseObject, error) {
	files, err := policyFiles(in.JSONBody, in.Body)
	if err != nil {
		return nil, err
	}
	d, err := s.Broker.DiffPolicy(ctx, callOf(ctx).caller, files)
	if err != nil {
		return nil, err
	}
	return api.DiffContracts200JSONResponse{
		Body: api.PolicyDiff{
			Revision: d.Revision, Changed: !d.Empty(),
			Added: documents(d.Added), Updated: documents(d.Modified), Removed: documents(d.Removed),
		},
		Headers: api.DiffContracts200ResponseHeaders{ETag: revisionTag(d.Revision)},
	}, nil
}

func documents(refs []broker.DocumentRef) []string {
	return each(refs, func(r broker.DocumentRef) string { return r.Kind + "/" + r.Name })
}

// ApplyContracts puts a set in force.
func (s operations) ApplyContracts(ctx context.Context, in api.ApplyContractsRequestObject) (api.ApplyContractsResponseObject, error) {
	revision, anyRevision, err := ifMatch(in.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	files, err := policyFiles(in.JSONBody, in.Body)
	if err != nil {
		return nil, err
	}
	apply := broker.Apply{Files: files, IfMatch: &revision, Prune: or(in.Params.Prune), Note: or(in.Params.Note)}
	if anyRevision {
		apply.IfMatch = nil
	}
	a, err := s.Broker.ApplyPolicy(ctx, callOf(ctx).caller, apply)
	if err != nil {
		return nil, err
	}
	return api.ApplyContracts200JSONResponse{
		Body: api.Applied{
			Revision: a.Revision, Changed: a.Changed, Digest: a.Digest,
			Added: documents(a.Diff.Added), Updated: documents(a.Diff.Modified), Removed: documents(a.Diff.Removed),
			Warnings: each(a.Warnings, policyProblem),
		},
		Headers: api.ApplyContracts200ResponseHeaders{ETag: revisionTag(a.Revision)},
	}, nil
}

// ListRevisions lists the policy revisions.
func (s operations) ListRevisions(ctx context.Context, in api.ListRevisionsRequestObject) (api.ListRevisionsResponseObject, error) {
	page, err := s.Broker.Revisions(ctx, callOf(ctx).caller, limitOf(in.Params.Limit), or(in.Params.Cursor))
	if err != nil {
		return nil, err
	}
	return api.ListRevisions200JSONResponse{
		Items: each(page.Items, func(v broker.RevisionView) api.Revision {
			return api.Revision{
				Revision: v.Revision, Digest: v.Digest, Author: person(v.Author, v.AuthorName, ""), AppliedAt: v.AppliedAt, Note: v.Note,
			}
		}),
		NextCursor: page.Next,
	}, nil
}
