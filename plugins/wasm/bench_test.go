package wasm

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// plainAnswer is in plain Go what the tiny guest that answers does.
type plainAnswer struct{}

func (plainAnswer) Do(_ context.Context, m core.Message) (core.Message, error) {
	_ = m.Request.Target()
	return m.Answer(core.Response{
		Status: 200, Header: core.HeaderOf(http.Header{"Content-Type": {"text/plain"}}), Body: core.BytesBody([]byte("hello from a tiny guest")),
	}), nil
}

func (plainAnswer) Close() error { return nil }

type beginner interface {
	Begin(ctx context.Context) (core.Visit, error)
}

// plainFilter is in plain Go what the tiny header filter does.
type plainFilter struct{}

func (plainFilter) Begin(context.Context) (core.Visit, error) { return plainFilter{}, nil }

func (plainFilter) Request(_ context.Context, m core.Message) (core.Message, error) { return m, nil }

func (plainFilter) Response(_ context.Context, m core.Message) (core.Message, error) {
	r := *m.Response
	r.Header = r.Header.With("X-A", "1")
	return m.Answer(r), nil
}

func (plainFilter) Done() {}

func benchDo(b *testing.B, c core.Conn, m core.Message) {
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
	b.Run("the tiny guest that answers, in plain Go", func(b *testing.B) { benchDo(b, plainAnswer{}, m) })
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
	run := func(b *testing.B, c beginner) {
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
	b.Run("the tiny header filter, in plain Go", func(b *testing.B) { run(b, plainFilter{}) })
	b.Run("the Go example stamp", func(b *testing.B) {
		run(b, f.open(b, goModule(b, "../../wasm-examples/stamp"), core.WASMSettings{}))
	})
}

// BenchmarkOpen is what a gateway that starts does for a module that it has
// compiled before.
func BenchmarkOpen(b *testing.B) {
	opts := Options{CacheDir: cacheDir(b)}
	f := newFixture(b, opts)
	for name, module := range map[string][]byte{"tiny, from the cache on disk": echoGuest(), "Go, from the cache on disk": goModule(b, "../../wasm-examples/hello")} {
		b.Run(name, func(b *testing.B) {
			sys := f.system(module, core.WASMSettings{})
			for b.Loop() {
				k, err := New(context.Background(), f.host, opts)
				if err != nil {
					b.Fatal(err)
				}
				c, err := k.Open(context.Background(), sys)
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(c.Close(), k.Close()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
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
