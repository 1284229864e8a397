// Command guest is a plugin of our own on the Go SDK of others: it counts calls
// in shared data and in a metric, asks a cluster before an answer goes on, and
// looks at bodies.
package main

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() { proxywasm.SetVMContext(&machine{}) }

type machine struct{ types.DefaultVMContext }

func (*machine) NewPluginContext(uint32) types.PluginContext { return &plugin{} }

type plugin struct {
	types.DefaultPluginContext
	name  string
	ticks proxywasm.MetricCounter
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	config, err := proxywasm.GetPluginConfiguration()
	if err != nil || len(config) == 0 {
		proxywasm.LogCritical("a configuration is needed")
		return types.OnPluginStartStatusFailed
	}
	p.name, p.ticks = string(config), proxywasm.DefineCounterMetric("peer_ticks")
	if err := proxywasm.SetTickPeriodMilliSeconds(100); err != nil {
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnTick() { p.ticks.Increment(1) }

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &call{plugin: p} }

type call struct {
	types.DefaultHttpContext
	plugin *plugin
	left   int
}

func (c *call) OnHttpRequestHeaders(int, bool) types.Action {
	n := count()
	path, _ := proxywasm.GetHttpRequestHeader(":path")
	peer, _ := proxywasm.GetProperty([]string{"source", "address"})
	proxywasm.LogInfof("%s: call %d of %s from %s", c.plugin.name, n, path, peer)
	_ = proxywasm.AddHttpRequestHeader("x-peer-count", strconv.FormatUint(n, 10))
	_ = proxywasm.RemoveHttpRequestHeader("content-length")
	return types.ActionContinue
}

// count counts in data that all guests share.
func count() uint64 {
	for {
		b, cas, err := proxywasm.GetSharedData("count")
		n := uint64(1)
		if err == nil && len(b) == 8 {
			n += binary.LittleEndian.Uint64(b)
		}
		err = proxywasm.SetSharedData("count", binary.LittleEndian.AppendUint64(nil, n), cas)
		if err != types.ErrorStatusCasMismatch {
			return n
		}
	}
}

func (c *call) OnHttpRequestBody(size int, end bool) types.Action {
	if !end {
		return types.ActionPause
	}
	_ = proxywasm.AppendHttpRequestBody(fmt.Appendf(nil, " and %d bytes were gathered", size))
	return types.ActionContinue
}

func (c *call) OnHttpResponseHeaders(int, bool) types.Action {
	for range 3 {
		_, err := proxywasm.DispatchHttpCall("backend", [][2]string{{":method", "GET"}, {":path", "/asked"}, {":authority", "peer.test"}},
			nil, nil, 5000, c.asked)
		if err != nil {
			proxywasm.LogErrorf("no callout: %v", err)
			return types.ActionContinue
		}
		c.left++
	}
	return types.ActionPause
}

func (c *call) asked(_, size, _ int) {
	if c.left--; c.left == 0 {
		b, _ := proxywasm.GetHttpCallResponseBody(0, size)
		_ = proxywasm.AddHttpResponseHeader("x-peer-asked", strconv.Itoa(len(b)))
		_ = proxywasm.ResumeHttpResponse()
	}
}
