package idp

import (
	"maps"
	"slices"
)

// Faults make the provider's next tokens wrong, for tests.
type Faults struct {
	Expired  bool   // an hour ago
	Audience string // this one in place of the right ones
	KeyID    string // a key id that no key has
	// Claims replace or add claims about the person; a nil value leaves the
	// claim out.
	Claims map[string]any
}

// Overage is what a provider sends that has too many groups for a token.
func Overage() Faults {
	return Faults{Claims: map[string]any{
		"groups":         nil,
		"_claim_names":   map[string]string{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example.com/groups"}},
	}}
}

// bend changes claims about a person.
func (f Faults) bend(claims map[string]any) {
	maps.Copy(claims, f.Claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
}

// Break makes tokens from now on wrong in these ways; none mends them.
func (p *Provider) Break(f Faults) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.faults = f
}

// RotateKey signs with a new key from now on. Unless keep is set, tokens of
// the older keys stop being valid.
func (p *Provider) RotateKey(keep bool) error { return p.storage.keys.rotate(keep) }

// SetGroups changes what a person belongs to.
func (p *Provider) SetGroups(name string, groups ...string) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	for i := range p.storage.people {
		if p.storage.people[i].Name == name {
			p.storage.people[i].Groups = groups
		}
	}
}

// Remove makes a person unknown, as when somebody leaves.
func (p *Provider) Remove(name string) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.people = slices.DeleteFunc(p.storage.people, func(person Person) bool { return person.Name == name })
}
