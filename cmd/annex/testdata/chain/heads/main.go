//go:build wasip1

package main

//go:wasmimport env proxy_add_header_map_value
func add(kind uint32, name, value string) uint32

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(uint32) uint32 { return 0 }

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(_, _, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(_, _, _ uint32) uint32 {
	add(2, "x-heads", "seen")
	return 0
}
