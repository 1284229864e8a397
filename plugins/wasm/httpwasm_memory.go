package wasm

// read gives n bytes of the guest's memory. They are the memory itself:
// nothing may keep them beyond the host function.
func (h *handler) read(at, n uint32) []byte {
	if n == 0 {
		return nil
	}
	b, ok := h.mem.Read(at, n)
	if !ok {
		fail("the guest points outside of its memory: %d bytes at %d", n, at)
	}
	h.guest.worked(n, bytesOfAStep)
	return b
}

// text reads a string from the two parameters at i. One that is longer than
// most is not copied, and not given.
func (h *handler) text(p params, i int, most uint32) (s string, ok bool) {
	b := h.read(p.u32(i), p.u32(i+1))
	if uint32(len(b)) > most {
		return "", false
	}
	return string(b), true
}

// put writes v where the guest has room for it, and otherwise nothing. The
// result is the length of v either way.
func (h *handler) put(at, room uint32, v string) uint64 {
	n := uint32(len(v))
	if n == 0 || n > room {
		return uint64(n)
	}
	copy(h.read(at, n), v)
	return uint64(n)
}

// putList writes values, each with a NUL behind it, where the guest has room
// for all of them. The result is their number and their length.
func (h *handler) putList(at, room uint32, values []string, form func(byte) byte) uint64 {
	total := 0
	h.guest.worked(uint32(len(values)), fieldsOfAStep)
	for _, v := range values {
		total += len(v) + 1
	}
	if n := uint32(total); n > 0 && n <= room {
		b := h.read(at, n)
		for _, v := range values {
			for i := range len(v) {
				b[i] = form(v[i])
			}
			b[len(v)] = 0
			b = b[len(v)+1:]
		}
	}
	return uint64(len(values))<<32 | uint64(total)
}

// fieldsOfAStep is how many header fields are as much work as copying a few KiB.
const fieldsOfAStep = 8

func same(c byte) byte { return c }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
