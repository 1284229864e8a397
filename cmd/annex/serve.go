package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/cmd/annex/exit"
)

// configured is a command's view of the configuration: a flag for the file,
// and one for each setting that has one.
type configured struct {
	file  string
	flags *config.Flags
}

func addConfigFlags(c *cobra.Command) *configured {
	f := &configured{}
	c.Flags().StringVar(&f.file, "config", "", "YAML file with the configuration (environment: "+config.FileVariable+")")
	f.flags = config.AddFlags(c.Flags())
	return f
}

func (f *configured) source() config.Source {
	return config.Source{File: f.file, Env: os.Environ(), Flags: f.flags}
}

func (f *configured) load() (*config.Loaded, error) {
	l, err := config.Load(f.source())
	if err != nil {
		return nil, exit.Usage{Err: err}
	}
	return l, nil
}

func serveCommand() *cobra.Command {
	var conf *configured
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: "Run the gateway until SIGINT or SIGTERM. On a fresh data directory it makes a local certificate authority and\n" +
			"the user administrator of organisation System, with the password of ANNEX_ADMIN_PASSWORD or a generated one\n" +
			"that is shown once. SIGHUP makes it read certificates, trusted authorities and the log level again.\n\n" +
			"Every setting has an environment variable and a key in the configuration file; 'annex config print' lists them.",
		Example: "  annex serve --data /var/lib/annex --listen 127.0.0.1:8443\n  annex serve --config /etc/annex/annex.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := conf.load()
			if err != nil {
				return err
			}
			return serve(c.Context(), loaded, conf.source(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	conf = addConfigFlags(c)
	return c
}

func newLog(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == config.FormatJSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

func serve(ctx context.Context, loaded *config.Loaded, source config.Source, out, logs io.Writer) error {
	again := make(chan os.Signal, 1) // from now on SIGHUP does not end the process
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	level := &slog.LevelVar{}
	level.Set(loaded.Log.Level)
	log := newLog(logs, loaded.Log.Format, level)
	// net/http tells of some misbehaviour of servers in the standard log only,
	// and in their words. It becomes events like all others.
	slog.SetDefault(log)
	for _, w := range loaded.Warnings {
		log.Warn(w)
	}
	h, err := openHouse(ctx, loaded.Config, log)
	if err != nil {
		return err
	}
	announce(out, h)
	r := &reloader{source: source, house: h, level: level, loaded: loaded}
	return h.run(ctx, again, r.reload)
}

func announce(out io.Writer, h *house) {
	local := false
	for _, d := range h.doors {
		fmt.Fprintf(out, "annex listens on %s\n", d.baseURL())
		local = local || d.certificates.local()
	}
	if h.admin != nil {
		fmt.Fprintf(out, "health, metrics and profiles are at %s\n", h.admin.baseURL())
	}
	if local {
		fmt.Fprintf(out, "clients trust it with the certificate authority in %s\n", h.ca.File())
	}
	if p := h.gateway.GeneratedPassword(); p != "" {
		fmt.Fprintf(out, "administrator@System has the password %s (shown only now)\n", p)
	}
}
