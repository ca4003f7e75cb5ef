package postgres

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"app_ro", "app_ro", true},
		{"app_ro", "app_rw", false},
		{"app_ro", "app_ro2", false},
		{"app_*", "app_ro", true},
		{"app_*", "app_", true},
		{"app_*", "xapp_ro", false},
		{"*_ro", "app_ro", true},
		{"*_ro", "app_ro_x", false},
		{"a*b*c", "a1b2c", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"ab*ba", "aba", false},
		{"*", "anything", true},
		{"app.ro", "appxro", false},
	} {
		require.Equal(t, tt.want, match(tt.pattern, tt.name), "%s %s", tt.pattern, tt.name)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"alice", "PUBLIC", "None", "current_user", `a"b`, "a;b", "ü", "pgx", "Pg_x", strings.Repeat("x", 63), "a b"} {
		require.Empty(t, checkName(good), good)
	}
	for _, bad := range []string{
		"", "public", "none", "pg_x", "rampkeeper_login", strings.Repeat("x", 64), strings.Repeat("ü", 32), "a\x00b", "a\nb", "a\x7fb", "a\u0085b", "\xff",
	} {
		require.NotEmpty(t, checkName(bad), bad)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"a""; DROP ROLE x; --"`, quote(`a"; DROP ROLE x; --`))
	require.Equal(t, `"rampkeeper_broker"`, quote("rampkeeper_broker"))
	for _, bad := range []string{"", "a\x00", "pg_\x00", strings.Repeat("x", 64)} {
		require.Panics(t, func() { quote(bad) }, bad)
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	alice := access.Subject{ID: "https://id.example|00u1", Name: "Alice", Username: "alice", Email: "alice.a@example.org"}
	for _, tt := range []struct {
		name    string
		account Account
		subject access.Subject
		want    string
		says    string
	}{
		{"Username", Account{}, alice, "alice", ""},
		{"Prefix", Account{From: FromUsername, Prefix: "rk_"}, alice, "rk_alice", ""},
		{"Email", Account{From: FromEmail}, alice, "alice.a", ""},
		{"Subject", Account{From: FromSubject}, alice, "00u1", ""},
		{"NoUsername", Account{}, access.Subject{ID: "i|s", Name: "Bob", Email: "bob@example.org"}, "", "gave no username"},
		{"NoEmail", Account{From: FromEmail}, access.Subject{ID: "i|s", Name: "Bob", Username: "bob"}, "", "gave no e-mail address"},
		{"EmailWithoutDomain", Account{From: FromEmail}, access.Subject{ID: "i|s", Email: "bob"}, "", "gave no e-mail address"},
		{"EmptyLocalPart", Account{From: FromEmail}, access.Subject{ID: "i|s", Email: "@example.org"}, "", "gave no email-local"},
		{"Blank", Account{}, access.Subject{ID: "i|s", Username: "alice "}, "", "blanks"},
		{"ZeroWidth", Account{}, access.Subject{ID: "i|s", Username: "al\u200bice"}, "", "invisible"},
		{"Reserved", Account{}, access.Subject{ID: "i|s", Username: "public"}, "", "reserves"},
		{"TooLong", Account{Prefix: "x"}, access.Subject{ID: "i|s", Username: strings.Repeat("y", 63)}, "", "64 bytes"},
		{"PrefixMakesItReserved", Account{Prefix: "pg"}, access.Subject{ID: "i|s", Username: "_alice"}, "", "reserves"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := New(Config{Name: "orders", URL: "postgres://localhost/x", Allowed: []string{"*"}, Account: tt.account})
			require.NoError(t, err)
			defer c.Close()

			got, err := c.Account(tt.subject)

			require.Equal(t, tt.want, got)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, access.IsCode(err, access.Invalid))
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	good := Config{Name: "orders", URL: "postgres://u:canary-secret@localhost/x", Allowed: []string{"app_*"}}
	for says, change := range map[string]func(*Config){
		"needs a name":            func(c *Config) { c.Name = "" },
		"url":                     func(c *Config) { c.URL = "" },
		"not a connection URL":    func(c *Config) { c.URL = "postgres://u:canary-secret@[::1/x" },
		"name the roles":          func(c *Config) { c.Allowed = nil },
		"no role can be called":   func(c *Config) { c.Allowed = []string{"app_*", "pg_*"} },
		"needs create_logins":     func(c *Config) { c.PasswordAuth = true },
		"is not one of":           func(c *Config) { c.Account.From = "name" },
		"account.prefix":          func(c *Config) { c.Account.Prefix = "rampkeeper_" },
		"cannot be negative":      func(c *Config) { c.MaxConns = -1 },
		"without user and":        func(c *Config) { c.ClientURL = "postgres://u:canary-secret@db/x" },
		"client_url: this is not": func(c *Config) { c.ClientURL = "https://db/x" },
	} {
		cfg := good
		change(&cfg)

		_, err := New(cfg)

		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "canary-secret")
	}
	c, err := New(good)
	require.NoError(t, err)
	c.Close()
}

// RFC 7677, section 3, gives the salt, the password and the proofs of one
// exchange; the keys below follow from them.
func TestVerifier(t *testing.T) {
	t.Parallel()
	raw, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	require.NoError(t, err)

	got, err := verifier("pencil", [16]byte(raw))

	require.NoError(t, err)
	require.Equal(t, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", got)
	first, second := newPassword(), newPassword()
	require.NotEqual(t, first, second)
}

func TestClientURL(t *testing.T) {
	t.Parallel()
	until := time.Now()
	for _, tt := range []struct{ name, url, client, login, dsn, plain string }{
		{
			"FromTheBrokersOwn", "postgres://broker:canary-secret@db.example.org:6432/orders?sslmode=verify-full&pool_max_conns=3", "", "alice",
			"postgres://alice:pass@db.example.org:6432/orders?sslmode=verify-full", "postgres://alice@db.example.org:6432/orders?sslmode=verify-full",
		},
		{
			"Socket", "postgres:///orders?host=/run/pg&user=broker", "", "al ice",
			"postgres:///orders?host=%2Frun%2Fpg&password=pass&port=5432&user=al%20ice", "postgres:///orders?host=%2Frun%2Fpg&port=5432&user=al%20ice",
		},
		{
			"OwnAddress", "postgres://broker@10.0.0.1/orders", "postgresql://bouncer.example.org/orders?sslmode=require", `a"b@c:d`,
			"postgresql://a%22b%40c%3Ad:pass@bouncer.example.org/orders?sslmode=require", "postgresql://a%22b%40c%3Ad@bouncer.example.org/orders?sslmode=require",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.ParseConfig(tt.url)
			require.NoError(t, err)
			c, err := clientURL(Config{Name: "orders", ClientURL: tt.client}, conn)
			require.NoError(t, err)

			cred := c.credential(tt.login, "pass", until)

			require.Equal(t, tt.dsn, cred.DSN)
			require.Equal(t, []string{"psql", tt.plain}, cred.Command)
			require.Equal(t, map[string]string{"PGPASSWORD": "pass"}, cred.Env)
			back, err := pgx.ParseConfig(cred.DSN)
			require.NoError(t, err)
			require.Equal(t, []string{tt.login, "pass"}, []string{back.User, back.Password})
		})
	}
}
