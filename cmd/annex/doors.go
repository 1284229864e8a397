package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"syscall"

	"github.com/annex-gateway/annex/cmd/annex/config"
	"github.com/annex-gateway/annex/core/gateway"
)

// door is one listener with its server.
type door struct {
	config.Listener
	listener     net.Listener
	server       *http.Server
	certificates *certificates // nil: plain HTTP
}

// takePorts takes every address, or none.
func (h *house) takePorts(ctx context.Context) error {
	for _, l := range h.Listeners {
		d, err := h.takePort(ctx, l)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w (choose another with --listen HOST:PORT)", l.Address, err)
		}
		h.doors = append(h.doors, d)
	}
	return h.takeAdminPort(ctx)
}

// takeAdminPort takes another port when nobody chose one and the usual one is
// in use: that is no reason for a gateway not to start.
func (h *house) takeAdminPort(ctx context.Context) error {
	address := h.Admin.Address
	if address == config.Off {
		return nil
	}
	d, err := h.takePort(ctx, config.Listener{Address: address, Plain: true})
	if errors.Is(err, syscall.EADDRINUSE) && address == config.DefaultAdmin {
		d, err = h.takePort(ctx, config.Listener{Address: "127.0.0.1:0", Plain: true})
		if err == nil {
			h.log.Warn("the usual address of the admin listener is in use; another was taken", "usual", address, "taken", d.listener.Addr().String())
		}
	}
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w (choose another with --admin-listen HOST:PORT, or off)", address, err)
	}
	h.admin = d
	return nil
}

func (h *house) takePort(ctx context.Context, conf config.Listener) (*door, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", conf.Address)
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, func() error { return unlessClosed(l.Close()) })
	return &door{Listener: conf, listener: l}, nil
}

func (h *house) allDoors() []*door {
	if h.admin == nil {
		return h.doors
	}
	return append(slices.Clone(h.doors), h.admin)
}

func (d *door) ip() netip.Addr {
	a, _ := netip.ParseAddrPort(d.listener.Addr().String())
	return a.Addr().Unmap()
}

// loopback reports whether only this machine can reach the gateway.
func (h *house) loopback() bool {
	return !slices.ContainsFunc(h.doors, func(d *door) bool { return !d.ip().IsLoopback() })
}

// baseURL is how programs on this machine reach the gateway.
func (h *house) baseURL() string { return h.doors[0].baseURL() }

func (d *door) baseURL() string {
	host, port, _ := net.SplitHostPort(d.listener.Addr().String())
	if d.ip().IsUnspecified() {
		host = "localhost"
	}
	scheme := "https"
	if d.Plain {
		scheme = "http"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// loadCertificates gives every door with TLS its certificate.
func (h *house) loadCertificates() error {
	for _, d := range h.doors {
		if d.Plain {
			continue
		}
		pair := d.Pair
		if pair == (config.Pair{}) {
			pair = h.TLS
		}
		d.certificates = &certificates{pair: pair, ca: h.ca, names: h.namesOf(d), log: h.log}
		if err := d.certificates.load(); err != nil {
			return err
		}
	}
	return nil
}

// namesOf are the names and addresses that clients may know a door by.
func (h *house) namesOf(d *door) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if name, err := os.Hostname(); err == nil {
		add(name)
	}
	if u, err := url.Parse(h.PublicURL); err == nil {
		add(u.Hostname())
	}
	if !d.ip().IsUnspecified() {
		add(d.Host())
		return names
	}
	own, _ := net.InterfaceAddrs()
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok {
			add(n.IP.String())
		}
	}
	return names
}

// serve starts answering at every door.
func (h *house) serve() {
	for _, d := range h.doors {
		d.server = gateway.NewServer(h.goodbye.around(h.gateway), h.log)
		d.server.ConnState = h.goodbye.note
	}
	if h.admin != nil {
		h.admin.server = gateway.NewServer(h.adminHandler(), h.log)
	}
	for _, d := range h.allDoors() {
		go func() {
			err := d.serve()
			if errors.Is(err, http.ErrServerClosed) || h.stopping.Load() {
				return
			}
			select {
			case h.failed <- err:
			default: // one reason to end is enough
			}
		}()
	}
}

func (d *door) serve() error {
	if d.certificates == nil {
		return d.server.Serve(d.listener)
	}
	d.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: d.certificates.get}
	return d.server.ServeTLS(d.listener, "", "")
}
