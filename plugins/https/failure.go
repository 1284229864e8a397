package https

import (
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

// failure turns the end of an exchange into an error that says which endpoint
// and what kind of failure, and names no address.
func (x *exchange) failure(err error) error {
	if why := x.why.Load(); why != nil {
		return why
	}
	if broken := x.upload.failure(); broken != nil {
		return clientFailure(broken)
	}
	code, text := diagnose(err)
	return core.WrapError(code, err, "external endpoint %s: %s", x.conn.name, text)
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

func diagnose(err error) (core.Code, string) {
	if text := certificateText(err); text != "" {
		return core.BadUpstream, text
	}
	if code, text := networkText(err); text != "" {
		return code, text
	}
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return core.BadUpstream, "it does not speak TLS on the port of its root URL"
	case errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return core.BadUpstream, "the TLS handshake failed; TLS 1.2 or later is needed, and no client certificate is sent"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return core.BadUpstream, "the connection broke off before the answer was complete"
	}
	return core.BadUpstream, "its answer is not usable HTTP, or the connection failed in the middle of it"
}

func certificateText(err error) string {
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
		return "its certificate is for another name than the host of its root URL; correct either of them"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "its certificate is not trusted; add its certificate authority to the trusted certificates of the System organization"
	}
	return "its certificate cannot be verified; renew it there"
}

func networkText(err error) (core.Code, string) {
	var refused *refusedAddress
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return core.BadUpstream, "its host stands for an address that this gateway does not call; the operator can allow private and loopback addresses"
	case errors.As(err, &dns) && dns.IsNotFound:
		return core.BadUpstream, "the host of its root URL is not known to the name service"
	case errors.As(err, &dns):
		return core.BadUpstream, "the name service did not tell the address of its host"
	case errors.As(err, &timeout) && timeout.Timeout():
		return core.Timeout, "it could not be reached or did not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return core.BadUpstream, "nobody listens at its root URL"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return core.BadUpstream, "there is no way to its host"
	}
	return core.BadUpstream, ""
}
