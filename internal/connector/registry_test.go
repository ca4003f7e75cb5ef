package connector_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	target := fake.New()
	r := connector.NewRegistry(map[string]connector.Entry{
		"b": {Type: "fake", Connector: target},
		"a": {Name: "not this", Type: "fake", Connector: target},
	})

	require.Equal(t, []string{"a", "b"}, r.Names())
	got, ok := r.Get("a")
	require.True(t, ok)
	require.Equal(t, connector.Entry{Name: "a", Type: "fake", Connector: target}, got)
	_, ok = r.Get("c")
	require.False(t, ok)
	r.Close()
}

func TestRegistryNil(t *testing.T) {
	t.Parallel()
	var r *connector.Registry

	require.Empty(t, r.Names())
	_, ok := r.Get("a")
	require.False(t, ok)
	r.Close()
}

func TestRegistryRefusesAnEntryWithoutConnector(t *testing.T) {
	t.Parallel()

	require.Panics(t, func() { connector.NewRegistry(map[string]connector.Entry{"a": {Type: "fake"}}) })
}
