package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
)

const defaultListen = "127.0.0.1:8443"

func serveCommand() *cobra.Command {
	var s settings
	var level, format string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: "Run the gateway until SIGINT or SIGTERM. On a fresh data directory it makes a local certificate authority and\n" +
			"the user administrator of organisation System, with the password of ANNEX_ADMIN_PASSWORD or a generated one\n" +
			"that is shown once.",
		Example: "  annex serve --data /var/lib/annex --listen 127.0.0.1:8443",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := newLog(c.ErrOrStderr(), level, format)
			if err != nil {
				return usageError{err}
			}
			s.log, s.password = log, os.Getenv("ANNEX_ADMIN_PASSWORD")
			return serve(c.Context(), s, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&s.data, "data", "annex-data", "directory of everything that is kept")
	f.StringVar(&s.listen, "listen", defaultListen, "address to listen on, as HOST:PORT")
	f.StringVar(&s.publicURL, "public-url", "", "how clients reach the gateway, such as https://api.example.com (default: as their requests say)")
	f.StringSliceVar(&s.trust, "trust", nil, "PEM file with certificate authorities of external endpoints; may be repeated")
	f.DurationVar(&s.drain, "drain", 15*time.Second, "how long calls in flight may go on after SIGTERM")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "text or json")
	return c
}

func newLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: debug, info, warn or error is needed", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("--log-format %q: text or json is needed", format)
}

func serve(ctx context.Context, s settings, out io.Writer) error {
	h, err := openHouse(ctx, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "annex listens on %s\n", h.baseURL())
	fmt.Fprintf(out, "clients trust it with the certificate authority in %s\n", h.ca.File())
	if p := h.gateway.GeneratedPassword(); p != "" {
		fmt.Fprintf(out, "administrator@System has the password %s (shown only now)\n", p)
	}
	return h.run(ctx)
}
