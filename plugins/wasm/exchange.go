package wasm

import (
	"net/http"

	"github.com/annex-gateway/annex/core"
)

// exchange is one call as a guest sees it: a request, later an answer, and
// what the guest has changed of either. The message that it was made of is
// never altered; the results are new ones. It belongs to one goroutine.
type exchange struct {
	msg     core.Message
	rewrite bool // the guest may change method and target

	method string
	target *target // nil until changed

	req, res         fields
	reqBody, resBody payload
	status           int
	responding       bool        // the request is gone, the answer is here
	claim            *core.Claim // who the guest says is calling
	fetched          *callResult // what the last call to others brought
	fetchedTo        int         // how much of its body was read
	refused          int         // changes that were asked for and not allowed
	given            int         // bytes of header fields that the guest has given, whatever became of them
}

// maxGiven is how many bytes of header fields a guest may give in one call.
const maxGiven = 1 << 20

// takes reports whether the guest may give n more bytes of header fields.
func (x *exchange) takes(n int) bool {
	x.given += n
	return x.given <= maxGiven
}

func newExchange(g *guest, m core.Message) *exchange {
	x := &exchange{}
	x.begin(g, &m)
	return x
}

// begin makes x the exchange that m begins.
func (x *exchange) begin(g *guest, m *core.Message) {
	limit := g.pool.set.bodyBytes
	x.msg, x.rewrite, x.method, x.status = *m, g.pool.set.rewrite, m.Request.Method, http.StatusOK
	x.req = fields{rules: requestRules(), orig: m.Request.Header}
	x.res = fields{rules: responseRules()}
	x.reqBody = payload{src: m.Request.Body, limit: limit, guest: g, what: "request"}
	x.resBody = payload{limit: limit, guest: g, what: "answer"}
}

// respond brings the answer in. A body that the guest has written ahead of it
// replaces the answer's, as the border says; header fields that it has set
// stay where the answer has none of that name; an early status gives way.
func (x *exchange) respond(r *core.Response) {
	early := x.res.edit
	x.responding = true
	x.msg.Response = r
	x.status = r.Status
	x.res = fields{rules: responseRules(), orig: r.Header}
	for name, values := range early {
		if !r.Header.Has(name) {
			x.res.change(name, func(h http.Header) { h[name] = values })
		}
	}
	b := x.resBody
	x.resBody = payload{
		src: r.Body, limit: b.limit, guest: b.guest, what: b.what,
		replaced: b.replaced, written: b.written, early: b.replaced,
	}
}

// uri is the request target as the guest has left it.
func (x *exchange) uri() string {
	r := x.msg.Request
	if x.target != nil {
		r.Path, r.RawPath, r.RawQuery = x.target.path, x.target.rawPath, x.target.rawQuery
	}
	return targetOf(r)
}

// request is the message to go on with.
func (x *exchange) request() core.Message {
	m := x.msg
	m.Request.Method = x.method
	if x.target != nil {
		m.Request.Path, m.Request.RawPath, m.Request.RawQuery = x.target.path, x.target.rawPath, x.target.rawQuery
	}
	m.Request.Header = x.req.result()
	body, changed := x.reqBody.result()
	if changed {
		m.Request.Header = m.Request.Header.Without("Content-Length", "Transfer-Encoding")
	}
	m.Request.Body, m.Claim = body, x.claim
	return m
}

// answer is the message answered by the guest itself.
func (x *exchange) answer() core.Message {
	body, _ := x.resBody.result()
	return x.msg.Answer(core.Response{Status: x.status, Header: x.res.result(), Body: body})
}

// response is the message with the answer as the guest left it.
func (x *exchange) response() core.Message {
	r := *x.msg.Response
	r.Header = x.res.result()
	if r.Upgraded != nil { // what it switches to is not the guest's to change
		return x.msg.Answer(r)
	}
	r.Status = x.status
	if body, changed := x.resBody.result(); changed {
		r.Header = r.Header.Without("Content-Length", "Transfer-Encoding")
		if !x.bodyless() {
			_ = r.Body.Close()
			r.Body = body
		}
	}
	return x.msg.Answer(r)
}

// bodyless reports whether the answer cannot have a body.
func (x *exchange) bodyless() bool {
	return x.msg.Request.Method == http.MethodHead || x.status < 200 ||
		x.status == http.StatusNoContent || x.status == http.StatusNotModified
}

// payload is a body as a guest sees it: what it reads is always the body that
// came, what it writes replaces it.
type payload struct {
	guest *guest
	what  string // for messages
	limit int64
	src   *core.Body

	loaded   bool
	data     []byte
	pos      int
	replaced bool
	written  []byte
	early    bool // written ahead of the answer; the next write starts anew
	trailers *fields
}

// load makes the bytes of the body available. Waiting for them is not the
// guest's time.
func (p *payload) load() error {
	if p.loaded {
		return nil
	}
	got := make(chan []byte, 1) // reading may go on alone when the call ends: it must not write to p
	read := func() error {
		b, err := p.src.Bytes(p.limit)
		got <- b
		return err
	}
	var err error
	if p.src.Buffered() {
		err = read()
	} else {
		err = p.guest.wait(read)
	}
	if err != nil {
		return p.fault(err)
	}
	p.data, p.loaded = <-got, true
	return nil
}

// fault words an error of reading a body, for the caller to see.
func (p *payload) fault(err error) error {
	name := p.guest.pool.set.name
	if core.ErrorCode(err) != core.TooLarge {
		return core.WrapError(core.BadUpstream, err, "the %s could not be read for WASM extension '%s'", p.what, name)
	}
	code := core.TooLarge
	if p.what == "answer" {
		code = core.BadUpstream
	}
	return core.WrapError(code, err, "the %s is larger than %d bytes, and WASM extension '%s' needs it whole", p.what, p.limit, name)
}

// next gives up to n of the bytes not read yet, and whether they are the last.
func (p *payload) next(n int) (b []byte, end bool) {
	b = p.data[p.pos:min(p.pos+n, len(p.data))]
	p.pos += len(b)
	return b, p.pos == len(p.data)
}

// write adds to what replaces the body. It reports whether there was room.
func (p *payload) write(b []byte) bool {
	if p.early {
		p.early, p.written = false, nil
	}
	p.replaced = true
	if int64(len(p.written)+len(b)) > p.limit {
		return false
	}
	p.written = append(p.written, b...)
	return true
}

// empty takes the body away. Guests say so by giving a length of 0: the SDK of
// the border does not write nothing, and there are hosts where that is enough.
func (p *payload) empty() { p.early, p.replaced, p.written = false, true, nil }

// trailer gives the trailer fields, which are complete once the body is read.
func (p *payload) trailer() (*fields, error) {
	if p.trailers == nil {
		if err := p.load(); err != nil {
			return nil, err
		}
		p.trailers = &fields{rules: trailerRules(), orig: core.HeaderOf(p.src.Trailer().Clone())}
	}
	return p.trailers, nil
}

// result is the body to go on with, and whether it is another one.
func (p *payload) result() (body *core.Body, changed bool) {
	edited := p.trailers != nil && p.trailers.changed()
	if !p.replaced && !edited {
		return p.src, false
	}
	data := p.written
	if !p.replaced {
		data = p.data
	}
	body = core.BytesBody(data)
	if p.trailers != nil || p.src != nil {
		trailer := p.src.Trailer
		if edited {
			fixed := p.trailers.result().Clone()
			trailer = func() http.Header { return fixed }
		}
		body = body.WithTrailer(trailer)
	}
	return body, true
}
