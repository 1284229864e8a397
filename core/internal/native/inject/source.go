package inject

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// source is a document that is read into memory as far as somebody looks, up
// to a limit. Positions are offsets in buf; -1 is none.
type source struct {
	buf   []byte
	rest  io.ReadCloser // nil: buf is all there is
	limit int           // of bytes in buf
	end   bool          // rest has nothing more
	err   error         // why rest has nothing more, if that is no end
}

const piece = 4 << 10

// fill reads on and reports whether there is more than before.
func (s *source) fill() bool {
	if s.end || len(s.buf) >= s.limit {
		return false
	}
	before := len(s.buf)
	s.buf = slices.Grow(s.buf, piece)
	for range 100 { // readers that give nothing and no error
		n, err := s.rest.Read(s.buf[before:min(cap(s.buf), s.limit)])
		s.buf = s.buf[:before+n]
		if err != nil {
			s.end = true
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
		}
		if n > 0 || s.end {
			return n > 0
		}
	}
	s.end, s.err = true, io.ErrNoProgress
	return false
}

// byte returns the byte at i, or 0 where there is none: no document that is
// understood holds one.
func (s *source) byte(i int) byte {
	if i < len(s.buf) {
		return s.buf[i]
	}
	return s.late(i)
}

func (s *source) late(i int) byte {
	for i >= len(s.buf) {
		if !s.fill() {
			return 0
		}
	}
	return s.buf[i]
}

// has reports whether word stands at i.
func (s *source) has(i int, word string) bool {
	for len(s.buf) < i+len(word) {
		if !s.fill() {
			return false
		}
	}
	return string(s.buf[i:i+len(word)]) == word
}

// after returns the position behind the next word from i on.
func (s *source) after(i int, word string) int {
	if i > len(s.buf) {
		return -1
	}
	for from := i; ; {
		if at := bytes.Index(s.buf[from:], []byte(word)); at >= 0 {
			return from + at + len(word)
		}
		from = max(i, len(s.buf)-len(word)+1)
		if !s.fill() {
			return -1
		}
	}
}

// any returns the position of the next of the bytes in set from i on.
func (s *source) any(i int, set string) int {
	for from := i; ; {
		if from < len(s.buf) {
			if at := bytes.IndexAny(s.buf[from:], set); at >= 0 {
				return from + at
			}
			from = len(s.buf)
		}
		if !s.fill() {
			return -1
		}
	}
}

// space returns the position of what follows white space from i on.
func (s *source) space(i int) int {
	for isSpace(s.byte(i)) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
