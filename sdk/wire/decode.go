package wire

import (
	"errors"
	"fmt"
	"net/netip"
)

// The limits of the decoders.
const (
	MaxSize        = 64 << 20  // bytes of one JSON document
	MaxHeaders     = 256       // header fields of one message
	MaxHeaderBytes = 256 << 10 // their names and values together
	MaxFormFields  = 10_000    // values of a form
)

// ErrOtherType is what a message of another type gives. Topics may carry such
// messages; a consumer ignores them.
var ErrOtherType = errors.New("wire: a message of another type")

// ReplyID finds the request id in a reply without looking at the rest of it,
// so that a reply can be handed to whoever waits for it before it is decoded.
// It is "" when the reply has a null id or none.
func ReplyID(b []byte) (string, error) {
	if len(b) > MaxSize {
		return "", errTooBig
	}
	id := ""
	s := scanner{b: b}
	err := s.object(func(key []byte) error {
		if string(key) != "headers" {
			return s.skip()
		}
		var err error
		if id, err = requestID(&s); err == nil {
			err = errFound // the rest is for DecodeResponse
		}
		return err
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", fmt.Errorf("wire: reply: %w", err)
	}
	return id, nil
}

var (
	errFound  = errors.New("found")
	errTooBig = fmt.Errorf("wire: the message is larger than %d bytes", MaxSize)
)

// requestID takes the outer "headers" of a reply.
func requestID(s *scanner) (string, error) {
	id, seen := "", false
	if s.null() {
		return "", nil
	}
	err := s.object(func(key []byte) error {
		if string(key) != "requestId" {
			return s.skip()
		}
		if seen {
			return errors.New("two requestIds")
		}
		seen = true
		var err error
		id, err = s.text()
		return err
	})
	return id, err
}

// DecodeResponse reads a reply. What it returns still needs Check.
func DecodeResponse(b []byte) (Response, error) {
	if len(b) > MaxSize {
		return Response{}, errTooBig
	}
	r := Response{}
	kind, headers, body := TypeResponse, false, false
	s := scanner{b: b}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "type":
			kind, err = s.text()
		case "headers":
			if headers {
				return errors.New("two headers objects")
			}
			headers = true
			r.ID, err = requestID(&s)
		case "httpResponse":
			if body {
				return errors.New("two httpResponse objects")
			}
			body = true
			r.Message, err = decodeMessage(&s)
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	switch {
	case err != nil:
		return Response{}, fmt.Errorf("wire: reply: %w", err)
	case kind != TypeResponse:
		return Response{}, ErrOtherType
	case !body:
		return Response{}, errors.New("wire: reply: httpResponse is missing")
	}
	return r, nil
}

// DecodeRequest reads what the gateway sends to a service.
func DecodeRequest(b []byte) (Request, error) {
	if len(b) > MaxSize {
		return Request{}, errTooBig
	}
	r := Request{}
	kind := ""
	var inner []byte
	s := scanner{b: b}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "type":
			kind, err = s.text()
		case "headers":
			r.ID, err = requestID(&s)
		case "httpRequest":
			inner, err = s.bytes()
		case "linkApiBaseUrl":
			r.LinkBaseURL, err = s.text()
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err == nil && kind != TypeRequest {
		return Request{}, ErrOtherType
	}
	if err == nil {
		err = decodePayload(inner, &r)
	}
	if err != nil {
		// The id is kept: whoever sent the request can be told at once.
		return Request{ID: r.ID}, fmt.Errorf("wire: request: %w", err)
	}
	return r, nil
}

// decodePayload reads the document inside httpRequest.
func decodePayload(b []byte, r *Request) error {
	s := scanner{b: b}
	found := false
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "message":
			found = true
			r.Message, err = decodeMessage(&s)
		case "securityContext":
			r.Security, err = decodeSecurity(&s)
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err == nil && !found {
		err = errors.New("the message is missing")
	}
	return err
}

func decodeSecurity(s *scanner) (SecurityContext, error) {
	c := SecurityContext{}
	if s.null() {
		return c, nil
	}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "apiAccessToken":
			c.APIAccessToken, err = s.text()
		case "user":
			c.User, err = s.text()
		case "org":
			c.Org, err = s.text()
		case "rights":
			c.Rights, err = decodeStrings(s)
		default:
			err = s.skip()
		}
		return err
	})
	return c, err
}

