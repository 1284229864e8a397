package wasm

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// overruns are guests that must be stopped by their deadline: the hostile set,
// and for every function of the host a guest that calls it for ever, with
// lengths that fill a large memory.
func overruns(f *fixture, pages int64) map[string][]byte {
	out := map[string][]byte{}
	for _, h := range hostileGuests() {
		out[h.name] = h.module.bytes()
	}
	for _, border := range borders() {
		imports := f.offered(border)
		for i, imported := range imports {
			sig := strings.Fields(imported)[2]
			params, results, _ := strings.Cut(sig, ":")
			var once []byte
			for n, p := range params {
				v := []int64{1, 0, pages*pageSize - 8, 0, pages*pageSize - 8}[n%5]
				if p == 'l' {
					once = append(once, constant64(uint64(v))...)
				} else {
					once = append(once, constant(v)...)
				}
			}
			once = append(once, callFunc(i)...)
			if results != "" {
				once = append(once, drop()...)
			}
			m := testModule{imports: imports, pages: int(pages), funcs: []testFunc{
				{export: "handle_request", sig: ":l", body: cat(loop(once), constant64(next))},
				{export: "handle_response", sig: "ii"},
			}}
			if border == "proxy-wasm" {
				m.funcs = []testFunc{
					{export: "proxy_on_memory_allocate", sig: "i:i", body: constant(4096)},
					{export: "proxy_abi_version_0_2_1"},
					{export: "proxy_on_request_headers", sig: "iii:i", body: cat(loop(once), constant(0))},
				}
			}
			out[border+" "+imported] = m.bytes()
		}
	}
	return out
}

// BenchmarkOverrun reports how long guests run beyond their deadline of 100 ms
// while the garbage collector runs. It wants a quiet machine: how far a loop
// in Go that looks at the clock gets beyond 100 ms is reported beside it.
func BenchmarkOverrun(b *testing.B) {
	const pages = 512
	f := newFixture(b, Options{BreakAfter: 1 << 30})
	set := core.WASMSettings{DeadlineMS: 100, Concurrency: 1, MemoryBytes: pages * pageSize}
	type end struct {
		over time.Duration
		name string
	}
	var ends, plain []end
	for name, module := range overruns(f, pages) {
		c := f.open(b, module, set)
		collecting(func() {
			for range 3 {
				began := time.Now()
				_, err := c.Do(context.Background(), testMessage(core.BytesBody([]byte("hello"))))
				took := time.Since(began) - c.pool.set.deadline
				if err == nil || took < 0 {
					continue // it ended by itself, or by a trap
				}
				ends = append(ends, end{took, name})
			}
		})
		collecting(func() {
			began := time.Now()
			for time.Since(began) < c.pool.set.deadline {
			}
			plain = append(plain, end{time.Since(began) - c.pool.set.deadline, name})
		})
		_ = c.Close()
	}
	report := func(ends []end, what string) {
		slices.SortFunc(ends, func(a, b end) int { return cmp.Compare(b.over, a.over) })
		for name, i := range map[string]int{"median": len(ends) / 2, "p99": len(ends) / 100, "max": 0} {
			b.ReportMetric(float64(ends[i].over.Microseconds())/1000, "ms-over/"+what+"-"+name)
		}
	}
	report(ends, "guest")
	report(plain, "plain")
	for _, e := range ends[:10] {
		b.Logf("%s: %s", e.over, e.name)
	}
	b.ReportMetric(float64(len(ends)), "ends")
	b.ReportMetric(0, "ns/op")
}
