package pipeline

import (
	"context"
	"fmt"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// BenchmarkServe is the bare road: a known caller, systems that do nothing.
func BenchmarkServe(b *testing.B) {
	for _, systems := range []int{0, 1, 2} {
		b.Run(fmt.Sprintf("%d systems and the native API", systems), func(b *testing.B) {
			f := setUp(b)
			f.quiet = true
			f.road.opts.Trace = nil
			for i := range systems {
				f.system(core.KindMQTT, fmt.Sprint("s", i), 50, url("/api/x"))
			}
			r := textResponse("native")
			f.script["native"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) { return m.Answer(r), nil }
			m := core.Message{ID: "id-1", Request: core.Request{Method: "GET", Path: "/api/x", RawPath: "/api/x", Header: core.NewHeader("Accept", "*/*")}}
			b.ReportAllocs()
			for b.Loop() {
				_, done, err := f.road.Serve(b.Context(), m)
				if err != nil {
					b.Fatal(err)
				}
				done()
			}
		})
	}
}
