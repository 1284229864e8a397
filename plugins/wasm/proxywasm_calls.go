package wasm

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// callout is a call of a guest to others that has not come back.
type callout struct {
	stream *proxyCall // that waits for it; nil for the root context
	cancel context.CancelFunc
}

func (v *proxyVM) httpCall(_ context.Context, p params) status {
	name, bad := v.text(p, 0, maxClusterName)
	raw, st := v.view(p, 2, maxMapBytes)
	body, wrong := v.view(p, 4, v.guest.pool.set.bodyBytes)
	switch bad = cmp.Or(bad, st, wrong); {
	case bad != statusOK:
		return bad
	case !v.writable(p.u32(9)):
		return statusMemory
	}
	fields, err := decodePairs(raw)
	if err != nil {
		return statusParseFailure
	}
	c := callRequest{at: v.guest.pool.set.clusters.find(name), header: http.Header{}}
	if !c.fill(fields) || c.at == nil {
		return statusBadArgument
	}
	c.timeout = min(time.Duration(p.u32(8))*time.Millisecond, maxOutbound)
	if c.timeout == 0 {
		c.timeout = maxOutbound
	}
	c.held = &v.guest.pool.outside
	if len(v.callouts) >= maxPending || !c.held.take(len(body)) {
		return statusInternalFailure
	}
	c.body = bytes.Clone(body)
	return v.putU32(p.u32(9), v.send(c)) //nolint:contextcheck // the answer comes after this callback
}

// fill reads method, path, host and header of a call. All of the first three
// must be there; without a host in its field the place is asked by its own
// name.
func (c *callRequest) fill(fields []pair) bool {
	named := false
	for _, f := range fields {
		switch name := strings.ToLower(f.name); {
		case name == ":method":
			c.method = f.value
		case name == ":path":
			c.target = f.value
		case name == ":authority", name == "host":
			c.host, named = f.value, true
		case strings.HasPrefix(name, ":"): // what the place cannot be told
		default:
			canonical := fieldName([]byte(name))
			if canonical == "" || !validValue([]byte(f.value)) {
				return false
			}
			c.header[canonical] = append(c.header[canonical], f.value)
		}
	}
	return token(c.method) && named && (c.host == "" || authority(c.host)) && len(c.target) <= maxTarget && strings.HasPrefix(c.target, "/") && plainASCII(c.target)
}

// send starts a call on behalf of the active context.
func (v *proxyVM) send(c callRequest) uint32 {
	for {
		v.lastCall++
		if _, used := v.callouts[v.lastCall]; !used && v.lastCall != 0 {
			break
		}
	}
	id := v.lastCall
	ctx, cancel := context.WithCancel(context.Background())
	out := &callout{stream: v.active, cancel: cancel}
	v.callouts[id] = out
	v.pending.Add(1)
	if s := v.entered; s != nil { // the context that is active may be another one
		s.change(func() { s.asked = true })
	}
	if s := out.stream; s != nil {
		s.change(func() { s.asked = true })
	}
	v.fleet.later(func() error {
		defer cancel()
		defer c.held.give(len(c.body))
		result, err := v.guest.pool.kind.outbound.do(ctx, c, v.guest.pool.set.bodyBytes)
		if err != nil {
			v.guest.pool.kind.host.Log().Debug("a call of a WASM extension failed", "system", v.guest.pool.set.triplet, "error", err)
			result = &callResult{}
		} else {
			defer c.held.give(result.counted)
			result.header = append([]pair{{":status", strconv.Itoa(result.status)}}, result.header...)
		}
		return v.deliver(id, out, result) //nolint:contextcheck // the guest is told even if the call was cancelled
	})
	return id
}

// deliver tells the guest what came back, unless the call that waited for it
// is over. It is told in the root context, whichever context has asked.
func (v *proxyVM) deliver(id uint32, out *callout, r *callResult) error {
	defer v.pending.Add(-1) // not before the callback has had its say
	return v.enter(context.Background(), nil, func(ctx context.Context) error {
		delete(v.callouts, id)
		if s := out.stream; s != nil && v.streams[s.id] != s {
			return nil
		}
		v.inCall = r
		_, err := v.invoke(ctx, "proxy_on_http_call_response", 0, rootID, id, uint32(len(r.header)), uint32(len(r.body)), uint32(len(r.trailer)))
		v.inCall = nil
		return err
	})
}

// getStatus gives the status of the answer to a callout, while it is shown.
func (v *proxyVM) getStatus(ctx context.Context, p params) status {
	code := 0
	if v.inCall != nil {
		code = v.inCall.status
	}
	if st := v.putU32(p.u32(0), uint32(code)); st != statusOK {
		return st
	}
	return v.give(ctx, []byte(http.StatusText(code)), p.u32(1), p.u32(2))
}
