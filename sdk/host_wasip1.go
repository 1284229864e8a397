//go:build wasip1

package sdk

import "unsafe"

//go:wasmimport http_handler enable_features
func enableFeatures(features uint32) uint32

//go:wasmimport http_handler get_config
func getConfig(buf unsafe.Pointer, room uint32) uint32

//go:wasmimport http_handler log
func logLine(level int32, text string)

//go:wasmimport http_handler get_header_names
func getHeaderNames(kind uint32, buf unsafe.Pointer, room uint32) uint64

//go:wasmimport http_handler get_header_values
func getHeaderValues(kind uint32, name string, buf unsafe.Pointer, room uint32) uint64

//go:wasmimport http_handler set_header_value
func setHeaderValue(kind uint32, name, value string)

//go:wasmimport http_handler add_header_value
func addHeaderValue(kind uint32, name, value string)

//go:wasmimport http_handler remove_header
func removeHeader(kind uint32, name string)

//go:wasmimport http_handler read_body
func readBody(kind uint32, buf unsafe.Pointer, room uint32) uint64

//go:wasmimport http_handler write_body
func writeBody(kind uint32, body unsafe.Pointer, size uint32)

//go:wasmimport http_handler get_method
func getMethod(buf unsafe.Pointer, room uint32) uint32

//go:wasmimport http_handler set_method
func setMethod(method string)

//go:wasmimport http_handler get_uri
func getURI(buf unsafe.Pointer, room uint32) uint32

//go:wasmimport http_handler set_uri
func setURI(uri string)

//go:wasmimport http_handler get_protocol_version
func getProtocolVersion(buf unsafe.Pointer, room uint32) uint32

//go:wasmimport http_handler get_source_addr
func getSourceAddr(buf unsafe.Pointer, room uint32) uint32

//go:wasmimport http_handler get_status_code
func getStatusCode() uint32

//go:wasmimport http_handler set_status_code
func setStatusCode(status uint32)

// scratch takes what the host writes, as long as it fits: most of what is
// asked for is short.
var scratch [2048]byte

// host is the gateway, seen from a guest.
type host struct{}

// text asks twice where the first room was too small.
func text(get func(buf unsafe.Pointer, room uint32) uint32) string {
	n := get(unsafe.Pointer(&scratch), uint32(len(scratch)))
	if n <= uint32(len(scratch)) {
		return string(scratch[:n])
	}
	b := make([]byte, n)
	get(unsafe.Pointer(unsafe.SliceData(b)), n)
	return string(b)
}

// list takes apart what is separated by NULs.
func list(get func(buf unsafe.Pointer, room uint32) uint64) []string {
	r := get(unsafe.Pointer(&scratch), uint32(len(scratch)))
	count, n := int(r>>32), uint32(r)
	b := scratch[:]
	if n > uint32(len(scratch)) {
		b = make([]byte, n)
		get(unsafe.Pointer(unsafe.SliceData(b)), n)
	}
	values := make([]string, 0, count)
	for start, i := 0, 0; i < int(n); i++ {
		if b[i] == 0 {
			values = append(values, string(b[start:i]))
			start = i + 1
		}
	}
	return values
}

// bytesOf gives the bytes of a string that nobody changes.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func (host) enable(features uint32) { enableFeatures(features) }

func (host) method() string {
	return text(func(p unsafe.Pointer, n uint32) uint32 { return getMethod(p, n) })
}

func (host) uri() string {
	return text(func(p unsafe.Pointer, n uint32) uint32 { return getURI(p, n) })
}

func (host) proto() string {
	return text(func(p unsafe.Pointer, n uint32) uint32 { return getProtocolVersion(p, n) })
}

func (host) source() string {
	return text(func(p unsafe.Pointer, n uint32) uint32 { return getSourceAddr(p, n) })
}

// configured is the configuration, once it was asked for: it stays the same
// for as long as the guest lives.
var configured *string

func (host) config() []byte {
	if configured == nil {
		c := text(func(p unsafe.Pointer, n uint32) uint32 { return getConfig(p, n) })
		configured = &c
	}
	return []byte(*configured)
}

func (host) headerNames(kind uint32) []string {
	return list(func(p unsafe.Pointer, n uint32) uint64 { return getHeaderNames(kind, p, n) })
}

func (host) headerValues(kind uint32, name string) []string {
	return list(func(p unsafe.Pointer, n uint32) uint64 { return getHeaderValues(kind, name, p, n) })
}

func (host) setHeader(kind uint32, name, value string) { setHeaderValue(kind, name, value) }
func (host) addHeader(kind uint32, name, value string) { addHeaderValue(kind, name, value) }
func (host) removeHeader(kind uint32, name string)     { removeHeader(kind, name) }
func (host) setMethod(method string)                   { setMethod(method) }
func (host) setURI(uri string)                         { setURI(uri) }
func (host) status() int                               { return int(getStatusCode()) }
func (host) setStatus(status int)                      { setStatusCode(uint32(status)) }
func (host) log(level int32, text string)              { logLine(level, text) }

func (host) readBody(kind uint32) []byte {
	var body []byte
	for {
		r := readBody(kind, unsafe.Pointer(&scratch), uint32(len(scratch)))
		body = append(body, scratch[:uint32(r)]...)
		if r>>32 != 0 {
			return body
		}
	}
}

func (host) writeBody(kind uint32, b []byte) {
	writeBody(kind, unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
}
