package wire

import (
	"encoding/base64"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Encoder writes requests. It keeps a scratch buffer between calls, so one
// Encoder must not be used by two goroutines at once. The zero Encoder works.
type Encoder struct{ inner []byte }

// keptScratch is the size up to which an Encoder keeps its buffer.
const keptScratch = 1 << 20

// AppendRequest appends the JSON of r to dst. It allocates nothing once dst
// and the Encoder have grown to the size of the messages, unless r has a form.
func (e *Encoder) AppendRequest(dst []byte, r *Request) []byte {
	in := e.inner[:0]
	in = append(in, `{"message":`...)
	in = appendMessage(in, &r.Message)
	in = append(in, `,"securityContext":`...)
	in = appendSecurity(in, &r.Security)
	in = append(in, `,"context":null}`...)

	dst = append(dst, `{"type":"`+TypeRequest+`","headers":{"requestId":`...)
	dst = appendString(dst, r.ID)
	dst = append(dst, `,"context":`...)
	dst = appendSecurity(dst, &r.Security)
	dst = append(dst, `},"httpRequest":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, in)
	dst = append(dst, `","linkApiBaseUrl":`...)
	dst = appendString(dst, r.LinkBaseURL)
	if cap(in) <= keptScratch {
		e.inner = in
	} else {
		e.inner = nil
	}
	return append(dst, '}')
}

// AppendResponse appends the JSON of r to dst. A reply that replaces the
// request carries the request's fields, any other one the answer's.
func AppendResponse(dst []byte, r *Response) []byte {
	m := &r.Message
	dst = append(dst, `{"type":"`+TypeResponse+`","headers":{"requestId":`...)
	dst = appendNullable(dst, r.ID)
	dst = append(dst, `},"httpResponse":{`...)
	if m.IsRequest {
		dst = append(dst, `"request":true,"method":`...)
		dst = appendString(dst, m.Method)
		dst = append(dst, `,"requestUri":`...)
		dst = appendString(dst, m.RequestURI)
		dst = append(dst, `,"queryString":`...)
		dst = appendNullable(dst, m.Query)
	} else {
		dst = append(dst, `"statusCode":`...)
		dst = strconv.AppendInt(dst, int64(m.Status), 10)
	}
	dst = append(dst, `,"headers":`...)
	dst = appendHeaders(dst, m.Headers)
	dst = append(dst, `,"body":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, m.Body)
	return append(dst, `"}}`...)
}

func appendMessage(dst []byte, m *Message) []byte {
	dst = append(dst, `{"request":`...)
	dst = strconv.AppendBool(dst, m.IsRequest)
	dst = append(dst, `,"id":`...)
	dst = appendString(dst, m.ID)
	dst = append(dst, `,"method":`...)
	dst = appendString(dst, m.Method)
	dst = append(dst, `,"requestUri":`...)
	dst = appendString(dst, m.RequestURI)
	dst = append(dst, `,"queryString":`...) // the key is always there: a real client fails without it
	dst = appendNullable(dst, m.Query)
	dst = append(dst, `,"protocol":`...)
	dst = appendString(dst, m.Protocol)
	dst = append(dst, `,"scheme":`...)
	dst = appendString(dst, m.Scheme)
	dst = append(dst, `,"remoteAddr":`...)
	dst = appendAddr(dst, m.Remote.Addr())
	dst = append(dst, `,"remotePort":`...)
	dst = strconv.AppendUint(dst, uint64(m.Remote.Port()), 10)
	dst = append(dst, `,"localAddr":`...)
	dst = appendAddr(dst, m.Local.Addr())
	dst = append(dst, `,"localPort":`...)
	dst = strconv.AppendUint(dst, uint64(m.Local.Port()), 10)
	dst = append(dst, `,"headers":`...)
	dst = appendHeaders(dst, m.Headers)
	dst = append(dst, `,"formData":`...)
	dst = appendForm(dst, m.Form)
	dst = append(dst, `,"formDataEncoding":`...)
	dst = appendNullable(dst, m.FormEncoding)
	dst = append(dst, `,"body":"`...) // "" for none: a real client fails on null
	dst = base64.StdEncoding.AppendEncode(dst, m.Body)
	dst = append(dst, '"')
	if m.Status != 0 {
		dst = append(dst, `,"statusCode":`...)
		dst = strconv.AppendInt(dst, int64(m.Status), 10)
	}
	return append(dst, '}')
}

func appendSecurity(dst []byte, s *SecurityContext) []byte {
	dst = append(dst, `{"apiAccessToken":`...)
	dst = appendString(dst, s.APIAccessToken)
	dst = append(dst, `,"user":`...)
	dst = appendString(dst, s.User)
	dst = append(dst, `,"org":`...)
	dst = appendString(dst, s.Org)
	dst = append(dst, `,"rights":`...)
	if s.Rights == nil {
		dst = append(dst, `null`...)
	} else {
		dst = appendStrings(dst, s.Rights)
	}
	return append(dst, `,"parameters":null}`...)
}

// appendHeaders writes one string per name: several values are joined by
// commas, those of Cookie by semicolons as RFC 9113 demands.
func appendHeaders(dst []byte, fields []Field) []byte {
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 && fields[i-1].Name == f.Name {
			dst = dst[:len(dst)-1] // open the string again
			if f.Name == "Cookie" {
				dst = append(dst, "; "...)
			} else {
				dst = append(dst, ", "...)
			}
			dst = append(appendEscaped(dst, f.Value), '"')
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, f.Name)
		dst = append(dst, ':')
		dst = appendString(dst, f.Value)
	}
	return append(dst, '}')
}

func appendForm(dst []byte, form map[string][]string) []byte {
	if form == nil {
		return append(dst, `null`...)
	}
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(form)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
		dst = append(dst, ':')
		dst = appendStrings(dst, form[name])
	}
	return append(dst, '}')
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	dst = append(dst, '"')
	if a.IsValid() {
		dst = a.Unmap().AppendTo(dst)
	}
	return append(dst, '"')
}

func appendNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, `null`...)
	}
	return appendString(dst, s)
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped writes the inside of a JSON string. Bytes that are not UTF-8
// become U+FFFD, as JSON cannot hold them.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}
