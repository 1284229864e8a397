package format

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Reader walks over bytes. The first thing that goes wrong stays in Err, and
// from then on everything read is zero: callers look at Err before they loop
// and at the end of what they read.
type Reader struct {
	B   []byte // what it walks over
	Pos int    // in B, of the next byte
	Err error  // written for the author of the module

	at int // where B starts in the module, for messages
}

// Fail notes what is wrong, unless something was before.
func (r *Reader) Fail(text string, args ...any) {
	if r.Err == nil {
		r.Err = fmt.Errorf(text+" (at byte %d)", append(args, r.at+r.Pos)...)
	}
}

// Left is how many bytes there are still.
func (r *Reader) Left() int { return len(r.B) - r.Pos }

// Done reports whether nothing is left to be read, or something went wrong.
func (r *Reader) Done() bool { return r.Err != nil || r.Pos >= len(r.B) }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.Err != nil {
		return 0
	}
	if r.Pos >= len(r.B) {
		r.Fail("the module is cut off")
		return 0
	}
	c := r.B[r.Pos]
	r.Pos++
	return c
}

// Bytes reads n bytes. They are those of B.
func (r *Reader) Bytes(n int) []byte {
	if r.Err != nil {
		return nil
	}
	if n < 0 || n > r.Left() {
		r.Fail("the module is cut off: %d bytes are announced and %d are there", n, r.Left())
		return nil
	}
	b := r.B[r.Pos : r.Pos+n]
	r.Pos += n
	return b
}

// U32 reads an unsigned LEB128 number of at most 32 bits.
func (r *Reader) U32() uint32 {
	if r.Err == nil && r.Pos < len(r.B) && r.B[r.Pos] < 0x80 {
		r.Pos++
		return uint32(r.B[r.Pos-1])
	}
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.Byte()
		v |= uint64(c&0x7f) << shift
		switch {
		case r.Err != nil:
			return 0
		case c&0x80 != 0:
		case v>>32 == 0:
			return uint32(v)
		}
	}
	r.Fail("a number is longer than 32 bits")
	return 0
}

// S33 reads a signed LEB128 number of at most 33 bits, as block types are.
func (r *Reader) S33() int64 {
	var v int64
	for shift := 0; shift < 35; shift += 7 {
		c := r.Byte()
		v |= int64(c&0x7f) << shift
		if c&0x80 != 0 {
			continue
		}
		if c&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		if v < -1<<32 || v >= 1<<32 {
			break
		}
		return v
	}
	r.Fail("a block type is longer than 33 bits")
	return 0
}

// Skip passes a LEB128 number of at most n bytes whose value is of no
// interest; the engine looks at it.
func (r *Reader) Skip(n int) {
	for range n {
		if r.Byte()&0x80 == 0 {
			return
		}
	}
	r.Fail("a number is longer than %d bytes", n)
}

// Count reads the length of a list whose elements take at least one byte.
func (r *Reader) Count(what string) int { return r.CountTo(what, math.MaxInt) }

// CountTo is Count where no more than most are allowed.
func (r *Reader) CountTo(what string, most int) int {
	n := r.U32()
	switch {
	case r.Err != nil:
		return 0
	case uint64(n) > uint64(most):
		r.Fail("%d %s are declared and at most %d are allowed", n, what, most)
		return 0
	case uint64(n) > uint64(r.Left()):
		r.Fail("%d %s are declared and %d bytes are left", n, what, r.Left())
		return 0
	}
	return int(n)
}

// maxName is the greatest length of a name in bytes.
const maxName = 1 << 16

// Name reads a name.
func (r *Reader) Name() string {
	b := r.Bytes(r.CountTo("bytes of a name", maxName))
	if !utf8.Valid(b) {
		r.Fail("a name is not UTF-8")
		return ""
	}
	return string(b)
}

// Limits reads the sizes of a table or a memory and gives the initial one. The
// greatest is of no interest: growth is bounded where it happens.
func (r *Reader) Limits() uint32 {
	form := r.Byte()
	if form > 1 {
		r.Fail("limits of form %d (shared or 64-bit) are not run", form)
		return 0
	}
	initial := r.U32()
	if form == 1 {
		r.U32()
	}
	return initial
}

// Sub gives a reader of the next n bytes and passes them.
func (r *Reader) Sub(n int) *Reader {
	at := r.at + r.Pos
	return &Reader{B: r.Bytes(n), at: at, Err: r.Err}
}

// End checks that what was read is all there is.
func (r *Reader) End(what string) {
	if r.Err == nil && r.Pos != len(r.B) {
		r.Fail("%s: %d bytes are left over", what, r.Left())
	}
}
