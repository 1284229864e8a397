package meter

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// reader walks over bytes. The first thing that goes wrong stays in err, and
// from then on everything read is zero: callers look at err before they loop
// and at the end.
type reader struct {
	b   []byte
	pos int
	at  int // where b starts in the module, for messages
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format+" (at byte %d)", append(args, r.at+r.pos)...)
	}
}

func (r *reader) left() int { return len(r.b) - r.pos }

func (r *reader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.pos >= len(r.b) {
		r.fail("the module is cut off")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.left() {
		r.fail("the module is cut off: %d bytes are announced and %d are there", n, r.left())
		return nil
	}
	b := r.b[r.pos : r.pos+n]
	r.pos += n
	return b
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	if r.err == nil && r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			if v>>32 != 0 {
				break
			}
			return uint32(v)
		}
	}
	r.fail("a number is longer than 32 bits")
	return 0
}

// s33 reads a signed LEB128 number of at most 33 bits, as block types are.
func (r *reader) s33() int64 {
	var v int64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
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
	r.fail("a block type is longer than 33 bits")
	return 0
}

// skipLEB passes a LEB128 number of at most n bytes whose value is of no
// interest here; the engine checks it.
func (r *reader) skipLEB(n int) {
	for range n {
		if r.byte()&0x80 == 0 {
			return
		}
	}
	r.fail("a number is longer than %d bytes", n)
}

// count reads the length of a list whose elements take at least one byte.
func (r *reader) count(what string) int {
	n := r.u32()
	if uint64(n) > uint64(r.left()) {
		r.fail("%d %s are declared and %d bytes are left", n, what, r.left())
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	b := r.bytes(r.count("bytes of a name"))
	if !utf8.Valid(b) {
		r.fail("a name is not UTF-8")
	}
	return string(b)
}

// sub gives a reader of the next n bytes and passes them.
func (r *reader) sub(n int) *reader {
	at := r.at + r.pos
	return &reader{b: r.bytes(n), at: at, err: r.err}
}

// end checks that what was read is all there is.
func (r *reader) end(what string) {
	if r.err == nil && r.pos != len(r.b) {
		r.fail("%s: %d bytes are left over", what, r.left())
	}
}

func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

// appendS64 appends a signed LEB128 number.
func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}

// appendSized appends content behind its length.
func appendSized(b, content []byte) []byte {
	return append(appendU32(b, uint32(len(content))), content...)
}
