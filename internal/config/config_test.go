package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/config"
)

const minimal = `
database: {url: "postgres://app:hunter2@db/rampkeeper"}
http: {public_url: "https://access.example.com"}
oidc: {issuer: "https://login.example.com", client_id: rampkeeper}
`

func file(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestLoadTakesTheLastSource(t *testing.T) {
	t.Parallel()
	secret := file(t, "client-secret", "from a file\n", 0o600)
	path := file(t, "rampkeeper.yaml", minimal+`
broker: {poll: 2s, slots: 3}
connectors:
  - name: pg
    type: postgres
    postgres: {url: "postgres://target", allowed_roles: ["ro_*"], create_logins: true}
`, 0o600)

	c, err := config.Load(config.Input{
		File:    path,
		Environ: []string{"RAMPKEEPER_BROKER__SLOTS=5", "RAMPKEEPER_OIDC__CLIENT_SECRET_FILE=" + secret, "RAMPKEEPER_ROLES__AUDITOR=mary, joan", "HOME=/"},
		Flags:   map[string]string{"broker.poll": "3s"},
	})

	require.NoError(t, err)
	require.Equal(t, 3*time.Second, c.Broker.Poll, "the flag wins over the file")
	require.Equal(t, 5, c.Broker.Slots, "the environment wins over the file")
	require.Equal(t, 5*time.Second, c.Broker.Skew, "the default stands")
	require.Equal(t, "from a file", c.OIDC.ClientSecret.Reveal())
	require.Equal(t, []string{"mary", "joan"}, c.Roles.Auditor)
	require.Equal(t, []config.Connector{{
		Name: "pg", Type: "postgres",
		Postgres: config.Postgres{URL: "postgres://target", AllowedRoles: []string{"ro_*"}, CreateLogins: true},
	}}, c.Connectors)

	var printed bytes.Buffer
	require.NoError(t, c.Print(&printed))
	require.Contains(t, printed.String(), "# flag")
	require.Contains(t, printed.String(), "# environment RAMPKEEPER_BROKER__SLOTS")
	require.Contains(t, printed.String(), "# default")
	require.NotContains(t, printed.String(), "hunter2")
	require.NotContains(t, printed.String(), "from a file")
	require.NotContains(t, printed.String(), "postgres://target")
}

func TestLoadNamesEveryFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		environ    []string
		want       []string
	}{
		{"UnknownKeyWithLine", minimal + "brokr:\n  slots: 1\n", nil, []string{":5: unknown setting brokr"}},
		{"DidYouMean", minimal + "broker:\n  slot: 1\n", nil, []string{":6: unknown setting broker.slot; did you mean broker.slots?"}},
		{"SetTwice", minimal + "metrics: {listen: a}\nmetrics: {listen: b}\n", nil, []string{":6: metrics is set twice, first in line 5"}},
		{"WrongType", minimal + "broker: {slots: many}\n", nil, []string{"slots"}},
		{"Missing", "", nil, []string{"database.url is missing", "http.public_url must be", "oidc.issuer is missing", "oidc.client_id is missing"}},
		{"UnknownVariable", minimal, []string{"RAMPKEEPER_HTTP__LISTENN=:1"}, []string{"environment RAMPKEEPER_HTTP__LISTENN: unknown setting http.listenn; did you mean http.listen?"}},
		{"PlainHTTP", strings.ReplaceAll(minimal, "https://access", "http://access"), nil, []string{"browsers drop the session cookie"}},
		{"ConnectorFault", minimal + "connectors:\n  - {name: a, type: postgres, postgres: {url: x}}\n  - {name: a, type: oracle}\n", nil, []string{
			"connectors[0].postgres.allowed_roles is missing", "connectors[1].name a is used twice", "connectors[1].type must be postgres",
		}},
		{"ConnectorUnknownKey", minimal + "connectors:\n  - nme: a\n", nil, []string{":6: unknown setting nme; did you mean name? (in connectors[0])"}},
		{"NotYAML", "a: [", nil, []string{"rampkeeper.yaml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Input{File: file(t, "rampkeeper.yaml", tt.yaml, 0o600), Environ: tt.environ})
			require.Error(t, err)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestSecretFileThatEverybodyCanReadIsRefused(t *testing.T) {
	t.Parallel()
	secret := file(t, "url", "postgres://", 0o644)
	_, err := config.Load(config.Input{Environ: []string{"RAMPKEEPER_DATABASE__URL_FILE=" + secret}})
	require.ErrorContains(t, err, "chmod o-r "+secret)
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Input{File: filepath.Join(t.TempDir(), "none.yaml")})
	require.ErrorContains(t, err, "there is no such file")
}

// The example that is shipped must be one that the server takes, but for the
// secret files, which exist only where it is installed.
func TestShippedExample(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../deploy/rampkeeper.example.yaml")
	require.NoError(t, err)
	secret := file(t, "secret", "postgres://db/rampkeeper", 0o600)
	var lines []string
	for line := range strings.Lines(string(raw)) {
		if before, _, ok := strings.Cut(line, "_file: "); ok {
			line = before + "_file: " + secret + "\n"
		}
		lines = append(lines, line)
	}
	_, err = config.Load(config.Input{File: file(t, "example.yaml", strings.Join(lines, ""), 0o600)})
	require.NoError(t, err)
}
