//go:build wasip1

package main

import (
	"encoding/binary"
	"unsafe"
)

//go:wasmimport env proxy_log
func proxyLog(level uint32, text string) uint32

//go:wasmimport env proxy_get_log_level
func proxyGetLogLevel(level unsafe.Pointer) uint32

//go:wasmimport env proxy_get_current_time_nanoseconds
func proxyGetTime(at unsafe.Pointer) uint32

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTick(ms uint32) uint32

//go:wasmimport env proxy_set_effective_context
func proxySetContext(id uint32) uint32

//go:wasmimport env proxy_done
func proxyDone() uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBuffer(kind, start, size uint32, ptr, n unsafe.Pointer) uint32

//go:wasmimport env proxy_get_buffer_status
func proxyGetBufferStatus(kind uint32, n, flags unsafe.Pointer) uint32

//go:wasmimport env proxy_set_buffer_bytes
func proxySetBuffer(kind, start, size uint32, value string) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetPairs(kind uint32, ptr, n unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_size
func proxyGetMapSize(kind uint32, n unsafe.Pointer) uint32

//go:wasmimport env proxy_set_header_map_pairs
func proxySetPairs(kind uint32, pairs string) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetValue(kind uint32, name string, ptr, n unsafe.Pointer) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAdd(kind uint32, name, value string) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplace(kind uint32, name, value string) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemove(kind uint32, name string) uint32

//go:wasmimport env proxy_continue_stream
func proxyContinue(side uint32) uint32

//go:wasmimport env proxy_close_stream
func proxyClose(side uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocal(status uint32, details, body, header string, grpc int32) uint32

//go:wasmimport env proxy_http_call
func proxyHTTPCall(cluster, header, body, trailer string, timeout uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_get_status
func proxyGetStatus(code, ptr, n unsafe.Pointer) uint32

//go:wasmimport env proxy_get_property
func proxyGetProperty(path string, ptr, n unsafe.Pointer) uint32

//go:wasmimport env proxy_set_property
func proxySetProperty(path, value string) uint32

//go:wasmimport env proxy_get_shared_data
func proxyGetShared(key string, ptr, n, cas unsafe.Pointer) uint32

//go:wasmimport env proxy_set_shared_data
func proxySetShared(key, value string, cas uint32) uint32

//go:wasmimport env proxy_register_shared_queue
func proxyRegisterQueue(name string, id unsafe.Pointer) uint32

//go:wasmimport env proxy_resolve_shared_queue
func proxyResolveQueue(vm, name string, id unsafe.Pointer) uint32

//go:wasmimport env proxy_enqueue_shared_queue
func proxyEnqueue(id uint32, item string) uint32

//go:wasmimport env proxy_dequeue_shared_queue
func proxyDequeue(id uint32, ptr, n unsafe.Pointer) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(sort uint32, name string, id unsafe.Pointer) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrement(id uint32, delta int64) uint32

//go:wasmimport env proxy_record_metric
func proxyRecord(id uint32, value uint64) uint32

//go:wasmimport env proxy_get_metric
func proxyGetMetric(id uint32, value unsafe.Pointer) uint32

//go:wasmimport env proxy_grpc_cancel
func proxyGRPCCancel(id uint32) uint32

//go:wasmimport env proxy_call_foreign_function
func proxyForeign(name, args string, ptr, n unsafe.Pointer) uint32

//go:wasmimport env somebody_elses_function
func somebodyElses(a uint32, b uint64) uint64

// held keeps what the host allocated until it is looked at.
var held = map[uint32][]byte{}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) uint32 {
	b := make([]byte, size)
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	held[at] = b
	return at
}

// taken gives what a host function handed over.
func taken(call func(ptr, n unsafe.Pointer) uint32) (string, uint32) {
	var at, n uint32
	status := call(unsafe.Pointer(&at), unsafe.Pointer(&n))
	b := held[at]
	delete(held, at)
	return string(b[:min(int(n), len(b))]), status
}

func value(kind uint32, name string) string {
	v, _ := taken(func(p, n unsafe.Pointer) uint32 { return proxyGetValue(kind, name, p, n) })
	return v
}

func buffer(kind, start, size uint32) (string, uint32) {
	return taken(func(p, n unsafe.Pointer) uint32 { return proxyGetBuffer(kind, start, size, p, n) })
}

func property(path string) (string, uint32) {
	return taken(func(p, n unsafe.Pointer) uint32 { return proxyGetProperty(path, p, n) })
}

func pairs(kind uint32) [][2]string {
	s, _ := taken(func(p, n unsafe.Pointer) uint32 { return proxyGetPairs(kind, p, n) })
	if s == "" {
		return nil
	}
	b := []byte(s)
	n := binary.LittleEndian.Uint32(b)
	sizes, data := b[4:], b[4+8*n:]
	var out [][2]string
	for range n {
		var p [2]string
		for i := range p {
			l := binary.LittleEndian.Uint32(sizes)
			p[i] = string(data[:l])
			sizes, data = sizes[4:], data[l+1:]
		}
		out = append(out, p)
	}
	return out
}

func encode(ps ...[2]string) string {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(ps)))
	for _, p := range ps {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p[0])))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p[1])))
	}
	for _, p := range ps {
		out = append(append(append(append(out, p[0]...), 0), p[1]...), 0)
	}
	return string(out)
}

func number(call func(at unsafe.Pointer) uint32) (uint32, uint32) {
	var n uint32
	status := call(unsafe.Pointer(&n))
	return n, status
}

func metric(sort uint32, name string) uint32 {
	id, _ := number(func(at unsafe.Pointer) uint32 { return proxyDefineMetric(sort, name, at) })
	return id
}

func metricValue(id uint32) (uint64, uint32) {
	var n uint64
	status := proxyGetMetric(id, unsafe.Pointer(&n))
	return n, status
}
