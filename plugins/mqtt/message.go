package mqtt

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// request puts m into the form of the bus.
func (c *conn) request(ctx context.Context, m core.Message) (*wire.Request, error) {
	r := m.Request
	header, body := r.Header, r.Body
	if m.Answered() {
		header, body = m.Response.Header, m.Response.Body
	}
	data, err := c.read(ctx, body, m.Answered())
	if err != nil {
		return nil, err
	}
	token, err := c.token(ctx, m.Caller)
	if err != nil {
		return nil, err
	}
	id := newID()
	req := &wire.Request{
		ID: id,
		Message: wire.Message{
			IsRequest:  !m.Answered(),
			ID:         id,
			Method:     r.Method,
			RequestURI: cmp.Or(r.RawPath, r.Path),
			Query:      r.RawQuery,
			Protocol:   r.Proto,
			Scheme:     r.Scheme,
			Remote:     r.RemoteAddr,
			Local:      r.LocalAddr,
			Headers:    shown(header),
			Body:       data,
		},
		Security:    wire.SecurityContext{APIAccessToken: token, User: m.Caller.UserID, Org: m.Caller.OrgID},
		LinkBaseURL: r.BaseURL() + "/api/",
	}
	msg := &req.Message
	if m.Answered() {
		msg.Status = m.Response.Status
	} else {
		if r.Host != "" && !header.Has("Host") {
			msg.Headers = append(msg.Headers, wire.Field{Name: "Host", Value: r.Host})
		}
		msg.Form, msg.FormEncoding = form(header.Get("Content-Type"), data)
	}
	if c.kind.opts.SendRights {
		req.Security.Rights = m.Caller.Rights.Names()
	}
	return req, nil
}

// read gives the whole body. A body that is still on its way is read beside,
// so that ctx can end the wait; the client's own connection ends the reading.
func (c *conn) read(ctx context.Context, b *core.Body, answer bool) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	var r result
	if b.Buffered() {
		r.data, r.err = b.Bytes(c.kind.opts.BodyLimit)
	} else {
		done := make(chan result, 1)
		go func() {
			data, err := b.Bytes(c.kind.opts.BodyLimit)
			done <- result{data, err}
		}()
		select {
		case r = <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var ours *core.Error
	switch {
	case r.err == nil:
		return r.data, nil
	case errors.As(r.err, &ours) && answer:
		return nil, core.WrapError(core.BadUpstream, r.err, "the answer is too large for external service '%s' to see: more than %d bytes",
			c.sys.Name, c.kind.opts.BodyLimit)
	case errors.As(r.err, &ours):
		return nil, ours
	case answer:
		return nil, core.WrapError(core.BadUpstream, r.err, "the answer broke off before external service '%s' could see it", c.sys.Name)
	}
	return nil, core.WrapError(core.Invalid, r.err, "the body of the request could not be read to its end")
}

// token is what the service may act with as the caller; a string in any case.
func (c *conn) token(ctx context.Context, caller core.Caller) (string, error) {
	if c.kind.minter == nil || !caller.Known() {
		return "", nil
	}
	return c.kind.minter.MintToken(ctx, caller)
}

// shown lists the header fields that a service may see, the values of one
// name side by side.
func shown(h core.Header) []wire.Field {
	fields := make([]wire.Field, 0, h.Len()+1)
	for name, value := range h.All() {
		switch {
		case wire.Credential(name) || wire.HopByHop(name) || name == "Set-Cookie":
			continue
		case name == "Cookie":
			if _, value = wire.SplitCookie(value); value == "" {
				continue
			}
		}
		fields = append(fields, wire.Field{Name: name, Value: value})
	}
	return fields
}

// apply reads a reply and gives m as the reply leaves it.
func (c *conn) apply(m core.Message, payload []byte) (core.Message, error) {
	r, err := wire.DecodeResponse(payload)
	if err != nil {
		return m, err
	}
	if err := r.Check(); err != nil {
		return m, err
	}
	switch {
	case !r.Message.IsRequest:
		return m.Answer(answer(&r.Message, m.Response)), nil
	case m.Answered():
		return m, errors.New("a request in place of a response")
	}
	m.Request = rewritten(&r.Message, m.Request)
	return m, nil
}

// answer makes the response of a reply. What a service does not see of an
// earlier answer, and cannot set itself, is taken over from it.
func answer(msg *wire.Message, earlier *core.Response) core.Response {
	h := fromFields(msg.Headers, wire.NotInReply)
	if earlier != nil {
		for name, value := range earlier.Header.All() {
			if wire.Credential(name) || name == "Set-Cookie" || name == "Vary" {
				h.Add(name, value)
			}
		}
	}
	res := core.Response{Status: msg.Status, Header: core.HeaderOf(h)}
	if msg.Status != http.StatusNoContent && msg.Status != http.StatusNotModified {
		res.Body = core.BytesBody(msg.Body)
	}
	return res
}

// rewritten makes the request that replaces r. The caller's credentials are
// always those of r.
func rewritten(msg *wire.Message, r core.Request) core.Request {
	old := r.Header
	r.Method = strings.ToUpper(msg.Method)
	r.Path, r.RawPath, r.RawQuery = msg.RequestURI, msg.RequestURI, msg.Query
	r.Body = core.BytesBody(msg.Body)
	if msg.Headers == nil { // the reply does not speak of them
		r.Header = old.Without("Content-Length", "Transfer-Encoding", "Trailer")
		return r
	}
	h := fromFields(msg.Headers, func(name string) bool {
		return wire.Credential(name) || wire.HopByHop(name) || name == "Host"
	})
	var cookies []string
	for _, value := range h["Cookie"] {
		if _, others := wire.SplitCookie(value); others != "" {
			cookies = append(cookies, others)
		}
	}
	for name, value := range old.All() {
		if wire.Credential(name) {
			h.Add(name, value)
		} else if name == "Cookie" {
			if session, _ := wire.SplitCookie(value); session != "" {
				cookies = append(cookies, session)
			}
		}
	}
	h.Del("Cookie")
	if len(cookies) > 0 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	r.Header = core.HeaderOf(h)
	return r
}

// fromFields gives the fields without those that drop names and those that
// the message itself calls its connection's own.
func fromFields(fields []wire.Field, drop func(name string) bool) http.Header {
	own := map[string]bool{}
	for _, f := range fields {
		if f.Name == "Connection" {
			for name := range strings.SplitSeq(f.Value, ",") {
				own[wire.CanonicalName(strings.TrimSpace(name))] = true
			}
		}
	}
	h := make(http.Header, len(fields)+1)
	for _, f := range fields {
		if !drop(f.Name) && !own[f.Name] {
			h.Add(f.Name, strings.Trim(f.Value, " \t"))
		}
	}
	return h
}
