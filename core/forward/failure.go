package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/annex-gateway/annex/core"
)

// failure turns the end of an exchange into an error that says which server
// and what kind of failure, and names no address.
func (x *exchange) failure(err error) error {
	if why := x.why.Load(); why != nil {
		return why
	}
	if broken := x.upload.failure(); broken != nil {
		return clientFailure(broken)
	}
	return x.server.failure(err)
}

// failure also remembers a server that could not be reached.
func (s *Server) failure(err error) *core.Error {
	d := s.diagnose(err)
	failed := core.WrapError(d.code, err, "%s: %s", s.opts.Name, d.text)
	if d.down && !errors.Is(err, context.Canceled) {
		s.health.lost(failed)
	}
	return failed
}

// clientFailure is for a request body that could not be read to its end.
func clientFailure(err error) error {
	var known *core.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &tooLarge):
		return core.WrapError(core.TooLarge, err, "the request body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, core.ErrBodyTaken):
		return core.WrapError(core.Internal, err, "the request body was used up before it could be sent on")
	}
	return core.WrapError(core.Invalid, err, "the request body broke off")
}

// diagnosis says what went wrong, and whether the server as a whole cannot be
// reached.
type diagnosis struct {
	code core.Code
	text string
	down bool
}

func (s *Server) diagnose(err error) diagnosis {
	if text := s.certificateText(err); text != "" {
		return diagnosis{core.BadUpstream, text, true}
	}
	if d := networkDiagnosis(err); d.text != "" {
		return d
	}
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return diagnosis{core.BadUpstream, "it does not speak TLS on the port of its URL", true}
	case errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return diagnosis{core.BadUpstream, "the TLS handshake failed; TLS 1.2 or later is needed, and no client certificate is sent", true}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return diagnosis{core.BadUpstream, "the connection broke off before the answer was complete", false}
	}
	return diagnosis{core.BadUpstream, "its answer is not usable HTTP, or the connection failed in the middle of it", false}
}

func (s *Server) certificateText(err error) string {
	var failed *tls.CertificateVerificationError
	if !errors.As(err, &failed) {
		return ""
	}
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet; renew it there"
	case errors.As(err, &name):
		return "its certificate is for another name than the host of its URL; correct either of them"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "its certificate is not trusted; add its certificate authority to " + s.opts.Authorities
	}
	return "its certificate cannot be verified; renew it there"
}

func networkDiagnosis(err error) diagnosis {
	var refused *refusedAddress
	var dns *net.DNSError
	var dial *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return diagnosis{core.BadUpstream, "its host stands for an address that this gateway does not call; the operator can allow private and loopback addresses", true}
	case errors.As(err, &dns) && dns.IsNotFound:
		return diagnosis{core.BadUpstream, "the host of its URL is not known to the name service", true}
	case errors.As(err, &dns):
		return diagnosis{core.BadUpstream, "the name service did not tell the address of its host", true}
	case errors.As(err, &timeout) && timeout.Timeout():
		return diagnosis{core.Timeout, "it could not be reached or did not answer in time", errors.As(err, &dial) && dial.Op == "dial"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return diagnosis{core.BadUpstream, "nobody listens at its URL", true}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return diagnosis{core.BadUpstream, "there is no way to its host", true}
	}
	return diagnosis{}
}
