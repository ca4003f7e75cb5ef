package broker

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestSubmitTwice(t *testing.T) {
	t.Parallel()

	t.Run("IdenticalWhilePendingIsGivenBack", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := s.submit(t, s.alice, ordersAdmin)

		out, err := s.b.Submit(t.Context(), s.alice, ask(ordersAdmin), Key{})

		require.NoError(t, err)
		require.True(t, out.Existing)
		require.False(t, out.Replayed)
		require.Equal(t, first, out.Request)
		require.Equal(t, []string{"request.submitted alice"}, s.wrote(t).Audit, "nothing happened")
	})
	t.Run("WithOtherWordsItIsRefused", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.submit(t, s.alice, ordersAdmin)
		reason, ticket := ask(ordersAdmin), ask(ordersAdmin)
		reason.Reason = "said in other words"
		ticket.Ticket = "OPS-2"

		for _, again := range []access.Ask{reason, ticket} {
			_, err := s.b.Submit(t.Context(), s.alice, again, Key{Key: "k", BodyHash: access.DigestOf(again)})
			require.Equal(t, &access.Error{
				Code: access.DuplicateRequest, Current: "pending",
				Message: "You have asked for the same already, with another reason or ticket: request #1. Go on with it, or withdraw it first.",
			}, access.AsError(err))
		}
		require.Len(t, s.wrote(t).Requests, 1)
	})
	t.Run("AnotherPersonsIsAnother", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		require.NotEqual(t, s.submit(t, s.alice, ordersAdmin).ID, s.submit(t, s.alan, ordersAdmin).ID)
	})
	t.Run("AfterItEndedItIsANewOne", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := s.submit(t, s.alice, ordersAdmin)
		_, err := s.b.Withdraw(t.Context(), s.alice, first.ID)
		require.NoError(t, err)

		require.NotEqual(t, first.ID, s.submit(t, s.alice, ordersAdmin).ID)
		require.Equal(t, []string{"alice withdrawn withdraw 2", "alice pending submit 1"}, s.wrote(t).Requests)
	})
	t.Run("AfterItsTimeItIsANewOne", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := s.submit(t, s.alice, ordersAdmin)
		s.clock.pass(4 * time.Hour) // and nothing has swept it yet

		require.NotEqual(t, first.ID, s.submit(t, s.alice, ordersAdmin).ID)
		require.Equal(t, []string{"alice expired expire 2", "alice pending submit 1"}, s.wrote(t).Requests)
	})
	t.Run("OtherStartIsAnother", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := s.submit(t, s.alice, ordersAdmin)
		tomorrow := ask(ordersAdmin)
		tomorrow.StartAt = noon.Add(time.Hour)

		out, err := s.b.Submit(t.Context(), s.alice, tomorrow, Key{})

		require.NoError(t, err)
		require.NotEqual(t, first.ID, out.Request.ID)
	})
}

func TestSubmitWithKey(t *testing.T) {
	t.Parallel()
	key := Key{Key: "k-1", BodyHash: access.DigestOf("body")}

	t.Run("Replayed", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first, err := s.b.Submit(t.Context(), s.alice, ask(ordersRead), key)
		require.NoError(t, err)

		second, err := s.b.Submit(t.Context(), s.alice, ask(ordersRead), key)

		require.NoError(t, err)
		require.Equal(t, Submitted{Request: first.Request, Replayed: true}, second)
		require.Len(t, s.wrote(t).Requests, 1)
	})
	t.Run("ARefusalIsReplayedAsARefusal", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		_, first := s.b.Submit(t.Context(), s.mallory, ask(ordersRead), key)

		out, second := s.b.Submit(t.Context(), s.mallory, ask(ordersRead), key)

		require.True(t, out.Replayed)
		require.Equal(t, access.AsError(first), access.AsError(second))
		require.Len(t, s.wrote(t).Requests, 1)
	})
	t.Run("OfARequestThatExisted", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := s.submit(t, s.alice, ordersAdmin)
		found, err := s.b.Submit(t.Context(), s.alice, ask(ordersAdmin), key)
		require.NoError(t, err)
		require.Equal(t, Submitted{Request: first, Existing: true}, found)

		again, err := s.b.Submit(t.Context(), s.alice, ask(ordersAdmin), key)

		require.NoError(t, err)
		require.Equal(t, Submitted{Request: first, Replayed: true, Existing: true}, again)
	})
	t.Run("OtherBody", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		_, err := s.b.Submit(t.Context(), s.alice, ask(ordersRead), key)
		require.NoError(t, err)

		_, err = s.b.Submit(t.Context(), s.alice, ask(ordersAdmin), Key{Key: key.Key, BodyHash: access.DigestOf("other")})

		require.Equal(t, access.KeyReused, access.AsError(err).Code)
		require.Len(t, s.wrote(t).Requests, 1)
	})
	t.Run("OfAnotherPersonIsAnotherKey", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		for _, who := range []access.Caller{s.alice, s.alan} {
			out, err := s.b.Submit(t.Context(), who, ask(ordersRead), key)
			require.NoError(t, err)
			require.False(t, out.Replayed)
		}
		require.Len(t, s.wrote(t).Requests, 2)
	})
	t.Run("AFaultKeepsNoKey", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		_, err := s.b.Submit(t.Context(), s.alice, access.Ask{}, key)
		require.Equal(t, access.Invalid, access.AsError(err).Code)

		out, err := s.b.Submit(t.Context(), s.alice, ask(ordersRead), key)

		require.NoError(t, err)
		require.False(t, out.Replayed)
	})
}

// TestSubmitAtOnce posts the same thing twenty times at the same time.
func TestSubmitAtOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		item access.Item
		key  Key
	}{
		"PendingWithoutKey":  {ordersAdmin, Key{}},
		"ApprovedWithoutKey": {ordersRead, Key{}},
		"WithKey":            {ordersRead, Key{Key: "k", BodyHash: access.DigestOf("body")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			var (
				wg      sync.WaitGroup
				outs    [20]Submitted
				errs    [20]error
				fresh   int
				request = map[access.RequestID]bool{}
			)

			for i := range outs {
				wg.Go(func() { outs[i], errs[i] = s.b.Submit(t.Context(), s.alice, ask(tt.item), tt.key) })
			}
			wg.Wait()

			for i, out := range outs {
				require.NoError(t, errs[i])
				request[out.Request.ID] = true
				if !out.Existing && !out.Replayed {
					fresh++
				}
			}
			require.Equal(t, 1, fresh, "one of them made it")
			require.Len(t, request, 1, "all were told of the same one")
			require.Len(t, s.wrote(t).Requests, 1)
		})
	}
}

func TestSubmitTakesTheLastPlaceOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var (
		wg   sync.WaitGroup
		errs [6]error
	)

	for i := range errs {
		who := []access.Caller{s.alice, s.alan}[i%2]
		a := ask(queueRead)
		a.Duration += access.Seconds(i) // not identical
		wg.Go(func() { _, errs[i] = s.b.Submit(t.Context(), who, a, Key{}) })
	}
	wg.Wait()

	refused := 0
	for _, err := range errs {
		if access.IsCode(err, access.PolicyRefused) {
			require.Equal(t, access.LimitReached, access.AsError(err).Reasons[0].Code)
			refused++
		}
	}
	require.Equal(t, 5, refused)
	require.Len(t, s.wrote(t).Grants, 1)
}
