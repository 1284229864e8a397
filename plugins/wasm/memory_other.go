//go:build !linux && !darwin

package wasm

// region is the memory of a guest on the heap. To grow it is copied.
type region struct {
	limit uint64
	b     []byte
}

func reserve(limit uint64) (*region, error) { return &region{limit: limit, b: []byte{}}, nil }

// grow gives size bytes, or nil where that is too much.
func (r *region) grow(size uint64) []byte {
	if size > r.limit {
		return nil
	}
	if size > uint64(cap(r.b)) {
		// A quarter more than asked for, so that growing page by page does not
		// copy each time.
		grown := make([]byte, size, min(size+size/4, r.limit))
		copy(grown, r.b)
		r.b = grown
	}
	r.b = r.b[:size]
	return r.b
}

func (r *region) free() { r.b = nil }
