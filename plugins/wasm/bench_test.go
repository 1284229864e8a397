package wasm

import (
	"context"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func benchDo(b *testing.B, c *Conn, m core.Message) {
	b.Helper()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Do(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	f := newFixture(b, Options{CacheDir: cacheDir(b)})
	data := map[int]string{0: "content-type", 16: "text/plain", 32: "hello from a tiny guest", 64: "x-a"}
	m := testMessage(nil, "Accept", "*/*", "User-Agent", "bench", "Cookie", "a=b")
	b.Run("a guest that does nothing", func(b *testing.B) {
		benchDo(b, f.open(b, guestModule(ending, nil, nil, nil), core.WASMSettings{}), m)
	})
	b.Run("a tiny guest that answers", func(b *testing.B) {
		benchDo(b, f.open(b, guestModule(ending, data, cat(
			host("get_uri", 1000, 64), drop(), host("set_header_value", 1, 0, 12, 16, 10), host("write_body", 1, 32, 23)), nil), core.WASMSettings{}), m)
	})
	b.Run("the Go example hello", func(b *testing.B) {
		benchDo(b, f.open(b, goModule(b, "../../wasm-examples/hello"), core.WASMSettings{}), m)
	})
	b.Run("64 callers of a tiny guest", func(b *testing.B) {
		c := f.open(b, guestModule(ending, data, host("write_body", 1, 32, 23), nil), core.WASMSettings{Concurrency: 64})
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := c.Do(context.Background(), m); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkAround(b *testing.B) {
	f := newFixture(b, Options{CacheDir: cacheDir(b)})
	data := map[int]string{0: "x-a", 16: "1"}
	m := testMessage(nil, "Accept", "*/*", "User-Agent", "bench")
	reply := core.Response{Status: 200, Header: core.NewHeader("Content-Type", "text/plain"), Body: core.BytesBody([]byte("theirs"))}
	run := func(b *testing.B, c *Conn) {
		b.Helper()
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			v, err := c.Begin(ctx)
			if err != nil {
				b.Fatal(err)
			}
			out, err := v.Request(ctx, m)
			if err != nil {
				b.Fatal(err)
			}
			if _, err = v.Response(ctx, out.Answer(reply)); err != nil {
				b.Fatal(err)
			}
			v.Done()
		}
	}
	b.Run("a tiny header filter", func(b *testing.B) {
		run(b, f.open(b, guestModule(next, data, cat(host("enable_features", 2), drop()), host("set_header_value", 1, 0, 3, 16, 1)), core.WASMSettings{}))
	})
	b.Run("the Go example stamp", func(b *testing.B) {
		run(b, f.open(b, goModule(b, "../../wasm-examples/stamp"), core.WASMSettings{}))
	})
}

func BenchmarkStartGuest(b *testing.B) {
	f := newFixture(b, Options{CacheDir: cacheDir(b)})
	for name, module := range map[string][]byte{"tiny": echoGuest(), "Go": goModule(b, "../../wasm-examples/hello")} {
		b.Run(name, func(b *testing.B) {
			c := f.open(b, module, core.WASMSettings{})
			for b.Loop() {
				g, err := startGuest(context.Background(), c.pool)
				if err != nil {
					b.Fatal(err)
				}
				g.close(context.Background())
			}
		})
	}
}
