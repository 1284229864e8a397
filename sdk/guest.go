//go:build wasip1

package sdk

// A module instance runs one call at a time, and the border's entry points
// are plain functions: what connects them can only stand here.
var (
	handler func(*Call)
	waiting = map[uint32]*Call{} // calls whose answer is still to come
	last    uint32
)

// Handle names the function that sees every call. It is called once, in the
// init function of the extension.
func Handle(h func(*Call)) { handler = h }

//go:wasmexport handle_request
func handleRequest() uint64 {
	if handler == nil {
		return 1
	}
	c := &Call{}
	handler(c)
	c.finish()
	switch {
	case c.answered:
		return 0
	case c.onResponse == nil:
		return 1
	}
	last++
	waiting[last] = c
	return uint64(last)<<32 | 1
}

//go:wasmexport handle_response
func handleResponse(id, failed uint32) {
	c := waiting[id]
	delete(waiting, id)
	if c != nil && failed == 0 {
		c.respond()
	}
}
