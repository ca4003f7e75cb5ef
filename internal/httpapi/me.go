package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// GetMe says who the caller is.
func (s operations) GetMe(ctx context.Context, _ api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	who := callOf(ctx).caller
	me := api.Me{
		ID: who.ID, Issuer: who.ID.Issuer(), Subject: who.ID.Subject(),
		Name: who.DisplayName(), Email: who.Email, Username: who.Username,
		Groups: list(who.Groups), GroupsKnown: who.GroupsKnown,
		Roles:    each(who.Roles, func(r access.AppRole) api.MeRoles { return api.MeRoles(r) }),
		AuthTime: who.AuthTime, Via: api.MeViaToken, SessionID: who.SessionID,
	}
	if !who.SessionID.IsZero() {
		me.Via = api.MeViaSession
	}
	return api.GetMe200JSONResponse(me), nil
}

// ListSessions lists the caller's browser sessions.
func (s operations) ListSessions(ctx context.Context, _ api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	who := callOf(ctx).caller
	sessions, err := s.Auth.Sessions(ctx, who)
	if err != nil {
		return nil, err
	}
	answer := api.SessionList{Items: []api.Session{}}
	for _, x := range sessions {
		answer.Items = append(answer.Items, api.Session{
			ID: x.ID, CreatedAt: x.CreatedAt, LastSeenAt: x.LastSeenAt, ExpiresAt: x.ExpiresAt,
			ClientAddr: x.ClientAddr, UserAgent: x.UserAgent, Current: x.ID == who.SessionID,
		})
	}
	return api.ListSessions200JSONResponse(answer), nil
}

// RevokeSession signs one of them out.
func (s operations) RevokeSession(ctx context.Context, in api.RevokeSessionRequestObject) (api.RevokeSessionResponseObject, error) {
	if err := s.Auth.RevokeSession(ctx, callOf(ctx).caller, in.SessionID); err != nil {
		return nil, err
	}
	return api.RevokeSession204Response{}, nil
}
