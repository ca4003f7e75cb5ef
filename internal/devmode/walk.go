package devmode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// walkGrant is how long the walk's access lasts. It must leave time to
// connect on a slow machine, and nobody wants to watch longer.
const walkGrant = 12 * time.Second

// Walk plays the main job by itself, through the API with OpenID tokens and
// with a database client, and fails at the first step that does not hold.
func Walk(ctx context.Context, p *Parts, say func(format string, args ...any)) error {
	w := &walk{parts: p, say: say, began: time.Now()}
	for _, person := range []struct {
		name string
		to   **client
	}{{"ada", &w.ada}, {"grace", &w.grace}, {"mary", &w.mary}} {
		c, err := p.client(person.name)
		if err != nil {
			return err
		}
		*person.to = c
	}
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Ada has no access: the database refuses her", w.refusedBefore},
		{"Ada asks for pg/readonly on the production orders, and says why", w.ask},
		{"She cannot approve it herself", w.selfApproval},
		{"Grace, who owns the databases, approves", w.approve},
		{"The broker makes the access real and reads it back", w.activate},
		{"A database client connecting as Ada works", w.connect},
		{"Time is up while her session is open: the session is cut", w.cut},
		{"The same client, with the same password, is refused", w.refusedAfter},
		{"The grant is over, verified on the target", w.over},
		{"The audit log shows every step", w.audit},
	} {
		w.say("%s %s", bold(fmt.Sprintf("%2d", i+1)), bold(step.title))
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("step %d, %q, did not hold: %w", i+1, step.title, err)
		}
	}
	w.say("\nEvery step held, in %s.", time.Since(w.began).Round(100*time.Millisecond))
	return nil
}

type walk struct {
	parts *Parts
	say   func(format string, args ...any)
	began time.Time

	ada, grace, mary *client

	request   apiRequest
	grant     apiGrant
	dsn       string
	session   *pgx.Conn
	expiresAt time.Time
}

// What the walk reads of the API's answers.
type (
	apiRequest struct {
		ID          string     `json:"id"`
		Number      int64      `json:"number"`
		State       string     `json:"state"`
		RequestHash string     `json:"request_hash"`
		Grants      []apiGrant `json:"grants"`
	}
	apiGrant struct {
		ID        string    `json:"id"`
		State     string    `json:"state"`
		EndReason string    `json:"end_reason"`
		ExpiresAt time.Time `json:"expires_at"`
		EndedAt   time.Time `json:"ended_at"`
	}
	apiCredentials struct {
		Username string `json:"username"`
		DSN      string `json:"dsn"`
	}
	apiEvent struct {
		Type   string    `json:"type"`
		Stream string    `json:"stream"`
		Actor  string    `json:"actor"`
		At     time.Time `json:"at"`
	}
)

func (w *walk) note(format string, args ...any) { w.say("     "+format, args...) }

func (w *walk) refusedBefore(ctx context.Context) error {
	dsn := strings.Replace(w.parts.TargetDSN, "postgres://", "postgres://ada:guess@", 1)
	return w.mustBeRefused(ctx, dsn)
}

func (w *walk) ask(ctx context.Context) error {
	body := map[string]any{
		"items":    []map[string]string{{"role": "pg/readonly", "resource": "postgres/database:prod/orders"}},
		"duration": fmt.Sprintf("%ds", int(walkGrant.Seconds())),
		"reason":   "Order 4711 is stuck between paid and shipped; reading its rows.",
	}
	if err := w.ada.call(ctx, http.MethodPost, "/requests", body, &w.request); err != nil {
		return err
	}
	w.note("request #%d is %s for %s", w.request.Number, w.request.State, walkGrant)
	if w.request.State != "pending" {
		return fmt.Errorf("the contract wants an approval, but the request is %s", w.request.State)
	}
	return nil
}

func (w *walk) vote(ctx context.Context, as *client) error {
	return as.call(ctx, http.MethodPost, "/requests/"+w.request.ID+"/votes", map[string]any{
		"decision": "approve", "reason": "Known incident.", "request_hash": w.request.RequestHash,
	}, &w.request)
}

func (w *walk) selfApproval(ctx context.Context) error {
	var refused *apiError
	err := w.vote(ctx, w.ada)
	if !errors.As(err, &refused) || refused.Code != "self_approval" {
		return fmt.Errorf("a vote on her own request must be refused, but: %w", orNothing(err))
	}
	w.note("%d %s: %s", refused.Status, refused.Code, refused.Detail)
	return nil
}

