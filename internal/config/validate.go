package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// validate gives a sentence for each fault.
func (c *Loaded) validate() []string {
	var faults []string
	for _, check := range []struct {
		bad bool
		key string
		msg string
	}{
		{c.Database.URL == "", "database.url", "is missing: the connection string of the rampkeeper_app login, or database.url_file with the path of a file that holds it"},
		{c.Database.MaxConnections < 8 || c.Database.MaxConnections > 500, "database.max_connections", "must be 8 to 500"},
		{c.HTTP.Listen == "", "http.listen", "is missing: an address such as :8443"},
		{!isOrigin(c.HTTP.PublicURL), "http.public_url", "must be a scheme and a host, such as https://access.example.com, with nothing after them"},
		{strings.HasPrefix(c.HTTP.PublicURL, "http://") && !isLoopback(c.HTTP.PublicURL), "http.public_url", "must be https: browsers drop the session cookie on plain http, except on localhost"},
		{(c.HTTP.TLSCertFile == "") != (c.HTTP.TLSKeyFile == ""), "http.tls_cert_file", "and http.tls_key_file go together: set both or neither"},
		{c.HTTP.RequestsPerMinute < 1, "http.requests_per_minute", "must be at least 1"},
		{c.OIDC.Issuer == "", "oidc.issuer", "is missing: the issuer URL of your OpenID provider"},
		{c.OIDC.Issuer != "" && !strings.HasPrefix(c.OIDC.Issuer, "https://") && !isLoopback(c.OIDC.Issuer), "oidc.issuer", "must be https, except on localhost"},
		{c.OIDC.ClientID == "", "oidc.client_id", "is missing: without it tokens made for other services would be accepted"},
		{slices.Contains(c.OIDC.Audiences, ""), "oidc.audiences", "holds an empty audience"},
		{c.OIDC.GroupsClaim == "", "oidc.groups_claim", "is missing: the claim that lists a person's groups"},
		{c.Broker.OperationTimeout < time.Second || c.Broker.OperationTimeout > 5*time.Minute, "broker.operation_timeout", "must be 1s to 5m"},
		{c.Broker.Skew < time.Second || c.Broker.Skew > time.Minute, "broker.skew", "must be 1s to 1m"},
		{c.Broker.Poll < 10*time.Millisecond || c.Broker.Poll > time.Minute, "broker.poll", "must be 10ms to 1m"},
		{c.Broker.Slots < 1 || c.Broker.Slots > 64, "broker.slots", "must be 1 to 64"},
		{!slices.Contains([]string{"auto", "json", "text"}, c.Log.Format), "log.format", "must be auto, json or text"},
		{c.Shutdown.Delay < 0 || c.Shutdown.Grace <= 0, "shutdown.grace", "must be more than 0, and shutdown.delay at least 0"},
	} {
		if check.bad {
			faults = append(faults, c.where(check.key)+check.key+" "+check.msg)
		}
	}
	for _, p := range c.HTTP.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			faults = append(faults, c.where("http.trusted_proxies")+"http.trusted_proxies: "+p+" is not a network such as 10.0.0.0/8")
		}
	}
	names := map[string]bool{}
	for i, con := range c.Connectors {
		key := fmt.Sprintf("connectors[%d].", i)
		for _, check := range []struct {
			bad bool
			key string
			msg string
		}{
			{con.Name == "", "name", "is missing: resources refer to it"},
			{names[con.Name], "name", con.Name + " is used twice"},
			{con.Type != "postgres", "type", "must be postgres"},
			{con.Type == "postgres" && con.Postgres.URL == "", "postgres.url", "is missing, or postgres.url_file"},
			{con.Type == "postgres" && len(con.Postgres.AllowedRoles) == 0, "postgres.allowed_roles", "is missing: which prepared database roles may be handed out"},
			{con.Postgres.PasswordAuth && !con.Postgres.CreateLogins, "postgres.password_auth", "needs create_logins: adopted logins get no password from here"},
			{con.Type == "postgres" && !slices.Contains([]string{"", "username", "email-local", "sub"}, con.Postgres.Account), "postgres.account", "must be username, email-local or sub"},
		} {
			if check.bad {
				faults = append(faults, c.where(key+check.key)+key+check.key+" "+check.msg)
			}
		}
		names[con.Name] = true
	}
	return faults
}

// where puts the source of a set value before its fault.
func (c *Loaded) where(key string) string {
	if s := c.Sources[key]; s != "" {
		return s + ": "
	}
	return ""
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Path == "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil
}

func isLoopback(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}
