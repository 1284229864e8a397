package wire

import "net/netip"

// The values of the key "type".
const (
	TypeRequest  = "API_REQUEST"
	TypeResponse = "API_RESPONSE"
)

// Request is what the gateway sends to a service: an HTTP request, or at the
// response stage an HTTP response with the request that led to it.
type Request struct {
	ID          string // correlates the reply
	Message     Message
	Security    SecurityContext
	LinkBaseURL string // links that a service makes start with it
}

// Response is what a service sends back.
type Response struct {
	ID      string // of the Request; empty when the service could not read it
	Message Message
}

// Message is one HTTP message. Which fields it has depends on the direction:
// a request has no Status, an answer has no Method.
type Message struct {
	// IsRequest tells whether the message is to be read as a request. A
	// reply with it set replaces the request instead of answering it.
	IsRequest  bool
	ID         string
	Method     string
	RequestURI string // the path as it stands on the wire, without the query
	Query      string
	Protocol   string // "HTTP/1.1"
	Scheme     string // "http" or "https"
	Remote     netip.AddrPort
	Local      netip.AddrPort
	// Headers holds the fields in order, the values of one name side by side.
	// Nil says that the message came without the key.
	Headers []Field
	// Form holds the fields of an HTML form, beside Body; nil when the
	// message carries none.
	Form         map[string][]string
	FormEncoding string
	Body         []byte
	Status       int // of an answer, else 0
}

// Field is one header field. In messages that this package made, Name is
// canonical: Content-Type.
type Field struct{ Name, Value string }

// Header returns the first value of the canonical name, or "".
func (m *Message) Header(name string) string {
	for _, f := range m.Headers {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// SecurityContext tells a service on whose behalf it is called.
type SecurityContext struct {
	APIAccessToken string   // acts as the caller in calls back to the gateway
	User           string   // URN
	Org            string   // URN
	Rights         []string // nil: not told
}
