//go:build wasip1

package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"
)

const (
	request, requestTrailers, response, responseTrailers, callResponse = 0, 1, 2, 3, 6
	cont, pause                                                        = 0, 1
)

// call is what the guest remembers of a call.
type call struct {
	test, answer string
	chunks       []string
}

var (
	calls   = map[uint32]*call{}
	waiting = map[uint32]uint32{} // context by callout
	config  string
	vm      string
	queue   uint32
	ticks   uint32
	late    []uint32 // contexts that end at the next tick
	leaving bool     // the plugin itself does
)

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

//go:wasmexport proxy_on_context_create
func onContextCreate(id, parent uint32) {
	if parent != 0 {
		calls[id] = &call{}
	}
}

//go:wasmexport proxy_on_vm_start
func onVMStart(_, size uint32) uint32 {
	vm, _ = buffer(6, 0, size)
	if vm == "seed" {
		proxySetShared("seed", "fresh", 0)
	}
	return 1
}

//go:wasmexport proxy_on_configure
func onConfigure(_, size uint32) uint32 {
	config, _ = buffer(7, 0, size)
	if config == "refuse" {
		proxyLog(4, "no, thank you")
		return 0
	}
	queue, _ = number(func(at unsafe.Pointer) uint32 {
		if !strings.Contains(config, "queue") {
			return 1
		}
		return proxyRegisterQueue("jobs", at)
	})
	if strings.Contains(config, "tick") {
		ticks = metric(0, "ticks")
		proxySetTick(10)
	}
	return 1
}

//go:wasmexport proxy_on_tick
func onTick(uint32) {
	proxyIncrement(ticks, 1)
	for _, id := range late {
		proxySetContext(id)
		switch c := calls[id]; {
		case c != nil && c.answer == "piece-by-tick":
			proxyContinue(1)
		case c != nil && c.test == "resume-by-tick":
			proxyReplace(request, "x-resumed", "tick")
			proxyContinue(0)
		default:
			proxyDone()
		}
	}
	late = nil
	if leaving {
		leaving = false
		proxyLog(2, "the plugin is done now")
		proxySetContext(root)
		proxyDone()
	}
}

// root is the context of the plugin itself.
const root = 1

