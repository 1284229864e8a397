//go:build !wasip1

package sdk

import (
	"net/http"
	"slices"
	"strings"
)

// Handle has no effect here: only a module has a gateway around it. A [Trial]
// runs a handler without one.
func Handle(func(*Call)) {}

// Trial runs a handler on one call in an ordinary test, without a gateway.
// The upper fields are the call; the lower ones are filled by Run.
type Trial struct {
	Method, URI   string      // default: GET and /
	Proto, Source string      // default: HTTP/1.1 and 127.0.0.1:40000
	Header        http.Header // of the request; changed by the handler
	Body          []byte      // of the request; changed by the handler
	Config        []byte
	Next          func(*Trial) // gives the answer where the handler does not; default: 200 and nothing

	Answered       bool // by the handler itself
	Status         int
	ResponseHeader http.Header
	ResponseBody   []byte
	Log            []string // "level: text"

	Surroundings // of the gateway's own functions
}

// Run calls the handler, and the function that it gave to OnResponse.
func (t *Trial) Run(h func(*Call)) {
	fill(&t.Method, http.MethodGet)
	fill(&t.URI, "/")
	fill(&t.Proto, "HTTP/1.1")
	fill(&t.Source, "127.0.0.1:40000")
	if t.Header == nil {
		t.Header = http.Header{}
	}
	if t.ResponseHeader == nil {
		t.ResponseHeader = http.Header{}
	}
	t.Status = http.StatusOK
	c := &Call{host: host{t: t}}
	h(c)
	c.finish()
	if t.Answered = c.answered; t.Answered {
		return
	}
	if t.Next != nil {
		t.Next(t)
	}
	if c.onResponse != nil {
		c.respond()
	}
}

func fill(p *string, v string) {
	if *p == "" {
		*p = v
	}
}

// host stands for the gateway in a trial.
type host struct{ t *Trial }

func (h host) header(kind uint32) http.Header {
	if kind == ofRequest {
		return h.t.Header
	}
	return h.t.ResponseHeader
}

func (h host) body(kind uint32) *[]byte {
	if kind == ofRequest {
		return &h.t.Body
	}
	return &h.t.ResponseBody
}

func (host) enable(uint32)    {}
func (h host) method() string { return h.t.Method }
func (h host) uri() string    { return h.t.URI }
func (h host) proto() string  { return h.t.Proto }
func (h host) source() string { return h.t.Source }
func (h host) config() []byte { return h.t.Config }

func (h host) headerNames(kind uint32) []string {
	var names []string
	for n := range h.header(kind) {
		names = append(names, strings.ToLower(n))
	}
	slices.Sort(names)
	return names
}

func (h host) headerValues(kind uint32, name string) []string { return h.header(kind).Values(name) }
func (h host) setHeader(kind uint32, name, value string)      { h.header(kind).Set(name, value) }
func (h host) addHeader(kind uint32, name, value string)      { h.header(kind).Add(name, value) }
func (h host) removeHeader(kind uint32, name string)          { h.header(kind).Del(name) }
func (h host) setMethod(method string)                        { h.t.Method = method }
func (h host) setURI(uri string)                              { h.t.URI = uri }
func (h host) status() int                                    { return h.t.Status }
func (h host) setStatus(status int)                           { h.t.Status = status }
func (h host) readBody(kind uint32) []byte                    { return *h.body(kind) }
func (h host) writeBody(kind uint32, b []byte)                { *h.body(kind) = b }

// bytesOf gives the bytes of a string that nobody changes.
func bytesOf(s string) []byte { return []byte(s) }

func (h host) log(level int32, text string) {
	names := [...]string{"debug", "info", "warn", "error"}
	h.t.Log = append(h.t.Log, names[level+1]+": "+text)
}
