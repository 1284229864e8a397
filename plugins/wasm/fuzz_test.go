package wasm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// hostCall lets a guest of c call one host function with the numbers given. A
// trap is fine; anything else that goes wrong is an error.
func hostCall(c *Conn, function int, responding bool, stack []uint64) error {
	g, err := c.pool.acquire(context.Background())
	if err != nil {
		return err
	}
	defer c.pool.release(context.Background(), g)
	h := g.session.(*handler)
	b := &budget{left: c.pool.set.deadline}
	return g.run(context.Background(), b, func(ctx context.Context) (err error) {
		defer func() {
			switch p := recover(); p := p.(type) {
			case nil, trap:
			default:
				err = fmt.Errorf("function %d panics: %v", function, p)
			}
			h.x = nil
		}()
		h.x, h.features = newExchange(g, testMessage(core.BytesBody([]byte("hello")), "A", "b", "Cookie", "vcloud_jwt=1; c=d")), uint32(stack[0]>>3)&allFeatures
		if responding {
			h.x.respond(&core.Response{Status: 200, Header: core.NewHeader("C", "d"), Body: core.BytesBody([]byte("there"))})
		}
		functions()[function].Call(ctx, g.mod, stack)
		h.x.request()
		if responding {
			h.x.response()
		}
		return nil
	})
}

// interesting are numbers around which pointers go wrong.
func interesting(r *rand.Rand) uint64 {
	edges := [...]uint64{0, 1, 2, 3, 4, 64, 1 << 16, 1<<17 - 1, 1 << 17, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	switch r.IntN(3) {
	case 0:
		return edges[r.IntN(len(edges))] | r.Uint64()<<32
	case 1:
		return uint64(r.IntN(1<<17)) | r.Uint64()<<32
	}
	return r.Uint64()
}

func TestNoPointerOfAGuestMakesTheHostPanic(t *testing.T) {
	f := newFixture(t, Options{MaxLogLines: 1})
	c := f.open(t, guestModule(next, map[int]string{0: "x-a", 64: "value /uri"}, nil, nil), core.WASMSettings{})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 30_000 {
		stack := make([]uint64, 5)
		for j := range stack {
			stack[j] = interesting(r)
		}
		if err := hostCall(c, i%len(functions()), r.IntN(2) == 0, stack); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzHostCalls(f *testing.F) {
	fix := newFixture(f, Options{MaxLogLines: 1})
	c := fix.open(f, guestModule(next, map[int]string{0: "x-a", 64: "value /uri"}, nil, nil), core.WASMSettings{Rewrite: true})
	f.Add(uint8(5), false, uint64(0), uint64(0), uint64(3), uint64(64), uint64(5))
	f.Fuzz(func(t *testing.T, function uint8, responding bool, p0, p1, p2, p3, p4 uint64) {
		err := hostCall(c, int(function)%len(functions()), responding, []uint64{p0, p1, p2, p3, p4})
		if err != nil && !errors.Is(err, errOverTime) {
			t.Error(err)
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"", "/", "/a%20b?c", "/a/../b", "//a", "/%2e", "/%2f", "/%", "/a#b", "/\xff", "/%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseTarget(s)
		if !ok {
			return
		}
		again, ok := parseTarget(targetOf(core.Request{Path: got.path, RawPath: got.rawPath, RawQuery: got.rawQuery}))
		if !ok || again != got {
			t.Errorf("%q is read as %+v and then as %+v", s, got, again)
		}
	})
}

func FuzzSplitCookies(f *testing.F) {
	f.Add("a=b; vcloud_jwt=x; c=d")
	f.Fuzz(func(t *testing.T, s string) {
		seen, _ := splitCookies([]string{s})
		if again, kept := splitCookies(seen); len(kept) > 0 || len(again) != len(seen) {
			t.Errorf("%q: %q is still seen, with %q", s, seen, kept)
		}
	})
}
