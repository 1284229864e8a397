package wasm

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/annex-gateway/annex/core"
)

// proxyFunctions are what the border offers, by name. What is not here answers
// that it is not implemented.
func proxyFunctions() map[string]proxyFunc {
	all := []proxyFunc{
		{name: "proxy_log", params: "iii", perform: (*proxyVM).log},
		{name: "proxy_get_log_level", params: "i", perform: (*proxyVM).getLogLevel},
		{name: "proxy_get_current_time_nanoseconds", params: "i", perform: (*proxyVM).getTime},
		{name: "proxy_set_tick_period_milliseconds", params: "i", perform: (*proxyVM).setTick},
		{name: "proxy_set_effective_context", params: "i", perform: (*proxyVM).setContext},
		{name: "proxy_done", perform: (*proxyVM).done},
		{name: "proxy_get_configuration", params: "ii", perform: (*proxyVM).getConfiguration},
		{name: "proxy_get_buffer_bytes", params: "iiiii", perform: (*proxyVM).getBuffer},
		{name: "proxy_get_buffer_status", params: "iii", perform: (*proxyVM).getBufferStatus},
		{name: "proxy_set_buffer_bytes", params: "iiiii", perform: (*proxyVM).setBuffer},
		{name: "proxy_get_header_map_size", params: "ii", perform: (*proxyVM).getMapSize},
		{name: "proxy_get_header_map_pairs", params: "iii", perform: (*proxyVM).getMapPairs},
		{name: "proxy_set_header_map_pairs", params: "iii", perform: (*proxyVM).setMapPairs},
		{name: "proxy_get_header_map_value", params: "iiiii", perform: (*proxyVM).getMapValue},
		{name: "proxy_add_header_map_value", params: "iiiii", perform: (*proxyVM).addMapValue},
		{name: "proxy_replace_header_map_value", params: "iiiii", perform: (*proxyVM).replaceMapValue},
		{name: "proxy_remove_header_map_value", params: "iii", perform: (*proxyVM).removeMapValue},
		{name: "proxy_continue_stream", params: "i", perform: (*proxyVM).continueStream},
		{name: "proxy_continue_request", perform: (*proxyVM).continueRequest},
		{name: "proxy_continue_response", perform: (*proxyVM).continueResponse},
		{name: "proxy_close_stream", params: "i", perform: (*proxyVM).closeStream},
		{name: "proxy_clear_route_cache", perform: func(*proxyVM, context.Context, params) status { return statusOK }},
		{name: "proxy_send_local_response", params: "iiiiiiii", perform: (*proxyVM).sendLocalResponse},
		{name: "proxy_http_call", params: "iiiiiiiiii", perform: (*proxyVM).httpCall},
		{name: "proxy_get_status", params: "iii", perform: (*proxyVM).getStatus},
		{name: "proxy_get_property", params: "iiii", perform: (*proxyVM).getProperty},
		{name: "proxy_set_property", params: "iiii", perform: (*proxyVM).setProperty},
		{name: "proxy_get_shared_data", params: "iiiii", perform: (*proxyVM).getShared},
		{name: "proxy_set_shared_data", params: "iiiii", perform: (*proxyVM).setShared},
		{name: "proxy_register_shared_queue", params: "iii", perform: (*proxyVM).registerQueue},
		{name: "proxy_resolve_shared_queue", params: "iiiii", perform: (*proxyVM).resolveQueue},
		{name: "proxy_enqueue_shared_queue", params: "iii", perform: (*proxyVM).enqueue},
		{name: "proxy_dequeue_shared_queue", params: "iii", perform: (*proxyVM).dequeue},
		{name: "proxy_define_metric", params: "iiii", perform: (*proxyVM).defineMetric},
		{name: "proxy_increment_metric", params: "il", perform: (*proxyVM).incrementMetric},
		{name: "proxy_record_metric", params: "il", perform: (*proxyVM).recordMetric},
		{name: "proxy_get_metric", params: "ii", perform: (*proxyVM).getMetric},
		{name: "proxy_inject_encoded_data_to_filter_chain", params: "iii", perform: (*proxyVM).inject},
		{name: "proxy_call_foreign_function", params: "iiiiii", perform: func(*proxyVM, context.Context, params) status { return statusNotFound }},
	}
	known := make(map[string]proxyFunc, len(all))
	for _, f := range all {
		known[f.name] = f
	}
	return known
}

// proxyLevels are the border's levels: trace, debug, info, warn, error and
// critical.
func proxyLevels() [6]slog.Level {
	return [6]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError}
}

