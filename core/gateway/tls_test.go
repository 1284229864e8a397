package gateway

import (
	"crypto/tls"
	"net"
	"net/http"
)

// tls speaks TLS over c as a client that trusts the test server.
func (f *fixture) tls(c net.Conn) net.Conn {
	conf := f.server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.ServerName = "example.com"
	conf.NextProtos = []string{"http/1.1"}
	return tls.Client(c, conf)
}
