package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// stage is everything that runs for the whole calls.
type stage struct {
	server, proxy, nginx, haproxy *peer
	ca, cert                      string // files, of the authority for these and of what it issued
	house                         *house
	filler                        string // the service with all the filters
	module                        string // digest
}

// setStage starts the server, the proxies in front of it and the gateway.
func (b *bench) setStage(ctx context.Context) (*stage, error) {
	ca, cert, err := b.certificates()
	if err != nil {
		return nil, err
	}
	s := &stage{ca: ca, cert: cert}
	if s.server, err = b.own(ctx, "server", certFile+"="+cert); err != nil {
		return nil, err
	}
	if s.proxy, err = b.own(ctx, "proxy", certFile+"="+cert, caFile+"="+ca, target+"="+s.server.secure); err != nil {
		return nil, err
	}
	if s.nginx, err = b.program(ctx, "nginx", nginxConf, s.server, cert, ca); err != nil {
		return nil, err
	}
	if s.haproxy, err = b.program(ctx, "haproxy", haproxyConf, s.server, cert, ca); err != nil {
		return nil, err
	}
	return s, b.settle(ctx, s, b.annex, nil, ca)
}

// settle starts the gateway of a stage, and fills it with filters.
func (b *bench) settle(ctx context.Context, s *stage, binary string, env []string, ca string) (err error) {
	if s.house, _, err = b.openOther(ctx, binary, env, fmt.Sprint(b.work, "/data", len(b.children)), "--trust", ca); err != nil {
		return err
	}
	if err := s.house.login(ctx); err != nil {
		return err
	}
	if s.filler, err = s.house.service(ctx, "filler", nil); err != nil {
		return err
	}
	return s.house.fill(ctx, s.filler, 0, b.filters)
}

// kinds measures each kind with an echo behind it, through the whole gateway.
func (b *bench) kinds(ctx context.Context) error {
	s, err := b.setStage(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := b.extensions(ctx, s); err != nil {
		return err
	}
	broker, err := b.broker(ctx)
	if err != nil {
		return err
	}
	for _, secure := range []bool{false, true} {
		direct, rp := s.server.asked("the server itself", secure), s.proxy.asked("ReverseProxy", secure)
		subjects := []*subject{
			direct, rp, s.nginx.asked("nginx", secure), s.haproxy.asked("HAProxy", secure),
			s.house.asked("annex: HTTPS endpoint", "/ext-api/bench/echo", secure), s.house.asked("annex: MQTT service", "/api/bench/mqtt", secure),
			s.house.asked("annex: WASM module", "/api/bench/wasm", secure), s.house.asked("annex: the built-in API", "/api/org", secure),
		}
		if !secure {
			subjects = append(subjects, broker)
		}
		if err := b.measure(ctx, subjects); err != nil {
			return err
		}
		front := "plain HTTP"
		if secure {
			front = "TLS"
		}
		compare(fmt.Sprintf("1 KiB of JSON over %s, TLS behind the proxies, %d filters", front, b.filters), subjects, direct, rp, subjects[2])
	}
	return nil
}

func (s *stage) stop() {
	for _, p := range []*peer{s.server, s.proxy, s.nginx, s.haproxy} {
		if p.proc != nil {
			p.stop()
		}
	}
	s.house.stop()
}

// asked makes a subject of a path of the gateway.
func (h *house) asked(name, path string, secure bool) *subject {
	base := h.plain
	if secure {
		base = h.secure
	}
	return &subject{name: name, url: base + path, token: h.client.Token, proc: h.proc, admin: h.admin}
}

// extensions registers one of each kind.
func (b *bench) extensions(ctx context.Context, s *stage) error {
	h := s.house
	endpoint, err := h.system(ctx, "/cloudapi/1.0.0/externalEndpoints", "endpoint", map[string]any{"rootUrl": s.server.secure})
	if err != nil {
		return err
	}
	if err := h.filter(ctx, endpoint, "/bench/.*", "EXT_API"); err != nil {
		return err
	}
	if err := b.wasm(ctx, s, "answer", "answer", 0, "/api/bench/wasm"); err != nil {
		return err
	}
	service, err := h.service(ctx, "echo", nil)
	if err != nil {
		return err
	}
	if err := h.filter(ctx, service, "/api/bench/mqtt", "API"); err != nil {
		return err
	}
	var token registered
	err = h.post(ctx, "/cloudapi/1.0.0/tokens", map[string]string{
		"name": strings.Join([]string{vendor, "echo", version}, "/"), "type": "EXTENSION", "extensionId": service,
	}, &token)
	if err != nil {
		return err
	}
	_, err = b.own(ctx, "service", caFile+"="+h.ca, target+"=wss"+strings.TrimPrefix(h.secure, "https")+"/messaging/mqtt", tokenOf+"="+token.Token)
	if err != nil {
		return err
	}
	return h.answered(ctx, "/ext-api/bench/echo", "/api/bench/mqtt", "/api/bench/wasm", "/api/org")
}

// answered waits until the paths are answered.
func (h *house) answered(ctx context.Context, paths ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, path := range paths {
		for {
			err := h.get(ctx, path)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not answered: %w", path, err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// wasm registers the measured guest in a role, with its paths.
func (b *bench) wasm(ctx context.Context, s *stage, name, role string, priority int, paths ...string) error {
	if s.module == "" {
		file, err := b.guest(ctx)
		if err != nil {
			return err
		}
		if s.module, err = s.house.module(ctx, file); err != nil {
			return err
		}
	}
	return b.extension(ctx, s, s.module, name, role, priority, paths...)
}

// extension registers a module with its paths.
func (b *bench) extension(ctx context.Context, s *stage, module, name, role string, priority int, paths ...string) error {
	id, err := s.house.service(ctx, name, map[string]any{
		"kind": "wasm", "priority": priority, "wasm": map[string]any{"module": module, "config": role, "deadlineMs": 5000},
	})
	if err != nil {
		return err
	}
	for _, p := range paths {
		if err := s.house.filter(ctx, id, p, "API"); err != nil {
			return err
		}
	}
	return nil
}
