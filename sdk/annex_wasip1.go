//go:build wasip1

package sdk

import (
	"strings"
	"unsafe"
)

//go:wasmimport annex stage
func annexStage(buf unsafe.Pointer, room uint32) uint32

//go:wasmimport annex caller
func annexCaller(part uint32, buf unsafe.Pointer, room uint32) uint32

//go:wasmimport annex has_right
func annexHasRight(name string) uint32

//go:wasmimport annex rights
func annexRights(buf unsafe.Pointer, room uint32) uint64

//go:wasmimport annex claim
func annexClaim(user, org string)

//go:wasmimport annex state_get
func annexStateGet(key string, buf unsafe.Pointer, room uint32, revision unsafe.Pointer) uint64

//go:wasmimport annex state_put
func annexStatePut(key, value string, revision unsafe.Pointer, mode uint32) int32

//go:wasmimport annex state_delete
func annexStateDelete(key string, revision unsafe.Pointer, mode uint32) int32

//go:wasmimport annex fetch
func annexFetch(method, url, header, body string, timeout uint32) int32

//go:wasmimport annex fetch_header
func annexFetchHeader(name string, buf unsafe.Pointer, room uint32) uint64

//go:wasmimport annex fetch_body
func annexFetchBody(buf unsafe.Pointer, room uint32) uint64

//go:wasmimport annex metric
func annexMetric(sort uint32, name string, value unsafe.Pointer) uint32

func (host) stage() string {
	return text(func(p unsafe.Pointer, n uint32) uint32 { return annexStage(p, n) })
}

func (host) caller(part uint32) string {
	return text(func(p unsafe.Pointer, n uint32) uint32 { return annexCaller(part, p, n) })
}

func (host) hasRight(name string) bool { return annexHasRight(name) == 1 }

func (host) rights() []string {
	return list(func(p unsafe.Pointer, n uint32) uint64 { return annexRights(p, n) })
}

func (host) claim(user, org string) { annexClaim(user, org) }

func (host) stateGet(key string) ([]byte, uint64, error) {
	var revision uint64
	r := annexStateGet(key, unsafe.Pointer(&scratch), uint32(len(scratch)), unsafe.Pointer(&revision))
	b := scratch[:]
	if n := uint32(r); n > uint32(len(scratch)) {
		b = make([]byte, n)
		r = annexStateGet(key, unsafe.Pointer(unsafe.SliceData(b)), n, unsafe.Pointer(&revision))
	}
	switch {
	case r>>32 == 2:
		return nil, 0, ErrState
	case r>>32 == 0:
		return nil, 0, nil
	case uint32(r) > uint32(len(b)):
		return nil, 0, ErrStale // it grew in between
	}
	return append([]byte{}, b[:uint32(r)]...), revision, nil
}

func mode(compare bool) uint32 {
	if compare {
		return 1
	}
	return 0
}

func stateError(code int32) error {
	switch code {
	case 1:
		return nil
	case 0:
		return ErrStale
	case -1:
		return ErrTooBig
	}
	return ErrState
}

func (host) statePut(key string, value []byte, revision uint64, compare bool) (uint64, error) {
	code := annexStatePut(key, unsafe.String(unsafe.SliceData(value), len(value)), unsafe.Pointer(&revision), mode(compare))
	return revision, stateError(code)
}

func (host) stateDelete(key string, revision uint64, compare bool) error {
	return stateError(annexStateDelete(key, unsafe.Pointer(&revision), mode(compare)))
}

func (host) fetch(r Request) (int, error) {
	var header strings.Builder
	for _, f := range r.Header {
		header.WriteString(f[0] + "\x00" + f[1] + "\x00")
	}
	switch code := annexFetch(r.Method, r.URL, header.String(), unsafe.String(unsafe.SliceData(r.Body), len(r.Body)), r.Timeout); code {
	case -1:
		return 0, ErrRefused
	case -2:
		return 0, ErrFetch
	case -3:
		return 0, ErrLate
	default:
		return int(code), nil
	}
}

func (host) fetchHeader(name string) []string {
	return list(func(p unsafe.Pointer, n uint32) uint64 { return annexFetchHeader(name, p, n) })
}

func (host) fetchBody() []byte {
	var body []byte
	for {
		r := annexFetchBody(unsafe.Pointer(&scratch), uint32(len(scratch)))
		body = append(body, scratch[:uint32(r)]...)
		if r>>32 != 0 {
			return body
		}
	}
}

func (host) metric(sort uint32, name string, value int64) {
	annexMetric(sort, name, unsafe.Pointer(&value))
}
