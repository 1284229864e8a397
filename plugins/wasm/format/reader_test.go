package format

import (
	"strings"
	"testing"
)

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    []byte
		want uint32
		err  string
	}{
		{"one byte", []byte{0x7f}, 127, ""},
		{"two bytes", []byte{0x80, 0x01}, 128, ""},
		{"the greatest", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 1<<32 - 1, ""},
		{"more bytes than are needed", []byte{0x80, 0x00}, 0, ""},
		{"33 bits", []byte{0xff, 0xff, 0xff, 0xff, 0x1f}, 0, "32 bits"},
		{"six bytes", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 0, "32 bits"},
		{"cut off", []byte{0xff, 0xff}, 0, "cut off"},
		{"nothing", nil, 0, "cut off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Reader{B: tc.b}
			got := r.U32()
			if got != tc.want || (tc.err == "") != (r.Err == nil) || r.Err != nil && !strings.Contains(r.Err.Error(), tc.err) {
				t.Errorf("got %d, %v", got, r.Err)
			}
		})
	}
}

func TestCounts(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    []byte
		most int
		want int
		err  string
	}{
		{"as many as there are bytes", []byte{2, 0, 0}, 10, 2, ""},
		{"more than there are bytes", []byte{3, 0, 0}, 10, 0, "2 bytes are left"},
		{"more than are allowed", []byte{2, 0, 0}, 1, 0, "at most 1"},
		{"cut off in the middle of the number", []byte{0xff, 0xff, 0xff, 0xff}, 1 << 40, 0, "cut off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Reader{B: tc.b}
			got := r.CountTo("things", tc.most)
			if got != tc.want || (tc.err == "") != (r.Err == nil) || r.Err != nil && !strings.Contains(r.Err.Error(), tc.err) {
				t.Errorf("got %d, %v", got, r.Err)
			}
		})
	}
}

func TestTheFirstFaultStaysAndSaysWhere(t *testing.T) {
	outer := &Reader{B: []byte{0, 0, 0xff, 1, 2}, Pos: 2}
	inner := outer.Sub(2)
	inner.Byte()
	inner.Fail("the %s one", "first")
	inner.Fail("another one")
	if inner.U32() != 0 || inner.Bytes(1) != nil || inner.Name() != "" || inner.Limits() != 0 || !inner.Done() {
		t.Error("something is read behind a fault")
	}
	if inner.Err.Error() != "the first one (at byte 3)" {
		t.Errorf("got %v", inner.Err)
	}
	if outer.Left() != 1 || outer.Err != nil {
		t.Errorf("%d bytes are left, %v", outer.Left(), outer.Err)
	}
	if outer.End("it"); outer.Err == nil || !strings.Contains(outer.Err.Error(), "it: 1 bytes are left over") {
		t.Errorf("got %v", outer.Err)
	}
}

// TestEveryOpcode passes the operands of all opcodes: those that are known
// take what they take, and the others are said to be unknown.
func TestEveryOpcode(t *testing.T) {
	taken := map[Shape]int{
		Plain: 0, Leave: 0, Branch: 1, Table: 2, Call: 1, CallBy: 2, Local: 1, Global: 1, OfTable: 1, Memory: 1, Address: 2,
		Types: 1, Int32: 1, Int64: 1, Four: 4, Eight: 8, Ref: 1, Func: 1, Misc: 1, Vector: 3,
	}
	known := 0
	for op := range 256 {
		shape := ShapeOf(byte(op))
		r := &Reader{B: make([]byte, 20)}
		ok := r.Operands(shape)
		n, has := taken[shape]
		if ok != has || r.Pos != n || r.Err != nil {
			t.Errorf("opcode 0x%x of shape %c: %v, and %d bytes are taken, %v", op, shape, ok, r.Pos, r.Err)
		}
		if shape != Unknown {
			known++
		}
	}
	if known != 187 {
		t.Errorf("%d opcodes are known", known)
	}
}

func FuzzOperands(f *testing.F) {
	f.Add([]byte{0x0e, 3, 0, 1, 2, 0, 0xfd, 12, 0xfc, 10, 0, 0, 0x28, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Reader{B: b}
		for !r.Done() {
			was := r.Pos
			if !r.Operands(ShapeOf(r.Byte())) {
				break
			}
			if r.Pos <= was || r.Pos > len(b) {
				t.Fatalf("from %d to %d of %d", was, r.Pos, len(b))
			}
		}
	})
}
