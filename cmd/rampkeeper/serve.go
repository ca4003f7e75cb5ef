package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/config"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
	"github.com/rampkeeper/rampkeeper/internal/httpapi"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func serveCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker",
		Long: `Run the broker: the API, the pages and the loops that make access real and
take it away. Any number of replicas may run on one database.

SIGTERM makes it report itself not ready, wait, finish what is under way and
exit 0. A second signal ends it at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load()
			if err != nil {
				return err
			}
			s := server{config: cfg.Config, log: newLog(cfg.Log)}
			return s.run(cmd.Context())
		},
	}
	flags.add(cmd)
	return cmd
}

// server is one replica.
type server struct {
	config config.Config
	log    *slog.Logger
	// listener and metricsListener are opened from the configuration if nil.
	listener, metricsListener net.Listener
	// ready is called once the API answers.
	ready func()
}

// run serves until the context ends, then drains.
func (s *server) run(ctx context.Context) error {
	cfg, log := s.config, s.log
	db, err := store.Open(ctx, cfg.Database.URL.Reveal(), store.WithMaxConns(int32(cfg.Database.MaxConnections)-loopConns))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CheckSchema(ctx); err != nil {
		return err
	}
	loopDB, err := store.Open(ctx, cfg.Database.URL.Reveal(), store.WithMaxConns(loopConns), store.WithName("rampkeeper loops"))
	if err != nil {
		return err
	}
	defer loopDB.Close()

	connectors, err := newConnectors(cfg.Connectors)
	if err != nil {
		return err
	}
	defer connectors.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(buildInfo())

	auth, err := authn.New(ctx, authn.Config{
		Issuer:       cfg.OIDC.Issuer,
		ClientID:     cfg.OIDC.ClientID,
		ClientSecret: cfg.OIDC.ClientSecret.Reveal(),
		RedirectURL:  cfg.HTTP.PublicURL + "/auth/callback",
		Audiences:    audiences(cfg.OIDC),
		Scopes:       cfg.OIDC.Scopes,
		GroupsClaim:  cfg.OIDC.GroupsClaim,
		Roles: map[access.AppRole][]string{
			access.ContractAdmin: cfg.Roles.ContractAdmin,
			access.Auditor:       cfg.Roles.Auditor,
			access.Operator:      cfg.Roles.Operator,
		},
		Now: time.Now,
		Log: log,
	}, db)
	if err != nil {
		return err
	}

	b := broker.New(broker.Config{
		Store:            db,
		LoopStore:        loopDB,
		Connectors:       connectors,
		Issuer:           cfg.OIDC.Issuer,
		Skew:             cfg.Broker.Skew,
		OperationTimeout: cfg.Broker.OperationTimeout,
		Poll:             cfg.Broker.Poll,
		Slots:            cfg.Broker.Slots,
		Log:              log,
		Metrics:          registry,
	})

	api, err := httpapi.NewServer(httpapi.Config{
		Broker:         b,
		Auth:           auth,
		Store:          db,
		Log:            log,
		Now:            time.Now,
		Metrics:        registry,
		TrustedProxies: cfg.HTTP.TrustedProxies,
		Discovery:      httpapi.Discovery{Issuer: cfg.OIDC.Issuer, ClientID: cfg.OIDC.CLIClientID, Scopes: cfg.OIDC.Scopes},
		Version:        httpapi.Version{Version: version, Revision: revision(), GoVersion: runtime.Version()},
		RatePerMinute:  cfg.HTTP.RequestsPerMinute,
	})
	if err != nil {
		return err
	}
	return s.listen(ctx, b, db, api, api.MetricsHandler(registry))
}

// loopConns is how many of the connections are kept for removals and for calls
// to targets.
const loopConns = 4

// listen runs the listeners and the loops, and stops them in order: readiness
// first, then new connections, then the loops.
func (s *server) listen(ctx context.Context, b *broker.Broker, db *store.Store, api *httpapi.Server, metrics http.Handler) error {
	cfg, log := s.config, s.log
	listener, err := listenOn(s.listener, cfg.HTTP.Listen, "http.listen")
	if err != nil {
		return err
	}
	defer listener.Close()
	if cfg.HTTP.TLSCertFile != "" {
		cert, err := tls.LoadX509KeyPair(cfg.HTTP.TLSCertFile, cfg.HTTP.TLSKeyFile)
		if err != nil {
			return fmt.Errorf("http.tls_cert_file and http.tls_key_file: %w", err)
		}
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		})
	}

	work, stopWork := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the drain
	defer stopWork()
	group, work := errgroup.WithContext(work)
	group.Go(func() error { return orStopped(b.Run(work, db.Listen(work))) })
	group.Go(func() error { return orStopped(api.Run(work)) })

	web := httpapi.HTTPServer(api, log)
	group.Go(func() error { return serveHTTP(web, listener) })
	var inside *http.Server
	if cfg.Metrics.Listen != "" || s.metricsListener != nil {
		metricsListener, err := listenOn(s.metricsListener, cfg.Metrics.Listen, "metrics.listen")
		if err != nil {
			return err
		}
		inside = httpapi.HTTPServer(metrics, log)
		group.Go(func() error { return serveHTTP(inside, metricsListener) })
	}
	log.InfoContext(ctx, "serving", "address", listener.Addr().String(), "public_url", cfg.HTTP.PublicURL, "version", version)
	if s.ready != nil {
		s.ready()
	}

	select {
	case <-ctx.Done():
	case <-work.Done(): // something failed: stop the rest
	}
	api.Drain()
	if work.Err() == nil && cfg.Shutdown.Delay > 0 {
		log.InfoContext(work, "draining", "delay", cfg.Shutdown.Delay.String())
		select {
		case <-time.After(cfg.Shutdown.Delay):
		case <-work.Done():
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Shutdown.Grace)
	defer cancel()
	if err := web.Shutdown(grace); err != nil {
		_ = web.Close()
	}
	stopWork() // the loops finish the operation they are at
	if inside != nil {
		_ = inside.Close()
	}
	err = group.Wait()
	log.InfoContext(grace, "stopped")
	return err
}

// orStopped drops the error of a loop that was told to stop.
func orStopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func serveHTTP(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return nil
}

func listenOn(given net.Listener, address, key string) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %s cannot be listened on (%w); choose another address or stop what holds it", key, address, err)
	}
	return l, nil
}

// newConnectors makes the configured connectors. None connects yet.
func newConnectors(configured []config.Connector) (*connector.Registry, error) {
	entries := map[string]connector.Entry{}
	for _, c := range configured {
		pg, err := postgres.New(postgres.Config{
			Name:             c.Name,
			URL:              c.Postgres.URL.Reveal(),
			CreateLogins:     c.Postgres.CreateLogins,
			Account:          postgres.Account{From: c.Postgres.Account, Prefix: c.Postgres.AccountPrefix},
			Allowed:          c.Postgres.AllowedRoles,
			PasswordAuth:     c.Postgres.PasswordAuth,
			SystemIdentifier: c.Postgres.SystemIdentifier,
			ClientURL:        c.Postgres.ClientURL,
		})
		if err != nil {
			return nil, fmt.Errorf("connector %s: %w", c.Name, err)
		}
		entries[c.Name] = connector.Entry{Name: c.Name, Type: c.Type, Connector: pg}
	}
	return connector.NewRegistry(entries), nil
}

func audiences(c config.OIDC) []string {
	all := append([]string{c.ClientID}, c.Audiences...)
	if c.CLIClientID != "" {
		all = append(all, c.CLIClientID)
	}
	return all
}

func newLog(c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" || c.Format == "auto" && term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(slog.NewTextHandler(os.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, options))
}

func buildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "rampkeeper_build_info",
		Help:        "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision()},
	})
	info.Set(1)
	return info
}