func b2i(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

//go:wasmexport proxy_on_queue_ready
func onQueueReady(_, id uint32) {
	for {
		item, status := taken(func(p, n unsafe.Pointer) uint32 { return proxyDequeue(id, p, n) })
		if status != 0 {
			return
		}
		proxyIncrement(metric(1, "queue."+item), 1)
	}
}

//go:wasmexport proxy_on_http_call_response
func onCallResponse(root, token, headers, size, trailers uint32) {
	id := waiting[token]
	delete(waiting, token)
	code, _ := number(func(at unsafe.Pointer) uint32 {
		_, s := taken(func(p, n unsafe.Pointer) uint32 { return proxyGetStatus(at, p, n) })
		return s
	})
	body, _ := buffer(4, 0, size)
	seen := fmt.Sprintf("root %d, %d, %s, %q", root, code, value(callResponse, "x-there"), body)
	proxySetContext(id)
	if headers == 0 {
		proxySendLocal(502, "", "no answer: "+seen, "", -1)
		return
	}
	if calls[id].test == "call-silent" {
		return
	}
	proxyReplace(request, "x-called", seen)
	proxyContinue(0)
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(id, n, end uint32) uint32 {
	c := calls[id]
	c.test, c.answer = value(request, "x-test"), value(request, "x-answer")
	do := tests[c.test]
	if do == nil {
		return cont
	}
	return do(id, n, end)
}

func answer(text string, header ...[2]string) uint32 {
	proxySendLocal(200, "", text, encode(header...), -1)
	return cont
}

var tests = map[string]func(id, n, end uint32) uint32{
	"dump": func(_, n, end uint32) uint32 {
		size, _ := number(func(at unsafe.Pointer) uint32 { return proxyGetMapSize(request, at) })
		var b strings.Builder
		fmt.Fprintf(&b, "%d %d %v %s %s\n", n, end, size > 0, config, vm)
		for _, p := range pairs(request) {
			fmt.Fprintf(&b, "%s=%s\n", p[0], p[1])
		}
		return answer(b.String(), [2]string{"x-a", "1"}, [2]string{"set-cookie", "a=b"})
	},
	"properties": func(uint32, uint32, uint32) uint32 {
		var b strings.Builder
		proxySetProperty("my\x00own", "mine")
		fmt.Fprintf(&b, "%s by %s\n", value(request, "X-Forwarded-Proto"), value(request, "x-real-ip"))
		for _, name := range strings.Split(value(request, "x-names"), ",") {
			v, status := property(strings.ReplaceAll(name, ".", "\x00"))
			fmt.Fprintf(&b, "%s=%d %q\n", name, status, v)
		}
		return answer(b.String())
	},
	"edit": func(uint32, uint32, uint32) uint32 {
		proxyAdd(request, "x-two", "b")
		proxyReplace(request, "x-old", "new")
		proxyRemove(request, "x-gone")
		proxyRemove(request, "content-length")
		proxyReplace(request, "authorization", "forged")
		proxyReplace(request, "x-path", fmt.Sprint(proxyReplace(request, ":path", "/other?q=1"), proxyReplace(request, ":method", "PUT")))
		return cont
	},
	"pairs": func(uint32, uint32, uint32) uint32 {
		var out [][2]string
		for _, p := range pairs(request) {
			if p[0] != "x-gone" {
				out = append(out, p)
			}
		}
		proxySetPairs(request, encode(append(out, [2]string{"x-new", "1"})...))
		return cont
	},
	"statuses": func(id, _, _ uint32) uint32 {
		var x, y uint32
		at := func(n *uint32) unsafe.Pointer { return unsafe.Pointer(n) }
		far := unsafe.Pointer(uintptr(0xfffffff0))
		level, _ := number(func(at unsafe.Pointer) uint32 { return proxyGetLogLevel(at) })
		var now uint64
		proxyGetTime(unsafe.Pointer(&now))
		_, empty := buffer(8, 0, 1)
		return answer(fmt.Sprintln(
			proxyGetValue(request, "absent", at(&x), at(&y)), // not found
			proxyGetValue(99, "absent", at(&x), at(&y)),      // bad argument
			proxyGetValue(request, "x-test", far, at(&y)),    // memory
			proxyGetValue(callResponse, "a", at(&x), at(&y)), // not found
			proxyGRPCCancel(1),                         // not implemented
			somebodyElses(1, 2),                        // not implemented
			proxyForeign("f", "", at(&x), at(&y)),      // not found
			proxySetPairs(request, "\x05\x00\x00\x00"), // parse failure
			proxySetContext(9999), proxySetContext(id), // bad argument, fine
			proxyDone(),                                       // not found
			proxyLog(9, "x"),                                  // bad argument
			empty,                                             // not found
			proxyContinue(9), proxyContinue(2), proxyClose(3), // bad argument, not implemented
			proxyHTTPCall("nobody", encode([2]string{":method", "GET"}, [2]string{":path", "/"}, [2]string{":authority", "a"}), "", "", 1, at(&x)),
			proxyAdd(request, "bad name", "x"), proxyAdd(request, "x", "a\nb"), proxyAdd(response, "x", "y"),
			level, now > 1e18,
		))
	},
	"shared": func(uint32, uint32, uint32) uint32 {
		var cas, other uint32
		get := func(c *uint32) (string, uint32) {
			return taken(func(p, n unsafe.Pointer) uint32 { return proxyGetShared("k", p, n, unsafe.Pointer(c)) })
		}
		_, before := get(&cas)
		first := proxySetShared("k", "one", 0)
		one, _ := get(&cas)
		second := proxySetShared("k", "two", cas)
		third := proxySetShared("k", "three", cas)
		two, _ := get(&other)
		empty := proxySetShared("e", "", 0)
		full := proxySetShared("big", strings.Repeat("x", 1<<20), 0)
		return answer(fmt.Sprintln(before, first, one, second, third, two, cas != other, empty, full))
	},
	"queue": func(uint32, uint32, uint32) uint32 {
		id, found := number(func(at unsafe.Pointer) uint32 { return proxyResolveQueue("", "jobs", at) })
		_, absent := number(func(at unsafe.Pointer) uint32 { return proxyResolveQueue("", "other", at) })
		_, theirs := number(func(at unsafe.Pointer) uint32 { return proxyResolveQueue("them", "jobs", at) })
		_, nothing := taken(func(p, n unsafe.Pointer) uint32 { return proxyDequeue(id, p, n) })
		_, unknown := taken(func(p, n unsafe.Pointer) uint32 { return proxyDequeue(77, p, n) })
		return answer(fmt.Sprintln(found, absent, theirs, nothing, unknown, proxyEnqueue(id, "a"), proxyEnqueue(77, "a")))
	},
	"send": func(uint32, uint32, uint32) uint32 {
		id, found := number(func(at unsafe.Pointer) uint32 { return proxyResolveQueue(value(request, "x-vm"), "jobs", at) })
		return answer(fmt.Sprint(found, proxyEnqueue(id, value(request, "x-item"))))
	},
	"keep": func(uint32, uint32, uint32) uint32 {
		key := value(request, "x-key")
		var cas uint32
		was, status := taken(func(p, n unsafe.Pointer) uint32 { return proxyGetShared(key, p, n, unsafe.Pointer(&cas)) })
		return answer(fmt.Sprint(was, status, proxySetShared(key, value(request, "x-value"), cas)))
	},
	"environment": func(uint32, uint32, uint32) uint32 { return answer(strings.Join(os.Environ(), " ")) },
	"metrics": func(uint32, uint32, uint32) uint32 {
		c, g, h := metric(0, "c"), metric(1, "g"), metric(2, "h")
		_, again := number(func(at unsafe.Pointer) uint32 { return proxyDefineMetric(1, "c", at) })
		_, sort := number(func(at unsafe.Pointer) uint32 { return proxyDefineMetric(7, "x", at) })
		out := fmt.Sprintln(proxyIncrement(c, 2), proxyIncrement(c, -1), proxyIncrement(g, -3), proxyRecord(g, 7), proxyRecord(h, 5), proxyRecord(h, 6), proxyIncrement(99, 1), again, sort)
		v, _ := metricValue(c)
		w, _ := metricValue(g)
		_, none := metricValue(99)
		return answer(out + fmt.Sprintln(v, w, none))
	},
	"call":        dispatch,
	"call-silent": dispatch,
	"pause":       func(uint32, uint32, uint32) uint32 { return pause },
	"close":       func(uint32, uint32, uint32) uint32 { proxyClose(0); return cont },
	"resume-by-tick": func(id, _, _ uint32) uint32 {
		late = append(late, id)
		return pause
	},
	"answer-and-continue": func(uint32, uint32, uint32) uint32 {
		proxySendLocal(201, "", "first", encode([2]string{":status", "500"}, [2]string{"x-b", "2"}), -1)
		proxySendLocal(202, "", "second", "", -1)
		return cont
	},
	"trap": func(uint32, uint32, uint32) uint32 { panic("the guest's secret") },
	"loop": func(uint32, uint32, uint32) uint32 {
		for {
		}
	},
}

func dispatch(id, _, _ uint32) uint32 {
	authority := "there.test"
	if value(request, "x-authority") == "none" {
		authority = ""
	}
	header := encode([2]string{":method", "POST"}, [2]string{":path", value(request, "x-path")}, [2]string{":authority", authority},
		[2]string{":odd", "1"}, [2]string{"x-from", "guest"})
	cluster := value(request, "x-cluster")
	if value(request, "x-as") == "root" {
		proxySetContext(root)
		defer proxySetContext(id)
	}
	token, status := number(func(at unsafe.Pointer) uint32 {
		return proxyHTTPCall(cluster, header, "question", "", 5000, at)
	})
	if status != 0 {
		return answer(fmt.Sprint("refused ", status))
	}
	waiting[token] = id
	return pause
}

//go:wasmexport proxy_on_request_body
func onRequestBody(id, size, end uint32) uint32 {
	return onBody(id, calls[id].test, request, size, end)
}

func onBody(id uint32, what string, kind, size, end uint32) uint32 {
	c := calls[id]
	side := kind / 2 // the number of the buffer too
	text, _ := buffer(side, 0, size)
	c.chunks = append(c.chunks, fmt.Sprintf("%d:%d", size, end))
	switch what {
	case "append":
		proxySetBuffer(side, size, 0, "+")
	case "prepend":
		proxySetBuffer(side, 0, 0, "-")
	case "replace":
		proxySetBuffer(side, 0, size, strings.ToUpper(text))
	case "middle":
		proxySetBuffer(side, 1, 2, "__")
	case "piece-by-tick":
		if end == 0 {
			late = append(late, id)
			return pause
		}
	case "pause", "hold":
		if end == 0 {
			return pause
		}
		proxySetBuffer(side, 0, size, fmt.Sprintf("[%s %s]", strings.Join(c.chunks, " "), text))
		proxyReplace(kind, "x-held", "yes")
	case "go-on-and-pause":
		proxyContinue(side)
		return pause
	case "body-answer":
		if strings.Contains(text, "bad") {
			proxySendLocal(403, "", "not with that body", "", -1)
			return pause
		}
	case "body-read":
		var n, flags uint32
		status := proxyGetBufferStatus(side, unsafe.Pointer(&n), unsafe.Pointer(&flags))
		part, _ := buffer(side, 1, 3)
		beyond, over := buffer(side, size, 5)
		proxySetBuffer(side, 0, size, fmt.Sprint(status, n, part, "|", beyond, over))
	case "add-trailer":
		if end == 1 {
			proxyAdd(kind+1, "x-sum", "added")
		}
	}
	return cont
}

//go:wasmexport proxy_on_request_trailers
func onRequestTrailers(id, n uint32) uint32 {
	proxyReplace(requestTrailers, "x-seen", fmt.Sprint(n, value(requestTrailers, "x-sum")))
	return cont
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(id, n, end uint32) uint32 {
	c := calls[id]
	c.chunks = nil
	if c.answer != "" {
		proxyReplace(response, "x-guest", fmt.Sprint(id > 1, value(response, ":status"), end))
		proxyAdd(response, "set-cookie", "forged=1")
	}
	switch c.answer {
	case "reply":
		proxyReplace(response, "x-every", fmt.Sprint(value(response, ":status"), end))
		return pause
	case "status":
		proxyReplace(response, ":status", "418")
	case "local":
		proxySendLocal(503, "", "mine", "", -1)
	case "pause":
		return pause
	}
	return cont
}

//go:wasmexport proxy_on_response_body
func onResponseBody(id, size, end uint32) uint32 {
	return onBody(id, calls[id].answer, response, size, end)
}

//go:wasmexport proxy_on_response_trailers
func onResponseTrailers(id, n uint32) uint32 {
	proxyReplace(responseTrailers, "x-seen", fmt.Sprint(n))
	return cont
}

//go:wasmexport proxy_on_done
func onDone(id uint32) uint32 {
	if id == root {
		proxyLog(2, "the plugin is asked whether it is done")
		leaving = strings.Contains(config, "leave by tick")
		return 1 - b2i(leaving)
	}
	if calls[id] != nil && calls[id].test == "done-later" {
		late = append(late, id)
		return 0
	}
	return 1
}

//go:wasmexport proxy_on_log
func onLog(id uint32) {
	if c := calls[id]; c != nil {
		proxyLog(2, "log of "+c.test)
	}
}

//go:wasmexport proxy_on_delete
func onDelete(id uint32) {
	proxyLog(2, fmt.Sprint("deleted, ", len(calls)))
	delete(calls, id)
}
