package core

import (
	"io"
	"net/netip"
)

// Message is one API call on its way through the gateway. On the way in it has
// a Request only; once somebody has answered it has a Response too. It is
// passed by value, its headers never change in place, and what a system was
// shown is frozen: a late or failed system cannot alter what others see.
type Message struct {
	ID       string // correlates the call with replies, logs and traces
	Caller   Caller // set by the authenticate step; zero before it
	Claim    *Claim // who an authenticate module says is calling; read once, then sealed
	Route    Route  // how this visit came about; set anew before each visit
	Request  Request
	Response *Response
}

// Answered reports whether the message has a response.
func (m Message) Answered() bool { return m.Response != nil }

// Answer returns m answered with r.
func (m Message) Answer(r Response) Message {
	m.Response = &r
	return m
}

// Route says which filter brought a message to a system, and which part of
// the path the filter leaves to the system.
type Route struct {
	FilterID string
	Stage    Stage
	Scope    Scope
	Tenant   string // the organisation named in /ext-ui/tenant/<name>
	Prefix   string // the raw path in front of Tail, as the client sees it
	Tail     string // what the final .* of an endpoint's pattern matched, percent-encoded as sent
}

// Request is the HTTP request of a message.
//
// Path is the canonical path: percent-decoded once, checked, and the only form
// that filters, authorization and dispatch look at. RawPath is the same path
// as it is written on the wire. RawQuery is the client's query, byte for byte.
type Request struct {
	Method   string
	Path     string
	RawPath  string
	RawQuery string

	Proto      string // "HTTP/1.1", "HTTP/2.0"
	Scheme     string // "http" or "https", as the client sees it
	Host       string // host and port as the client sees them
	RemoteAddr netip.AddrPort
	LocalAddr  netip.AddrPort

	Header  Header
	Body    *Body
	Upgrade string // "websocket" when the client asks for it, else empty
}

// BaseURL is the gateway's address as this client reaches it, without a
// trailing slash: "https://localhost:8443".
func (r Request) BaseURL() string { return r.Scheme + "://" + r.Host }

// Target is the request target on the wire: the raw path and the raw query.
func (r Request) Target() string {
	if r.RawQuery == "" {
		return r.RawPath
	}
	return r.RawPath + "?" + r.RawQuery
}

// Response is the HTTP response of a message.
type Response struct {
	Status int
	Header Header
	Body   *Body
	// Upgraded is set on a 101 response only: the connection to the system,
	// past the handshake. Whoever writes the response owns and closes it.
	Upgraded io.ReadWriteCloser
}

// Claim names an existing user on whose behalf a call shall be made. A module
// of the authenticate stage may leave one in a message.
type Claim struct {
	User string // user name
	Org  string // organisation name
}
