package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/core"
)

func demoCommand() *cobra.Command {
	var listen, module string
	var verbose bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a gateway with one extension of each kind, and print calls to try",
		Long: "Run a gateway on temporary data with three real extensions: a service over MQTT, an HTTPS endpoint with its own\n" +
			"certificate, and a WASM module. It prints three curl lines that can be pasted as they stand.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			return demo(c.Context(), demoSettings{
				listen: listen, listenGiven: c.Flags().Changed("listen"), module: module, log: log, out: c.OutOrStdout(),
			})
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", defaultListen, "address to listen on; without this flag a free port is taken if the usual one is not")
	f.StringVar(&module, "module", "", "WASM module to use in place of the example")
	f.BoolVarP(&verbose, "verbose", "v", false, "show the gateway's log")
	return c
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
		err = h.run(ctx)
	} else {
		err = errors.Join(err, h.stop())
	}
	stop()
	return errors.Join(err, d.wait())
}

// openDemoHouse takes a free port when nobody chose one and the usual one is
// in use.
func openDemoHouse(ctx context.Context, s demoSettings, dir string) (*house, error) {
	set := settings{
		data: filepath.Join(dir, "data"), listen: s.listen, log: s.log,
		password: core.NewUUID(), drain: 5 * time.Second,
	}
	h, err := openHouse(ctx, set)
	if errors.Is(err, syscall.EADDRINUSE) && !s.listenGiven {
		fmt.Fprintf(s.out, "%s is in use; taking a free port\n", s.listen)
		set.listen = "127.0.0.1:0"
		h, err = openHouse(ctx, set)
	}
	return h, err
}

// demoRun is a demo that has begun.
type demoRun struct {
	demoSettings
	house  *house
	module []byte
	client *client
	ended  []chan error // of the extensions that run beside the gateway
}

func (d *demoRun) start(ctx context.Context) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(d.house.ca.PEM())
	d.client = newClient(d.house.baseURL(), roots)
	if err := d.client.login(ctx, "administrator", d.house.password); err != nil {
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
			err := d.client.call(ctx, "GET", x.path, nil, nil)
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
type demoCall struct{ name, path string }

func demoCalls() []demoCall {
	return []demoCall{
		{"MQTT service", "/api/org/" + core.SystemOrgID + "/currentTime"},
		{"HTTPS endpoint", "/ext-api/demo/greeting?name=you"},
		{"WASM module", "/api/hello"},
	}
}

func (d *demoRun) print() {
	w := d.out
	fmt.Fprintf(w, "\nAnnex runs at %s with one extension of each kind.\n", d.client.base)
	fmt.Fprintf(w, "Administrator: administrator@System, password %s\n\n", d.house.password)
	fmt.Fprintf(w, "Try them in another terminal:\n\n")
	for _, x := range demoCalls() {
		fmt.Fprintf(w, "# %s\ncurl --cacert %s -H 'Authorization: Bearer %s' '%s%s'\n\n", x.name, d.house.ca.File(), d.client.token, d.client.base, x.path)
	}
	fmt.Fprintf(w, "Press Ctrl-C to stop; everything is thrown away.\n")
}

// wait gives the extensions a moment to end.
func (d *demoRun) wait() error {
	var errs []error
	for _, c := range d.ended {
		select {
		case err := <-c:
			if !errors.Is(err, context.Canceled) {
				errs = append(errs, err)
			}
		case <-time.After(5 * time.Second):
			errs = append(errs, errors.New("an extension of the demo did not end"))
		}
	}
	return errors.Join(errs...)
}
