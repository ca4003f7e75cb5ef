package idp

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// device is a sign-in by a code that is shown on another device.
type device struct {
	userCode string
	state    op.DeviceAuthorizationState
}

// StoreDeviceAuthorization begins one.
func (s *storage) StoreDeviceAuthorization(_ context.Context, client, deviceCode, userCode string, expires time.Time, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.devices, func(_ string, d *device) bool { return now.After(d.state.Expires) })
	if s.deviceBy(userCode) != nil {
		return op.ErrDuplicateUserCode
	}
	s.devices[deviceCode] = &device{userCode, op.DeviceAuthorizationState{
		ClientID: client, Audience: audience(client, s.faults), Scopes: scopes, Expires: expires,
	}}
	return nil
}

// GetDeviceAuthorizatonState is asked by the waiting device. An answer is
// given once. (The name is the library's.)
func (s *storage) GetDeviceAuthorizatonState(_ context.Context, client, deviceCode string) (*op.DeviceAuthorizationState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[deviceCode]
	if !ok || d.state.ClientID != client {
		return nil, errUnknown
	}
	if d.state.Done || d.state.Denied {
		delete(s.devices, deviceCode)
	}
	state := d.state
	return &state, nil
}

// deviceBy finds the sign-in that waits for an answer to a code.
func (s *storage) deviceBy(userCode string) *device {
	plain := func(code string) string {
		return strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(code)), "-", "")
	}
	for _, d := range s.devices {
		if plain(d.userCode) == plain(userCode) && !d.state.Done && !d.state.Denied && time.Now().Before(d.state.Expires) {
			return d
		}
	}
	return nil
}

// waiting says which client waits for an answer to a code.
func (s *storage) waiting(userCode string) (client string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deviceBy(userCode)
	if d == nil {
		return "", false
	}
	return d.state.ClientID, true
}

// answer lets the device have tokens of the person, or nobody's.
func (s *storage) answer(userCode, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deviceBy(userCode)
	if d == nil {
		return errUnknown
	}
	if name == "" {
		d.state.Denied = true
		return nil
	}
	if _, err := find(s.people, name); err != nil {
		return err
	}
	d.state.Done, d.state.Subject, d.state.AuthTime = true, name, time.Now()
	return nil
}
