package core

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// ErrBodyTaken is what reading a streamed body gives after somebody else took
// the stream.
var ErrBodyTaken = errors.New("the body was already read as a stream")

// Body is the payload of a request or a response. It stays a stream until
// somebody needs its bytes; from then on it can be read any number of times.
// A nil Body is empty. A Body is safe for concurrent use; a stream opened from
// it is not.
type Body struct {
	reading sync.Mutex // held while the stream is read into bytes

	mu      sync.Mutex    // guards what follows; never held while reading
	stream  io.ReadCloser // nil once buffered, taken or closed
	bytes   []byte
	whole   bool // bytes is everything there is
	size    int64
	trailer func() http.Header
}

// StreamBody makes a body of r, whose length is size, or -1 when it is not
// known.
func StreamBody(r io.ReadCloser, size int64) *Body {
	return &Body{stream: r, size: size}
}

// BytesBody makes a body of b, which must not be changed afterwards.
func BytesBody(b []byte) *Body {
	return &Body{bytes: b, whole: true, size: int64(len(b))}
}

// WithTrailer tells where the trailer fields can be read once the stream is
// at its end. It returns b.
func (b *Body) WithTrailer(f func() http.Header) *Body {
	b.trailer = f
	return b
}

// Trailer returns the trailer fields, complete once the stream is at its end.
func (b *Body) Trailer() http.Header {
	if b == nil || b.trailer == nil {
		return nil
	}
	return b.trailer()
}

// Size is the length in bytes, or -1 when it is not known.
func (b *Body) Size() int64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// Buffered reports whether the bytes are at hand, so that Bytes does not wait.
func (b *Body) Buffered() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

// Bytes returns the whole body, which must not be changed. A body longer than
// limit gives a TooLarge error, and can then still be streamed.
func (b *Body) Bytes(limit int64) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	stream, have, err := b.stream, b.bytes, b.readable(limit)
	whole := b.whole
	b.mu.Unlock()
	if err != nil || whole {
		return have, err
	}
	rest, err := io.ReadAll(io.LimitReader(stream, limit-int64(len(have))+1))
	return b.gathered(append(have, rest...), limit, err)
}

// readable tells why the body cannot be had within limit, or nil.
func (b *Body) readable(limit int64) error {
	switch {
	case b.size > limit || int64(len(b.bytes)) > limit:
		return tooLarge(limit)
	case !b.whole && b.stream == nil:
		return ErrBodyTaken
	}
	return nil
}

// gathered takes in what was read of the stream.
func (b *Body) gathered(all []byte, limit int64, err error) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes = all
	switch {
	case err != nil:
		return nil, err
	case b.stream == nil:
		return nil, ErrBodyTaken // closed meanwhile
	case int64(len(all)) > limit:
		return nil, tooLarge(limit)
	}
	stream := b.stream
	b.stream, b.whole, b.size = nil, true, int64(len(all))
	return all, stream.Close()
}

func tooLarge(limit int64) error {
	return Errorf(TooLarge, "the body is larger than %d bytes", limit)
}

// Open returns the body as a stream. A buffered body can be opened again and
// again, any other one once.
func (b *Body) Open() io.ReadCloser {
	if b == nil {
		return http.NoBody
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.whole {
		return io.NopCloser(bytes.NewReader(b.bytes))
	}
	if b.stream == nil {
		return io.NopCloser(failingReader{ErrBodyTaken})
	}
	s := b.stream
	b.stream = nil
	if len(b.bytes) == 0 {
		return s
	}
	return prefixed{io.MultiReader(bytes.NewReader(b.bytes), s), s}
}

// Close gives up a stream that nobody opened, also while Bytes waits for it.
// It does nothing else.
func (b *Body) Close() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stream == nil {
		return nil
	}
	s := b.stream
	b.stream = nil
	return s.Close()
}

type prefixed struct {
	io.Reader
	io.Closer
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
