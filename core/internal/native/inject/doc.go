// Package inject puts links into a representation that somebody else wrote, in
// XML or in JSON, and leaves every other byte of it as it was: it finds what
// the root says of itself and the place where links stand, and reads no more
// than it needs for that. What it does not understand stays untouched.
package inject

import (
	"io"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// The bounds of what is held in memory of a document.
const (
	// MaxDocument is how many bytes are read until the place of the links is
	// known. A document in which it comes later stays as it is.
	MaxDocument = 10 << 20
	// maxPeek is how many bytes are read until the root has told its type.
	maxPeek = 16 << 10
)

// Form is how a document is written.
type Form int

// The forms.
const (
	Other Form = iota // no form that links can be put into
	XML
	JSON
)

// Root is what the root of a document says of itself. What it does not say is
// empty.
type Root struct{ Type, ID, Href string }

// Document is the body of an answer, of which as much has been read as was
// asked for. One goroutine uses it.
type Document struct {
	src    *source
	form   Form
	size   int64
	body   *core.Body
	object *object // of a JSON document, once it has been read
}

// New takes over a body that is written in that form.
func New(form Form, b *core.Body) *Document {
	d := &Document{form: form, size: b.Size(), body: b}
	if b.Buffered() {
		all, err := b.Bytes(MaxDocument)
		if err != nil {
			d.form = Other
		}
		d.src = &source{buf: all, end: true}
		return d
	}
	d.src = &source{rest: b.Open()}
	return d
}

// Close ends the exchange that the body comes from, also while it is read.
func (d *Document) Close() error {
	if d.src.rest == nil {
		return nil
	}
	return d.src.rest.Close()
}

// Type returns the type that the root says it has, if it does so soon.
func (d *Document) Type() string {
	d.src.limit = maxPeek
	switch d.form {
	case XML:
		root, _, _ := d.src.xmlRoot()
		return root.Type
	case JSON:
		return d.src.json(true).root.Type
	}
	return ""
}

// Root returns what the root says of itself.
func (d *Document) Root() (Root, bool) {
	d.src.limit = MaxDocument
	switch d.form {
	case XML:
		root, _, ok := d.src.xmlRoot()
		return root, ok
	case JSON:
		o := d.json()
		return o.root, o.ok
	}
	return Root{}, false
}

func (d *Document) json() object {
	if d.object == nil {
		o := d.src.json(false)
		d.object = &o
	}
	return *d.object
}

// Body gives the document with the links in it: behind those that are there,
// else where links belong. Without links, or when it has no place for them, it
// is the document as it came. It may be asked for once.
func (d *Document) Body(links ...*vxml.Element) *core.Body {
	d.src.limit = MaxDocument
	var s splice
	if len(links) > 0 {
		switch d.form {
		case XML:
			s = d.src.xmlSplice(links)
		case JSON:
			s = d.json().splice(d.src.buf, links)
		}
	}
	if d.src.rest == nil && s.text == nil {
		return d.body
	}
	head := s.apply(d.src.buf)
	if d.src.rest == nil {
		return core.BytesBody(head)
	}
	size := d.size
	if size >= 0 {
		size += int64(len(s.text) - s.cut)
	}
	b := core.StreamBody(&stream{head: head, src: d.src}, size)
	return b.WithTrailer(d.body.Trailer)
}

// splice is what becomes of a document: text goes in at a place, instead of
// the cut bytes that stand there.
type splice struct {
	at, cut int
	text    []byte
}

func (s splice) apply(doc []byte) []byte {
	if s.text == nil {
		return doc
	}
	out := make([]byte, 0, len(doc)+len(s.text)-s.cut)
	out = append(out, doc[:s.at]...)
	out = append(out, s.text...)
	return append(out, doc[s.at+s.cut:]...)
}

// stream is what was read of a document and then the rest.
type stream struct {
	head []byte
	src  *source
}

// Read gives the next bytes.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	switch {
	case s.src.err != nil:
		return 0, s.src.err
	case s.src.end:
		return 0, io.EOF
	}
	return s.src.rest.Read(p)
}

// Close ends the exchange.
func (s *stream) Close() error { return s.src.rest.Close() }
