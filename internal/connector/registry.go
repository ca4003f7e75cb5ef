package connector

import (
	"maps"
	"slices"
)

// Entry is one configured connector.
type Entry struct {
	Name      string
	Type      string // such as postgres
	Connector Connector
}

// Registry is the connectors of the configuration. It never changes, so it
// may be used by many goroutines. A nil Registry has none.
type Registry struct{ entries map[string]Entry }

// NewRegistry makes a registry of the entries by their names. An entry
// without a name or a connector is a programmer's error.
func NewRegistry(entries map[string]Entry) *Registry {
	r := &Registry{entries: make(map[string]Entry, len(entries))}
	for name, e := range entries {
		if name == "" || e.Connector == nil {
			panic("connector: an entry needs a name and a connector: " + name)
		}
		e.Name = name
		r.entries[name] = e
	}
	return r
}

// Get gives the connector of the name.
func (r *Registry) Get(name string) (Entry, bool) {
	if r == nil {
		return Entry{}, false
	}
	e, ok := r.entries[name]
	return e, ok
}

// Names gives the names in order.
func (r *Registry) Names() []string {
	if r == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(r.entries))
}

// Close gives back what the connectors hold open.
func (r *Registry) Close() {
	for _, name := range r.Names() {
		if c, ok := r.entries[name].Connector.(Closer); ok {
			c.Close()
		}
	}
}
