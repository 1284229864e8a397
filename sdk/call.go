package sdk

import "strings"

// The features of the border that the package turns on where they are needed.
const (
	bufferRequest  = 1
	bufferResponse = 2
)

// The kinds of header fields and bodies, as the border numbers them.
const (
	ofRequest  = 0
	ofResponse = 1
)

// The levels of the log, as the border numbers them.
const (
	levelDebug int32 = iota - 1
	levelInfo
	levelWarn
	levelError
)

// Call is one call on its way through the gateway. It is valid while the
// handler runs, and for the function given to OnResponse while that runs.
type Call struct {
	host       host
	answered   bool
	status     int // of the own answer; 0: not set, which is 200
	request    pending
	answer     pending
	onResponse func(*Response)
	response   Response
}

// pending is a body that replaces another one. It is written once, when the
// handler is done: the border would add a second one to the first.
type pending struct {
	body []byte
	set  bool
}

func (p *pending) flush(h host, kind uint32) {
	if p.set {
		h.writeBody(kind, p.body)
	}
}

func (c *Call) finish() {
	c.request.flush(c.host, ofRequest)
	c.answer.flush(c.host, ofResponse)
}

func (c *Call) respond() {
	c.response = Response{host: c.host}
	c.onResponse(&c.response)
	c.response.body.flush(c.host, ofResponse)
}

// Method is the method of the request, such as GET.
func (c *Call) Method() string { return c.host.method() }

// URI is the request target as it is written on the wire: path and query.
func (c *Call) URI() string { return c.host.uri() }

// Path is the path of the request, percent-encoded as it was sent.
func (c *Call) Path() string {
	path, _, _ := strings.Cut(c.host.uri(), "?")
	return path
}

// Query is what stands behind the question mark, as it was sent.
func (c *Call) Query() string {
	_, query, _ := strings.Cut(c.host.uri(), "?")
	return query
}

// Proto is the protocol of the client, such as HTTP/1.1.
func (c *Call) Proto() string { return c.host.proto() }

// Source is the address of the client, with its port.
func (c *Call) Source() string { return c.host.source() }

// Config is the configuration of the extension: a string as the text in it,
// anything else as JSON.
func (c *Call) Config() []byte { return c.host.config() }

// Header is the first value of a header field of the request, or "".
func (c *Call) Header(name string) string { return first(c.HeaderValues(name)) }

// HeaderValues are all values of a header field of the request.
func (c *Call) HeaderValues(name string) []string { return c.host.headerValues(ofRequest, name) }

// HeaderNames are the names of all header fields of the request, in lower
// case.
func (c *Call) HeaderNames() []string { return c.host.headerNames(ofRequest) }

// SetHeader gives a header field of the request one value.
func (c *Call) SetHeader(name, value string) { c.host.setHeader(ofRequest, name, value) }

// AddHeader adds a value to a header field of the request.
func (c *Call) AddHeader(name, value string) { c.host.addHeader(ofRequest, name, value) }

// RemoveHeader takes a header field out of the request.
func (c *Call) RemoveHeader(name string) { c.host.removeHeader(ofRequest, name) }

// Body reads the body of the request; it is there for others as well.
func (c *Call) Body() []byte {
	c.host.enable(bufferRequest)
	return c.host.readBody(ofRequest)
}

// SetBody replaces the body of the request.
func (c *Call) SetBody(b []byte) { c.request = pending{b, true} }

// SetMethod changes the method. The registration must give the extension the
// capability rewrite; without it the call fails.
func (c *Call) SetMethod(method string) { c.host.setMethod(method) }

// SetURI changes path and query, percent-encoded. It needs the capability
// rewrite, as SetMethod does.
func (c *Call) SetURI(uri string) { c.host.setURI(uri) }

// Answer ends the call with an answer of the extension's own. A handler that
// does not answer lets the call go on to the next system.
func (c *Call) Answer(status int, contentType, body string) {
	c.SetAnswerHeader("Content-Type", contentType)
	if status != max(c.status, 200) {
		c.host.setStatus(status)
	}
	c.answer = pending{bytesOf(body), true}
	c.answered, c.status = true, status
}

// SetAnswerHeader sets a header field of the answer that this handler gives.
func (c *Call) SetAnswerHeader(name, value string) { c.host.setHeader(ofResponse, name, value) }

// OnResponse has f called with the answer that somebody else gives to this
// call. It is not called when there is none.
func (c *Call) OnResponse(f func(*Response)) {
	c.host.enable(bufferResponse)
	c.onResponse = f
}

// Debug writes a line into the gateway's log.
func (c *Call) Debug(text string) { c.host.log(levelDebug, text) }

// Info writes a line into the gateway's log.
func (c *Call) Info(text string) { c.host.log(levelInfo, text) }

// Warn writes a line into the gateway's log.
func (c *Call) Warn(text string) { c.host.log(levelWarn, text) }

// Error writes a line into the gateway's log.
func (c *Call) Error(text string) { c.host.log(levelError, text) }

// Response is the answer to a call that the handler let go on.
type Response struct {
	host host
	body pending
}

// Status is the status code.
func (r *Response) Status() int { return r.host.status() }

// SetStatus changes the status code.
func (r *Response) SetStatus(status int) { r.host.setStatus(status) }

// Header is the first value of a header field of the answer, or "".
func (r *Response) Header(name string) string { return first(r.HeaderValues(name)) }

// HeaderValues are all values of a header field of the answer.
func (r *Response) HeaderValues(name string) []string { return r.host.headerValues(ofResponse, name) }

// HeaderNames are the names of all header fields of the answer, in lower case.
func (r *Response) HeaderNames() []string { return r.host.headerNames(ofResponse) }

// SetHeader gives a header field of the answer one value.
func (r *Response) SetHeader(name, value string) { r.host.setHeader(ofResponse, name, value) }

// AddHeader adds a value to a header field of the answer.
func (r *Response) AddHeader(name, value string) { r.host.addHeader(ofResponse, name, value) }

// RemoveHeader takes a header field out of the answer.
func (r *Response) RemoveHeader(name string) { r.host.removeHeader(ofResponse, name) }

// Body reads the body of the answer. An answer whose body nobody reads is
// passed on as a stream.
func (r *Response) Body() []byte { return r.host.readBody(ofResponse) }

// SetBody replaces the body of the answer.
func (r *Response) SetBody(b []byte) { r.body = pending{b, true} }

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
