//go:build wasip1

package sdk

// A module instance runs one call at a time, and the border's entry points
// are plain functions: what connects them can only stand here.
var (
	handler func(*Call)
	only    Call                 // nearly every call: made once, and used again
	taken   bool                 // only waits for its answer
	waiting = map[uint32]*Call{} // others whose answer is still to come
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
	// A host that shows a second request before the first one's answer is not
	// known, and not forbidden.
	c := &only
	if taken {
		c = &Call{}
	} else {
		only = Call{}
	}
	handler(c)
	c.finish()
	switch {
	case c.answered:
		return 0
	case c.onResponse == nil:
		return 1
	case c == &only:
		taken = true
		return 1
	}
	if last++; last == 0 {
		last = 1 // 0 is the one call
	}
	waiting[last] = c
	return uint64(last)<<32 | 1
}

//go:wasmexport handle_response
func handleResponse(id, failed uint32) {
	c := &only
	switch {
	case id != 0:
		c = waiting[id]
		delete(waiting, id)
	case taken:
		taken = false
	default:
		return
	}
	if c != nil && failed == 0 {
		c.respond()
	}
}
