package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/core"
)

func demoCommand() *cobra.Command {
	var s demoSettings
	var verbose bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a gateway with one extension of each kind, and print calls to try",
		Long: "Run a gateway on temporary data with three real extensions: a service over MQTT, an HTTPS endpoint with its own\n" +
			"certificate, and a WASM module. It prints three curl lines that can be pasted as they stand.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			s.log, s.out = newLog(c.ErrOrStderr(), config.FormatText, level), c.OutOrStdout()
			s.listenGiven = c.Flags().Changed("listen")
			return unlessEnded(c.Context(), demo(c.Context(), s))
		},
	}
	f := c.Flags()
	f.StringVar(&s.listen, "listen", config.DefaultListen, "address to listen on; without this flag a free port is taken if the usual one is not")
	f.StringVar(&s.module, "module", "", "WASM module to use in place of the example")
	f.BoolVarP(&verbose, "verbose", "v", false, "show the gateway's log")
	return c
}

// unlessEnded forgives what fails because the person at the terminal has had
// enough.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type demoSettings struct {
	listen      string
	listenGiven bool
	module      string
	log         *slog.Logger
	out         io.Writer
}

// demo runs until ctx ends.
func demo(ctx context.Context, s demoSettings) (err error) {
	module, err := demoModule(ctx, s)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "annex-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h, err := openDemoHouse(ctx, s, dir)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	d := &demoRun{demoSettings: s, house: h, module: module}
	err = d.start(ctx)
	if err == nil {
		d.print()
		err = h.run(ctx, nil, nil)
	} else {
		err = errors.Join(err, h.stop())
	}
	stop()
	return errors.Join(err, d.wait())
}

// openDemoHouse takes a free port when nobody chose one and the usual one is
// in use.
func openDemoHouse(ctx context.Context, s demoSettings, dir string) (*house, error) {
	c := config.Default()
	c.Data, c.AdminPassword, c.Drain = filepath.Join(dir, "data"), core.NewUUID(), 5*time.Second
	c.Admin.Address, c.Log.Access = config.Off, config.Off
	c.Listeners = []config.Listener{{Address: s.listen}}
	h, err := openHouse(ctx, c, s.log)
	if errors.Is(err, syscall.EADDRINUSE) && !s.listenGiven {
		fmt.Fprintf(s.out, "%s is in use; taking a free port\n", s.listen)
		c.Listeners = []config.Listener{{Address: "127.0.0.1:0"}}
		h, err = openHouse(ctx, c, s.log)
	}
	return h, err
}

// demoRun is a demo that has begun.
type demoRun struct {
	demoSettings
	house  *house
	module []byte
	client *client.Client
	ended  []chan error // of the extensions that run beside the gateway
}

func (d *demoRun) start(ctx context.Context) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(d.house.ca.PEM())
	d.client = client.New(d.house.baseURL(), roots)
	if err := d.client.Login(ctx, "administrator", core.SystemOrg, d.house.AdminPassword); err != nil {
		return err
	}
	for _, begin := range []func(context.Context, *x509.CertPool) error{d.startService, d.startEndpoint, d.startModule} {
		if err := begin(ctx, roots); err != nil {
			return err
		}
	}
	return d.ready(ctx)
}

// ready waits until each extension answers.
func (d *demoRun) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, x := range demoCalls() {
		for {
			_, err := d.client.Do(ctx, client.Call{Method: http.MethodGet, Path: x.path, Query: x.query})
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the %s does not answer: %w", x.name, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// demoCall is a call to try.
type demoCall struct {
	name, path string
	query      url.Values
}

func demoCalls() []demoCall {
	return []demoCall{
		{name: "MQTT service", path: "/api/org/" + core.SystemOrgID + "/currentTime"},
		{name: "HTTPS endpoint", path: "/ext-api/demo/greeting", query: url.Values{"name": {"you"}}},
		{name: "WASM module", path: "/api/hello"},
	}
}

func (x demoCall) target() string {
	if len(x.query) == 0 {
		return x.path
	}
	return x.path + "?" + x.query.Encode()
}

func (d *demoRun) print() {
	w := d.out
	fmt.Fprintf(w, "\nAnnex runs at %s with one extension of each kind.\n", d.client.Base)
	fmt.Fprintf(w, "Administrator: administrator@System, password %s\n\n", d.house.AdminPassword)
	fmt.Fprintf(w, "Try them in another terminal:\n\n")
	for _, x := range demoCalls() {
		fmt.Fprintf(w, "# %s\ncurl --cacert %s -H 'Authorization: Bearer %s' '%s%s'\n\n",
			x.name, shellWord(d.house.ca.File()), d.client.Token, d.client.Base, x.target())
	}
	fmt.Fprintf(w, "Press Ctrl-C to stop; everything is thrown away.\n")
}

// shellWord quotes a path that a shell would take apart.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:", r)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// wait gives the extensions a moment to end.
func (d *demoRun) wait() error {
	var errs []error
	for _, c := range d.ended {
		select {
		case err := <-c:
			if err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, err)
			}
		case <-time.After(5 * time.Second):
			errs = append(errs, errors.New("an extension of the demo did not end"))
		}
	}
	return errors.Join(errs...)
}
