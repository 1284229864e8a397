package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// peer is a server that the gateway is compared with.
type peer struct {
	*proc
	name          string
	plain, secure string // base URLs
	missing       string
}

// own starts this program in a role.
func (b *bench) own(ctx context.Context, role string, env ...string) (*peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	at, err := addresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	p := &peer{name: role, plain: "http://" + at[0], secure: "https://localhost:" + port(at[1])}
	p.proc, err = b.spawn(role, append(env, roleVariable+"="+role, plainAddress+"="+at[0], tlsAddress+"="+at[1]), self)
	if err != nil || role == "service" || role == "responder" {
		return p, err
	}
	return p, p.await(ctx, at[1])
}

const nginxConf = `
worker_processes 2; daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx-error.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path %[1]s/n1; proxy_temp_path %[1]s/n2; fastcgi_temp_path %[1]s/n3; uwsgi_temp_path %[1]s/n4; scgi_temp_path %[1]s/n5;
  upstream server { server 127.0.0.1:%[2]s; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen %[3]s; listen %[4]s ssl; ssl_certificate %[5]s; ssl_certificate_key %[5]s;
    location / {
      proxy_pass https://server; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate %[6]s; proxy_ssl_name localhost;
    }
  }
}
`

const haproxyConf = `
global
  nbthread 2
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
frontend front
  bind %[3]s
  bind %[4]s ssl crt %[5]s alpn http/1.1
  default_backend back
backend back
  http-reuse always
  server server 127.0.0.1:%[2]s ssl verify required ca-file %[6]s verifyhost localhost
`

// program starts a proxy from the distribution, in front of the server.
func (b *bench) program(ctx context.Context, name, conf string, server *peer, cert, ca string) (*peer, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return &peer{name: name, missing: "not installed"}, nil
	}
	at, err := addresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.work, name+".conf")
	to := server.secure[len("https://localhost:"):]
	if err := os.WriteFile(file, fmt.Appendf(nil, conf, b.work, to, at[0], at[1], cert, ca), 0o600); err != nil {
		return nil, err
	}
	argv := map[string][]string{"nginx": {path, "-c", file, "-p", b.work}, "haproxy": {path, "-f", file}}[name]
	p := &peer{name: name, plain: "http://" + at[0], secure: "https://localhost:" + port(at[1])}
	if p.proc, err = b.spawn(name, nil, argv...); err != nil {
		return nil, err
	}
	return p, p.await(ctx, at[1])
}

// asked makes a subject of a peer.
func (p *peer) asked(name string, secure bool) *subject {
	base := p.plain
	if secure {
		base = p.secure
	}
	return &subject{name: name, url: base + "/ext-api/bench/echo", proc: p.proc, missing: p.missing}
}
