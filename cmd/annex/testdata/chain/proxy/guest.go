//go:build wasip1

package main

import "unsafe"

//go:wasmimport env proxy_get_header_map_value
func getValue(kind uint32, name string, at, size unsafe.Pointer) uint32

//go:wasmimport env proxy_replace_header_map_value
func replace(kind uint32, name, value string) uint32

//go:wasmimport env proxy_set_buffer_bytes
func setBuffer(kind, start, size uint32, value string) uint32

var held = map[uint32][]byte{}

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) uint32 {
	b := make([]byte, size)
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	held[at] = b
	return at
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(_, _, _ uint32) uint32 {
	var at, size uint32
	getValue(0, "x-order", unsafe.Pointer(&at), unsafe.Pointer(&size))
	replace(0, "x-order", string(held[at])+"proxy ")
	delete(held, at)
	return 0
}

//go:wasmexport proxy_on_response_body
func onResponseBody(_, size, end uint32) uint32 {
	if end == 1 {
		setBuffer(1, size, 0, " proxy")
	}
	return 0
}
