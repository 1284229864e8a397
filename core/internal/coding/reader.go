package coding

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"

	"github.com/annex-gateway/annex/core"
)

const (
	freeBytes = 16 << 20 // that come out of a body whatever its ratio
	maxRatio  = 250      // of what comes out beyond that
)

// reader is a body that is decoded as it is read. One goroutine reads it; any
// may close it.
type reader struct {
	source io.ReadCloser
	out    io.Reader
	left   int64 // bytes that may still come out; negative: any number
	limit  int64
	err    error
}

func newReader(b *core.Body, codings []string, limit int64) *reader {
	r := &reader{source: b.Open(), left: -1, limit: limit}
	if limit > 0 {
		r.left = limit
	}
	r.out = r.source
	for i := len(codings) - 1; i >= 0; i-- {
		r.out = &layer{coding: codings[i], in: counter{Reader: r.out}}
	}
	return r
}

// Read decodes the next bytes.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.left >= 0 && int64(len(p)) > r.left+1 {
		p = p[:r.left+1]
	}
	n, err := r.out.Read(p)
	if r.left >= 0 {
		if int64(n) > r.left {
			n = int(r.left)
			err = core.Errorf(core.BadUpstream, "the answer has more than %d bytes once it is decoded", r.limit)
		}
		r.left -= int64(n)
	}
	r.err = err
	return n, err
}

// Close gives the rest up. It does not wait for a Read.
func (r *reader) Close() error { return r.source.Close() }

// counter counts what goes into a layer, and keeps the failure of the source
// apart from what the layer makes of it.
type counter struct {
	io.Reader
	n   int64
	err error
}

// Read counts.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// layer undoes one coding.
type layer struct {
	coding string
	in     counter
	buf    *bufio.Reader // over in
	out    io.Reader     // nil before the first byte was asked for
	given  int64
}

// Read decodes the next bytes.
func (l *layer) Read(p []byte) (int, error) {
	if l.out == nil {
		if err := l.open(); err != nil {
			return 0, l.failure(err)
		}
	}
	n, err := l.out.Read(p)
	l.given += int64(n)
	switch {
	case l.given > freeBytes && l.given/maxRatio > l.in.n:
		return n, core.Errorf(core.BadUpstream, "the answer grows more than %d times when it is decoded", maxRatio)
	case errors.Is(err, io.EOF):
		return n, l.finish()
	case err != nil:
		return n, l.failure(err)
	}
	return n, nil
}

func (l *layer) open() error {
	l.buf = bufio.NewReader(&l.in)
	_, err := l.buf.Peek(1)
	switch {
	case errors.Is(err, io.EOF): // some servers compress nothing to nothing
		l.out, err = l.buf, nil
	case err != nil:
	case l.coding == gzipped:
		l.out, err = gzip.NewReader(l.buf)
	case l.zlibbed():
		l.out, err = zlib.NewReader(l.buf)
	default:
		l.out = flate.NewReader(l.buf)
	}
	return err
}

// zlibbed tells the form that "deflate" stands for from the bare one that some
// servers send in its place.
func (l *layer) zlibbed() bool {
	b, _ := l.buf.Peek(2)
	return len(b) == 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (int(b[0])<<8|int(b[1]))%31 == 0
}

// finish reads the source to its end, where its trailer is, and holds that
// nothing follows.
func (l *layer) finish() error {
	if _, err := l.buf.ReadByte(); err == nil {
		return core.Errorf(core.BadUpstream, "the answer goes on after the end of its compressed content")
	} else if !errors.Is(err, io.EOF) {
		return l.failure(err)
	}
	return io.EOF
}

func (l *layer) failure(err error) error {
	switch {
	case l.in.err != nil:
		return l.in.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return core.WrapError(core.BadUpstream, err, "the answer ends in the middle of its compressed content")
	}
	return core.WrapError(core.BadUpstream, err, "the compressed content of the answer is damaged")
}
