package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// ListCatalog lists what the caller may ask for.
func (s operations) ListCatalog(ctx context.Context, in api.ListCatalogRequestObject) (api.ListCatalogResponseObject, error) {
	who, p := callOf(ctx).caller, in.Params
	if p.Resource != nil {
		return s.oneOfCatalog(ctx, *p.Resource)
	}
	page, err := s.Broker.Catalog(ctx, who, broker.CatalogFilter{
		Q: or(p.Q), Type: or(p.Type), Requestable: or(p.Requestable), Limit: limitOf(p.Limit), Cursor: or(p.Cursor),
	})
	if err != nil {
		return nil, err
	}
	return api.ListCatalog200JSONResponse{Items: each(page.Items, catalogEntry), NextCursor: page.Next}, nil
}

// oneOfCatalog is a list of the one resource, empty where it is not to be
// known of.
func (s operations) oneOfCatalog(ctx context.Context, resource string) (api.ListCatalogResponseObject, error) {
	entry, err := s.Broker.CatalogEntry(ctx, callOf(ctx).caller, resource)
	if access.IsCode(err, access.NotFound) {
		return api.ListCatalog200JSONResponse{Items: []api.CatalogEntry{}}, nil
	}
	if err != nil {
		return nil, err
	}
	return api.ListCatalog200JSONResponse{Items: []api.CatalogEntry{catalogEntry(entry)}}, nil
}

// GetCatalogEntry gives one resource.
func (s operations) GetCatalogEntry(ctx context.Context, in api.GetCatalogEntryRequestObject) (api.GetCatalogEntryResponseObject, error) {
	entry, err := s.Broker.CatalogEntry(ctx, callOf(ctx).caller, in.Resource)
	if err != nil {
		return nil, err
	}
	return api.GetCatalogEntry200JSONResponse(catalogEntry(entry)), nil
}

func catalogEntry(e broker.CatalogEntry) api.CatalogEntry {
	return api.CatalogEntry{
		Resource: e.Resource, Type: e.Type, Title: e.Title, Description: e.Description,
		Labels: e.Labels, Connector: e.Connector, Offers: each(e.Offers, catalogOffer),
	}
}

func catalogOffer(o broker.CatalogOffer) api.CatalogOffer {
	return api.CatalogOffer{
		Role: o.Role, Title: o.RoleTitle, Risk: o.Risk, Contract: o.Contract, Description: o.Description,
		MinDurationSeconds: int64(o.MinDuration), DefaultDurationSeconds: int64(o.DefaultDuration), MaxDurationSeconds: int64(o.MaxDuration),
		Stages: each(o.Stages, contractStage), Auto: o.Auto != "", AutoRule: o.Auto, AutoMaxDurationSeconds: int64(o.AutoMaxDuration),
		JustificationMinLength: o.MinReason, TicketRequired: o.TicketRequired, TicketPattern: o.TicketPattern,
	}
}

func contractStage(s broker.StageView) api.ContractStage {
	return api.ContractStage{
		Name: s.Name, Roles: s.Roles,
		Seats: each(s.Seats, func(x broker.SeatView) api.ContractSeat { return api.ContractSeat{From: x.From, Count: x.Count} }),
	}
}
