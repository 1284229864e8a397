package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/annex-gateway/annex/sdk/service"
)

// What this program does when it is its own child, and what that needs to
// know.
const (
	roleVariable = "BENCH_ROLE"
	plainAddress = "BENCH_PLAIN"
	tlsAddress   = "BENCH_TLS"
	certFile     = "BENCH_CERT" // certificate and key
	caFile       = "BENCH_CA"
	target       = "BENCH_TO"
	tokenOf      = "BENCH_TOKEN"
)

func playRole(role string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch role {
	case "server":
		return serve(ctx, answer())
	case "twin":
		return serve(ctx, twin())
	case "proxy":
		return proxy(ctx)
	case "service":
		return echo(ctx)
	case "responder":
		return respond(ctx)
	}
	return fmt.Errorf("there is no role %q", role)
}

// body is what everybody in this run answers: 1 KiB of JSON.
func body() []byte {
	return append(append([]byte(`{"data":"`), bytes.Repeat([]byte("j"), 1013)...), `"}`...)
}

// answer is the handler that everybody in this run ends at.
func answer() http.Handler {
	body := body()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write(body)
	})
}

// twin does in plain Go what the measured guest does.
func twin() http.Handler {
	answer := answer()
	mux := http.NewServeMux()
	mux.Handle("/answer", answer)
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { answer.ServeHTTP(w, r) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Bench", "1")
		answer.ServeHTTP(w, r)
	})
	mux.HandleFunc("/body", func(w http.ResponseWriter, r *http.Request) {
		gathered := &gathering{ResponseWriter: w}
		answer.ServeHTTP(gathered, r)
		_, _ = w.Write(bytes.ReplaceAll(gathered.body, []byte("j"), []byte("k")))
	})
	return mux
}

// gathering keeps a body back.
type gathering struct {
	http.ResponseWriter
	body []byte
}

// Write gathers.
func (g *gathering) Write(b []byte) (int, error) {
	g.body = append(g.body, b...)
	return len(b), nil
}

// serve answers on both addresses, in HTTP/1.1 as the peers do.
func serve(ctx context.Context, h http.Handler) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	plain := &http.Server{Addr: os.Getenv(plainAddress), Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: &protocols}
	secure := &http.Server{Addr: os.Getenv(tlsAddress), Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: &protocols}
	failed := make(chan error, 2)
	go func() { failed <- plain.ListenAndServe() }()
	go func() { failed <- secure.ListenAndServeTLS(os.Getenv(certFile), os.Getenv(certFile)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return errors.Join(plain.Close(), secure.Close())
	}
}

// roots are the authorities of this run.
func roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(os.Getenv(caFile)) //nolint:gosec // a file of this run
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

// proxy is the standard library's reverse proxy as one would set it up for
// load: connections kept, buffers kept, no compression asked for.
func proxy(ctx context.Context) error {
	pool, err := roots()
	if err != nil {
		return err
	}
	to, err := url.Parse(os.Getenv(target))
	if err != nil {
		return err
	}
	return serve(ctx, &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
		BufferPool: &buffers{},
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
			MaxIdleConns:        1024,
			MaxIdleConnsPerHost: 1024,
			DisableCompression:  true,
		},
	})
}

type buffers struct{ pool sync.Pool }

// Get gives a buffer.
func (p *buffers) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

// Put takes it back.
func (p *buffers) Put(b []byte) { p.pool.Put(&b) }

// echo is an external service over MQTT.
func echo(ctx context.Context) error {
	pool, err := roots()
	if err != nil {
		return err
	}
	return service.Run(ctx, service.Config{
		URL: os.Getenv(target), Vendor: vendor, Name: "echo", Version: version, Token: os.Getenv(tokenOf),
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
	}, answer())
}