func (w *walk) approve(ctx context.Context) error {
	if err := w.vote(ctx, w.grace); err != nil {
		return err
	}
	w.note("request #%d is %s", w.request.Number, w.request.State)
	if w.request.State != "approved" || len(w.request.Grants) != 1 {
		return fmt.Errorf("one approval is enough, but the request is %s with %d grants", w.request.State, len(w.request.Grants))
	}
	w.grant = w.request.Grants[0]
	return nil
}

func (w *walk) activate(ctx context.Context) error {
	if err := w.until(ctx, 10*time.Second, "active"); err != nil {
		return err
	}
	w.expiresAt = w.grant.ExpiresAt
	w.note("active; ends at %s", w.expiresAt.Format("15:04:05.000"))
	return nil
}

func (w *walk) connect(ctx context.Context) error {
	var cred apiCredentials
	if err := w.ada.call(ctx, http.MethodGet, "/grants/"+w.grant.ID+"/credentials", nil, &cred); err != nil {
		return err
	}
	w.dsn = cred.DSN
	session, err := pgx.Connect(ctx, cred.DSN)
	if err != nil {
		return fmt.Errorf("connecting as %s: %w", cred.Username, err)
	}
	w.session = session
	var rows int
	if err := session.QueryRow(ctx, "select count(*) from prod_orders.orders").Scan(&rows); err != nil {
		return fmt.Errorf("reading as %s: %w", cred.Username, err)
	}
	w.note("select count(*) from prod_orders.orders: %d rows", rows)
	_, err = session.Exec(ctx, "delete from prod_orders.orders")
	if err == nil {
		return errors.New("the role is for reading, but a delete went through")
	}
	w.note("delete from prod_orders.orders: %s", pgMessage(err))
	return nil
}

// cut keeps the session busy past the end, as a person in the middle of
// something would.
func (w *walk) cut(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Until(w.expiresAt)+15*time.Second)
	defer cancel()
	for {
		_, err := w.session.Exec(ctx, "select count(*) from prod_orders.orders, pg_sleep(0.2)")
		if err == nil {
			continue
		}
		now := time.Now()
		if now.Before(w.expiresAt) {
			return fmt.Errorf("the session was cut %s before its end: %w", w.expiresAt.Sub(now), err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the session outlived its grant: %w", ctx.Err())
		}
		w.note("%s, %s after the end", pgMessage(err), now.Sub(w.expiresAt).Round(time.Millisecond))
		return nil
	}
}

func (w *walk) refusedAfter(ctx context.Context) error { return w.mustBeRefused(ctx, w.dsn) }

func (w *walk) over(ctx context.Context) error {
	if err := w.until(ctx, 15*time.Second, "ended"); err != nil {
		return err
	}
	if w.grant.EndReason != "expired" {
		return fmt.Errorf("the end reason must be expired, but is %s", w.grant.EndReason)
	}
	w.note("ended (%s), verified gone %s after the end", w.grant.EndReason, w.grant.EndedAt.Sub(w.expiresAt).Round(time.Millisecond))
	return nil
}

func (w *walk) audit(ctx context.Context) error {
	var timeline struct {
		Items []apiEvent `json:"items"`
	}
	if err := w.mary.call(ctx, http.MethodGet, "/requests/"+w.request.ID+"/timeline", nil, &timeline); err != nil {
		return err
	}
	var types []string
	for _, e := range timeline.Items {
		types = append(types, e.Type)
		w.note("%s  %-24s %s", e.At.Local().Format("15:04:05.000"), e.Type, e.Actor[strings.LastIndexByte(e.Actor, '|')+1:])
	}
	for _, want := range []string{
		"request.submitted", "vote.cast", "request.approved", "grant.scheduled", "grant.provisioning", "entitlement.ensured",
		"grant.activated", "grant.credentials_issued", "grant.revoking", "entitlement.removed", "grant.ended",
	} {
		if !slices.Contains(types, want) {
			return fmt.Errorf("the log has no %s", want)
		}
	}
	return nil
}

// until polls the grant until it reaches the state.
func (w *walk) until(ctx context.Context, patience time.Duration, state string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err := w.ada.call(ctx, http.MethodGet, "/grants/"+w.grant.ID, nil, &w.grant); err != nil {
			return err
		}
		if w.grant.State == state {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the grant should be %s after %s, but is %s", state, patience, w.grant.State)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (w *walk) mustBeRefused(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err == nil {
		_ = conn.Close(ctx)
		return errors.New("the database let her in")
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return fmt.Errorf("the database did not refuse her, it failed: %w", err)
	}
	w.note("%s", refused.Message)
	return nil
}

func pgMessage(err error) string {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("it was taken")
	}
	return err
}