func decodeMessage(s *scanner) (Message, error) {
	d := messageDecoder{s: s}
	if err := s.object(d.member); err != nil {
		return Message{}, err
	}
	m := d.m
	m.Remote = addrPort(d.remoteAddr, d.remotePort)
	m.Local = addrPort(d.localAddr, d.localPort)
	return m, nil
}

type messageDecoder struct {
	s                     *scanner
	m                     Message
	remoteAddr, localAddr string
	remotePort, localPort int
}

// member takes one member of the HTTP message.
func (d *messageDecoder) member(key []byte) (err error) {
	s, m := d.s, &d.m
	switch string(key) {
	case "request", "isRequest":
		m.IsRequest, err = s.boolean()
	case "id":
		m.ID, err = s.text()
	case "method":
		m.Method, err = s.text()
	case "requestUri":
		m.RequestURI, err = s.text()
	case "queryString":
		m.Query, err = s.text()
	case "headers":
		m.Headers, err = decodeHeaders(s)
	case "body":
		m.Body, err = s.bytes()
	case "statusCode":
		m.Status, err = s.integer()
	case "formData":
		m.Form, err = decodeForm(s)
	default:
		return d.minor(key)
	}
	return err
}

// minor takes the members that describe the connection.
func (d *messageDecoder) minor(key []byte) (err error) {
	switch string(key) {
	case "protocol":
		d.m.Protocol, err = d.s.text()
	case "scheme":
		d.m.Scheme, err = d.s.text()
	case "remoteAddr":
		d.remoteAddr, err = d.s.text()
	case "remotePort":
		d.remotePort, err = d.s.integer()
	case "localAddr":
		d.localAddr, err = d.s.text()
	case "localPort":
		d.localPort, err = d.s.integer()
	case "formDataEncoding":
		d.m.FormEncoding, err = d.s.text()
	default:
		err = d.s.skip()
	}
	return err
}

// addrPort is the zero value for what is not an IP address.
func addrPort(addr string, port int) netip.AddrPort {
	a, err := netip.ParseAddr(addr)
	if err != nil || port < 0 || port > 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, uint16(port))
}

// decodeHeaders takes an object of header fields, or null as nil. A value may
// be a string, a number, true or false, or a list of these; null leaves the
// field out. Names become canonical, and a later spelling of the same name
// replaces the earlier one.
func decodeHeaders(s *scanner) ([]Field, error) {
	if s.null() {
		return nil, nil
	}
	fields := []Field{}
	size, names := 0, 0
	err := s.object(func(key []byte) error {
		if names++; names > MaxHeaders {
			return fmt.Errorf("more than %d headers", MaxHeaders)
		}
		name := CanonicalName(string(key))
		fields = without(fields, name)
		add := func() error {
			value, ok, err := s.scalar()
			if err != nil || !ok {
				return err
			}
			size += len(name) + len(value)
			if len(fields) == MaxHeaders || size > MaxHeaderBytes {
				return fmt.Errorf("more than %d header fields or %d bytes of them", MaxHeaders, MaxHeaderBytes)
			}
			fields = append(fields, Field{name, value})
			return nil
		}
		if s.next() == '[' {
			return s.list('[', ']', add)
		}
		return add()
	})
	return fields, err
}

func without(fields []Field, name string) []Field {
	kept := fields[:0]
	for _, f := range fields {
		if f.Name != name {
			kept = append(kept, f)
		}
	}
	return kept
}

// scalar takes a value that is not an object or a list and gives its text; ok
// is false for null.
func (s *scanner) scalar() (text string, ok bool, err error) {
	switch s.next() {
	case '"':
		text, err = s.text()
	case 'n':
		if !s.null() {
			return "", false, s.fail("not a JSON value")
		}
		return "", false, nil
	case 't', 'f':
		var b bool
		if b, err = s.boolean(); b {
			text = "true"
		} else {
			text = "false"
		}
	case 0:
		err = errShort
	default:
		text, err = s.number()
	}
	return text, err == nil, err
}

func decodeStrings(s *scanner) ([]string, error) {
	if s.null() {
		return nil, nil
	}
	list := []string{}
	err := s.list('[', ']', func() error {
		v, err := s.text()
		list = append(list, v)
		return err
	})
	return list, err
}

func decodeForm(s *scanner) (map[string][]string, error) {
	if s.null() {
		return nil, nil
	}
	form, n := map[string][]string{}, 0
	err := s.object(func(key []byte) error {
		name := string(key)
		values, err := decodeStrings(s)
		form[name] = values
		if n += 1 + len(values); n > 2*MaxFormFields {
			return errors.New("too many form fields")
		}
		return err
	})
	return form, err
}
