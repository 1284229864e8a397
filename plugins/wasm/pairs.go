package wasm

import (
	"encoding/binary"
	"errors"
)

// pair is a name and a value.
type pair struct{ name, value string }

// encodePairs writes pairs as the proxy-wasm border does: the count, the
// lengths of all names and values, and then each of them with a NUL behind it.
func encodePairs(pairs []pair) []byte {
	size := 4
	for _, p := range pairs {
		size += 8 + len(p.name) + len(p.value) + 2
	}
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, size), uint32(len(pairs)))
	for _, p := range pairs {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p.name)))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p.value)))
	}
	for _, p := range pairs {
		out = append(append(out, p.name...), 0)
		out = append(append(out, p.value...), 0)
	}
	return out
}

var errPairs = errors.New("a map of names and values is cut short")

// decodePairs reads what a guest wrote. Nothing at all, and a lone NUL, are an
// empty map.
func decodePairs(b []byte) ([]pair, error) {
	if len(b) < 4 {
		if len(b) == 0 || len(b) == 1 && b[0] == 0 {
			return nil, nil
		}
		return nil, errPairs
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > maxFields {
		return nil, errors.New("a map has too many names")
	}
	sizes, data := b[4:], uint64(4+8*n)
	if uint64(len(b)) < data {
		return nil, errPairs
	}
	rest := b[data:]
	take := func(size uint32) (string, bool) {
		if uint64(size)+1 > uint64(len(rest)) {
			return "", false
		}
		s := string(rest[:size])
		rest = rest[size+1:]
		return s, true
	}
	pairs := make([]pair, 0, n)
	for ; n > 0; n-- {
		name, ok := take(binary.LittleEndian.Uint32(sizes))
		value, whole := take(binary.LittleEndian.Uint32(sizes[4:]))
		if !ok || !whole {
			return nil, errPairs
		}
		pairs, sizes = append(pairs, pair{name, value}), sizes[8:]
	}
	return pairs, nil
}