func (v *proxyVM) callID() string {
	if v.active == nil {
		return ""
	}
	return v.active.x.msg.ID
}

func (v *proxyVM) log(ctx context.Context, p params) status {
	levels := proxyLevels()
	if p.u32(0) >= uint32(len(levels)) {
		return statusBadArgument
	}
	b, ok := v.mem.Read(p.u32(1), p.u32(2))
	level := levels[p.u32(0)]
	switch log := v.guest.pool.log; {
	case !ok:
		return statusMemory
	case log.enabled(ctx, level):
		v.guest.say(ctx, level, v.callID(), logText(b[:min(len(b), maxLogLine)], p.u32(2)))
	}
	return statusOK
}

// getLogLevel gives the lowest level that is on.
func (v *proxyVM) getLogLevel(ctx context.Context, p params) status {
	for i, l := range proxyLevels() {
		if i > 0 && v.guest.pool.log.enabled(ctx, l) {
			return v.putU32(p.u32(0), uint32(i))
		}
	}
	return v.putU32(p.u32(0), 5)
}

func (v *proxyVM) getTime(_ context.Context, p params) status {
	return v.putU64(p.u32(0), uint64(time.Now().UnixNano()))
}

func (v *proxyVM) setTick(_ context.Context, p params) status {
	v.timer.every(time.Duration(p.u32(0)) * time.Millisecond)
	return statusOK
}

// setContext makes another context the one that the functions are about.
func (v *proxyVM) setContext(_ context.Context, p params) status {
	if p.u32(0) == rootID {
		v.active = nil
		return statusOK
	}
	s, ok := v.streams[p.u32(0)]
	if !ok {
		return statusBadArgument
	}
	v.active = s
	return statusOK
}

// done ends a context that gave 0 when it was asked whether it is done.
func (v *proxyVM) done(context.Context, params) status {
	switch {
	case v.active == nil && v.lastWord():
		return statusOK
	case v.active == nil || !v.active.lingers:
		return statusNotFound
	}
	v.active.lingers = false
	v.finished = append(v.finished, v.active)
	return statusOK
}

// continueStream lets a side go on that waits.
func (v *proxyVM) continueStream(_ context.Context, p params) status {
	side := p.u32(0)
	switch {
	case side > 3:
		return statusBadArgument
	case side > responseSide || v.active == nil:
		return statusUnimplemented
	}
	s := v.active
	s.change(func() { s.paused[side], s.going[side] = false, true })
	return statusOK
}

func (v *proxyVM) continueRequest(ctx context.Context, _ params) status {
	return v.continueStream(ctx, params{requestSide})
}

func (v *proxyVM) continueResponse(ctx context.Context, _ params) status {
	return v.continueStream(ctx, params{responseSide})
}

// closeStream ends a call without an answer of the guest's own.
func (v *proxyVM) closeStream(_ context.Context, p params) status {
	switch {
	case p.u32(0) > 3:
		return statusBadArgument
	case p.u32(0) > responseSide || v.active == nil:
		return statusUnimplemented
	}
	s := v.active
	s.change(func() { s.closed = true })
	return statusOK
}

// sendLocalResponse answers the active call. It wins over whatever the
// callback says is to happen next; only the first one counts.
func (v *proxyVM) sendLocalResponse(_ context.Context, p params) status {
	body, bad := v.view(p, 3, v.guest.pool.set.bodyBytes)
	raw, st := v.view(p, 5, maxMapBytes)
	_, wrong := v.view(p, 1, math.MaxUint32) // why it answers so: not used
	if bad = cmp.Or(bad, st, wrong); bad != statusOK {
		return bad
	}
	header, err := decodePairs(raw)
	switch n := p.u32(0); {
	case err != nil:
		return statusParseFailure
	case v.active == nil || n < 200 || n > 599:
		return statusBadArgument
	}
	f := fields{rules: responseRules()}
	for _, e := range header {
		name := fieldName([]byte(e.name))
		if name == "" || !validValue([]byte(e.value)) {
			continue // such as :status, which has a parameter of its own
		}
		v.alter(&f, name, func(h http.Header) { h[name] = append(h[name], e.value) })
	}
	s := v.active
	s.change(func() {
		if s.local == nil {
			s.local = &core.Response{Status: int(p.u32(0)), Header: f.result(), Body: core.BytesBody(bytes.Clone(body))}
		}
	})
	return statusOK
}
