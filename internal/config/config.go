// Package config is the server's configuration: one documented struct, read
// from defaults, a YAML file, the environment and flags, in that order.
//
// The comments of Config are the reference manual; docs/configuration.md is
// generated from them.
package config

import (
	"log/slog"
	"time"
)

//go:generate go run ../../tools/configdoc -out ../../docs/configuration.md

// Config is everything that the server can be told.
type Config struct {
	// The PostgreSQL database that holds everything.
	Database Database `koanf:"database"`
	// The listener of the API and the pages.
	HTTP HTTP `koanf:"http"`
	// The listener of /metrics, apart from the API so that it can stay inside.
	Metrics Metrics `koanf:"metrics"`
	// The OpenID Connect provider that people and machines sign in with.
	OIDC OIDC `koanf:"oidc"`
	// Which groups hold which application role. None implies another, and none
	// lets its holder approve.
	Roles Roles `koanf:"roles"`
	// The targets on which access is granted. Addresses and credentials live
	// here; which role may be had on which resource is policy.
	Connectors []Connector `koanf:"connectors"`
	// How grants are carried out and taken away.
	Broker Broker `koanf:"broker"`
	// What is written to standard error.
	Log Log `koanf:"log"`
	// How the server stops.
	Shutdown Shutdown `koanf:"shutdown"`
}

// Database is where state lives.
type Database struct {
	// Connection string of the rampkeeper_app login, such as
	// postgres://rampkeeper_app@db.internal/rampkeeper?sslmode=verify-full.
	URL Secret `koanf:"url"`
	// Connections that each replica may open, 8 to 500. Four of them are
	// kept for removals and for calls to targets, whatever the API's load.
	MaxConnections int `koanf:"max_connections"`
}

// HTTP is the public listener.
type HTTP struct {
	// Address to listen on.
	Listen string `koanf:"listen"`
	// Address that browsers and clients use, scheme and host only, such as
	// https://access.example.com. Sign-in returns here.
	PublicURL string `koanf:"public_url"`
	// PEM file with the certificate and its chain. Without it and tls_key_file
	// the server speaks plain HTTP, for use behind a proxy that ends TLS.
	TLSCertFile string `koanf:"tls_cert_file"`
	// PEM file with the certificate's key.
	TLSKeyFile string `koanf:"tls_key_file"`
	// Networks of proxies whose X-Forwarded-For is believed, in CIDR form.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// Requests that one signed-in principal may make in a minute.
	RequestsPerMinute int `koanf:"requests_per_minute"`
}

// Metrics is the inside listener.
type Metrics struct {
	// Address of /metrics; empty turns it off.
	Listen string `koanf:"listen"`
}

// OIDC is the identity provider.
type OIDC struct {
	// Issuer URL, exactly as its tokens and its discovery document say it.
	Issuer string `koanf:"issuer"`
	// Client id of this server at the provider.
	ClientID string `koanf:"client_id"`
	// Client secret; empty for a public client (PKCE is always used).
	ClientSecret Secret `koanf:"client_secret"`
	// Client id that the command line client signs in with (a public, native
	// client with loopback redirects or the device grant).
	CLIClientID string `koanf:"cli_client_id"`
	// Audiences whose bearer tokens are accepted; client_id and cli_client_id
	// always are.
	Audiences []string `koanf:"audiences"`
	// Scopes asked for at sign-in, besides openid.
	Scopes []string `koanf:"scopes"`
	// Claim that lists the groups of a person.
	GroupsClaim string `koanf:"groups_claim"`
}

// Roles maps application roles to groups of the provider.
type Roles struct {
	// May read and apply policy.
	ContractAdmin []string `koanf:"contract_admin"`
	// May read everything, and change nothing.
	Auditor []string `koanf:"auditor"`
	// May end grants and test connectors.
	Operator []string `koanf:"operator"`
}

// Connector is one target.
type Connector struct {
	// Name that resources refer to.
	Name string `koanf:"name"`
	// Kind of target; postgres is the one there is.
	Type string `koanf:"type"`
	// Settings of a postgres connector.
	Postgres Postgres `koanf:"postgres"`
}

// Postgres is a PostgreSQL server as a target.
type Postgres struct {
	// Connection string of the broker's login on the target. The login needs
	// what deploy/postgres/target-setup.sql gives it, and no more.
	URL Secret `koanf:"url"`
	// Patterns of the prepared database roles that may be handed out; * stands
	// for any characters.
	AllowedRoles []string `koanf:"allowed_roles"`
	// Makes the login role of a person who has none, and turns it off with the
	// last grant. Without it only logins that a database administrator adopted
	// are used, and no passwords are handed out.
	CreateLogins bool `koanf:"create_logins"`
	// What a person's login role is called: username (the provider's
	// preferred_username), email-local or sub.
	Account string `koanf:"account"`
	// Put before the account's name.
	AccountPrefix string `koanf:"account_prefix"`
	// Says that pg_hba.conf asks these logins for a password, so that the
	// server itself refuses new sessions after the end of a grant.
	PasswordAuth bool `koanf:"password_auth"`
	// What people connect to, without user and password, when it is not the
	// server and database of url: postgres://orders.example.com/orders.
	ClientURL string `koanf:"client_url"`
	// System identifier of the server that is meant (from pg_control_system()).
	// When set, another server behind the same address is refused.
	SystemIdentifier string `koanf:"system_identifier"`
}

// Broker is the pace of the loops.
type Broker struct {
	// Longest that one call to a target may take.
	OperationTimeout time.Duration `koanf:"operation_timeout"`
	// How far the clock of a target may be off, and how late an answer may
	// still take effect after its deadline.
	Skew time.Duration `koanf:"skew"`
	// How often due work is looked for when nothing wakes the loops.
	Poll time.Duration `koanf:"poll"`
	// Calls to one target that may be under way at once, for each loop.
	Slots int `koanf:"slots"`
}

// Log is the server's log.
type Log struct {
	// Least level that is written: debug, info, warn or error.
	Level slog.Level `koanf:"level"`
	// Form of a line: json, text, or auto (text on a terminal).
	Format string `koanf:"format"`
}

// Shutdown is how SIGTERM is answered.
type Shutdown struct {
	// How long the server keeps answering after it reports itself not ready,
	// so that load balancers notice.
	Delay time.Duration `koanf:"delay"`
	// Longest wait for requests and operations that are under way.
	Grace time.Duration `koanf:"grace"`
}

// Default is the configuration before anything is read.
func Default() Config {
	return Config{
		Database: Database{MaxConnections: 30},
		HTTP:     HTTP{Listen: ":8443", RequestsPerMinute: 600},
		Metrics:  Metrics{Listen: "127.0.0.1:9090"},
		OIDC: OIDC{
			CLIClientID: "ramp-cli",
			Scopes:      []string{"profile", "email", "groups"},
			GroupsClaim: "groups",
		},
		Broker:   Broker{OperationTimeout: 20 * time.Second, Skew: 5 * time.Second, Poll: time.Second, Slots: 4},
		Log:      Log{Level: slog.LevelInfo, Format: "auto"},
		Shutdown: Shutdown{Delay: 5 * time.Second, Grace: 20 * time.Second},
	}
}

// Secret is a value that is never printed. Its file form is KEY_file.
type Secret string

const redacted = "[redacted]"

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal gives the value to the code that needs it.
func (s Secret) Reveal() string { return string(s) }
