package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// proxyImports are the functions of the border, in order, as proxyCallOf
// numbers them.
func proxyImports() []string {
	var out []string
	for name, f := range proxyFunctions() {
		out = append(out, "env "+name+" "+f.params+":i")
	}
	sort.Strings(out)
	return out
}

// env calls a function of the border and leaves its status on the stack.
func env(imports []string, name string, args ...int) []byte {
	i := slices.IndexFunc(imports, func(s string) bool { return strings.HasPrefix(s, "env "+name+" ") })
	if i < 0 {
		panic("no import " + name)
	}
	var out []byte
	for _, a := range args {
		out = append(out, constant(int64(int32(uint32(a))))...)
	}
	return append(out, callFunc(i)...)
}

// proxyModule is a guest of the border written by hand: an allocator that
// always gives the same room, a mark and the functions given.
func proxyModule(mark string, imports []string, data map[int]string, funcs ...testFunc) []byte {
	all := append([]testFunc{
		{export: "proxy_on_memory_allocate", sig: "i:i", body: constant(40_000)},
		{export: mark, sig: ""},
	}, funcs...)
	return testModule{imports: imports, pages: 2, data: data, funcs: all}.bytes()
}

func TestTheVersionsOfProxyWASM(t *testing.T) {
	f := newFixture(t, Options{})
	imports := append(proxyImports(), "wasi_unstable fd_write iiii:i", "env something_unheard_of il:l", "env abort iiii")
	data := map[int]string{0: "x-guest", 16: "seen"}
	replace := func(kind int) []byte {
		return cat(env(imports, "proxy_replace_header_map_value", kind, 0, 7, 16, 4), drop())
	}
	old := append(slices.Clone(imports), "env proxy_get_configuration ii:i")
	for _, tc := range []struct {
		name   string
		module []byte
	}{
		{"0.1.0, whose header callbacks have two parameters", proxyModule("proxy_abi_version_0_1_0", old, data,
			testFunc{export: "proxy_on_request_headers", sig: "ii:i", body: cat(replace(0), constant(0))},
			testFunc{export: "proxy_on_response_headers", sig: "ii:i", body: cat(replace(2), constant(0))})},
		{"0.1.0, which pauses and goes on by its own names", proxyModule("proxy_abi_version_0_1_0", old, data,
			testFunc{export: "proxy_on_request_headers", sig: "ii:i", body: cat(replace(0), env(imports, "proxy_continue_request"), drop(), constant(0))},
			testFunc{export: "proxy_on_response_headers", sig: "ii:i", body: cat(replace(2), env(imports, "proxy_continue_response"), drop(), constant(0))})},
		{"0.2.0", proxyModule("proxy_abi_version_0_2_0", imports, data,
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(replace(0), constant(0))},
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: cat(replace(2), constant(0))})},
		{"0.2.1, with start functions", proxyModule("proxy_abi_version_0_2_1", imports, data,
			testFunc{export: "_initialize", sig: ""},
			testFunc{export: "main", sig: "ii:i", body: constant(0)},
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(replace(0), constant(0))},
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: cat(replace(2), constant(0))})},
		{"0.2.100, where 2 goes on with headers", proxyModule("proxy_abi_version_0_2_100", imports, data,
			testFunc{export: "_start", sig: ""},
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(replace(0), constant(2))},
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: cat(replace(2), constant(0))})},
		{"no version, and the functions of the border", proxyModule("anything", imports, data,
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(replace(0), constant(0))},
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: cat(replace(2), constant(0))})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, tc.module, core.WASMSettings{Border: "proxy-wasm"})
			passed, back, body := carry(t, c, testMessage(nil), theirs)
			if passed.Request.Header.Get("X-Guest") != "seen" || back.Response.Header.Get("X-Guest") != "seen" || body != "theirs" {
				t.Errorf("got %v and %v %q", passed.Request.Header.Clone(), back.Response.Header.Clone(), body)
			}
		})
	}
	t.Run("a header is the end where no body follows, whether or not the guest would look at one", func(t *testing.T) {
		c := f.open(t, proxyModule("proxy_abi_version_0_2_1", imports, data,
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(get(2), []byte{0x04, 0x40}, replace(0), []byte{0x0b}, constant(0))},
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: cat(get(2), []byte{0x04, 0x40}, replace(2), []byte{0x0b}, constant(0))}), core.WASMSettings{})
		for _, tc := range []struct {
			request, reply *core.Body
			want           string
		}{
			{nil, core.BytesBody([]byte("x")), "true false"},
			{streamOf("one"), nil, "false true"},
		} {
			passed, back, _ := carry(t, c, testMessage(tc.request), func(m core.Message) core.Message { return answered(m, 200, tc.reply) })
			if got := fmt.Sprint(passed.Request.Header.Has("X-Guest"), back.Response.Header.Has("X-Guest")); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		}
	})
	t.Run("0.2.100: 1 stops, and the body is shown", func(t *testing.T) {
		c := f.open(t, proxyModule("proxy_abi_version_0_2_100", imports, data,
			testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: constant(1)},
			testFunc{export: "proxy_on_request_body", sig: "iii:i", body: cat(replace(0), constant(0))}), core.WASMSettings{})
		passed, _, _ := carry(t, c, testMessage(streamOf("one", "two")), theirs)
		if passed.Request.Header.Get("X-Guest") != "seen" || bodyOf(t, passed.Request.Body) != "onetwo" {
			t.Errorf("got %v", passed.Request.Header.Clone())
		}
	})
	t.Run("0.2.100: an answer in place of one whose body was looked at gives that up", func(t *testing.T) {
		c := f.open(t, proxyModule("proxy_abi_version_0_2_100", imports, data,
			testFunc{export: "proxy_on_response_headers", sig: "iii:i", body: constant(1)},
			testFunc{export: "proxy_on_response_body", sig: "iii:i", body: cat(env(imports, "proxy_send_local_response", 503, 0, 0, 0, 0, 0, 0, -1), drop(), constant(0))}), core.WASMSettings{})
		source := &closing{Reader: strings.NewReader("theirs")}
		_, back, _ := carry(t, c, testMessage(nil), func(m core.Message) core.Message { return answered(m, 200, core.StreamBody(source, -1)) })
		if back.Response.Status != 503 || !source.closed {
			t.Errorf("got %d, closed %v", back.Response.Status, source.closed)
		}
	})
	t.Run("0.2.100: 3 takes the body away", func(t *testing.T) {
		c := f.open(t, proxyModule("proxy_abi_version_0_2_100", imports, data,
			testFunc{export: "proxy_on_request_body", sig: "iii:i", body: cat(get(2), []byte{0x45}, constant(3), []byte{0x6c})}), core.WASMSettings{})
		passed, _, _ := carry(t, c, testMessage(streamOf("one", "two")), theirs)
		if got := bodyOf(t, passed.Request.Body); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("0.2.100: what the guest puts in goes on in place of what it took", func(t *testing.T) {
		inject := slices.Index(imports, "env proxy_inject_encoded_data_to_filter_chain iii:i")
		c := f.open(t, proxyModule("proxy_abi_version_0_2_100", imports, data,
			testFunc{export: "proxy_on_response_body", sig: "iii:i", body: cat(constant(16), constant(4), get(2), callFunc(inject), drop(), constant(3))}), core.WASMSettings{})
		for name, body := range map[string]*core.Body{"seenseenseen": streamOf("one", "two"), "seen": core.BytesBody([]byte("one"))} {
			_, _, got := carry(t, c, testMessage(nil), func(m core.Message) core.Message { return answered(m, 200, body) })
			if got != name {
				t.Errorf("got %q, want %q", got, name)
			}
		}
	})
}

// closing tells whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestProxyWASMModulesThatAreRefused(t *testing.T) {
	f := newFixture(t, Options{})
	hook := testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: constant(0)}
	for _, tc := range []struct {
		name   string
		module []byte
		border string
		want   string
	}{
		{"another version", proxyModule("proxy_abi_version_0_3_0", nil, nil), "", "written for proxy-wasm 0.3.0, and 0.1.0, 0.2.0, 0.2.1 and 0.2.100 are served"},
		{"two borders", proxyModule("proxy_abi_version_0_2_1", []string{"http_handler log iii"}, nil), "", "can be written for one only"},
		{"no allocator", testModule{pages: 1, funcs: []testFunc{{export: "proxy_abi_version_0_2_1"}, hook}}.bytes(), "", "neither proxy_on_memory_allocate nor malloc"},
		{"no memory", testModule{pages: 1, hidden: true, funcs: []testFunc{{export: "proxy_abi_version_0_2_1"}}}.bytes(), "", "no memory"},
		{"a callback that cannot be called", proxyModule("proxy_abi_version_0_2_1", nil, nil, testFunc{export: "proxy_on_tick", sig: "l"}), "", "proxy_on_tick with another type"},
		{"an unknown import beside env", proxyModule("proxy_abi_version_0_2_1", []string{"other f i:i"}, nil), "", "other.f, which is not offered"},
		{"another border than the registration says", proxyModule("proxy_abi_version_0_2_1", nil, nil), "http-wasm", "written for the border proxy-wasm"},
		{"a trap in vm_start", proxyModule("proxy_abi_version_0_2_1", nil, nil, testFunc{export: "proxy_on_vm_start", sig: "ii:i", body: trapNow()}), "", "does not start: proxy_on_vm_start"},
		{"vm_start that says no", proxyModule("proxy_abi_version_0_2_1", nil, nil, testFunc{export: "proxy_on_vm_start", sig: "ii:i", body: constant(0)}), "", "proxy_on_vm_start gives 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := f.kind.Check(t.Context(), f.system(tc.module, core.WASMSettings{Border: tc.border}))
			if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if f.held() != 0 {
		t.Errorf("%d modules are still held", f.held())
	}
}

func TestClustersOfARegistration(t *testing.T) {
	f := newFixture(t, Options{})
	module := proxyModule("proxy_abi_version_0_2_1", nil, nil)
	for _, tc := range []struct{ url, want string }{
		{"https://10.0.0.1:1", "lets no WASM extension call others"},
	} {
		err := f.kind.Check(t.Context(), f.system(module, core.WASMSettings{Clusters: map[string]string{"a": tc.url}}))
		if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), tc.want) {
			t.Errorf("%s: got %v", tc.url, err)
		}
	}
	f.kind.opts.Guard = func(netip.AddrPort) error { return errors.New("no") }
	for _, url := range []string{"", "ftp://a", "https://", "https://u@a", "https://a/path", "https://a?q", "https://10.0.0.1:1"} {
		if err := f.kind.Check(t.Context(), f.system(module, core.WASMSettings{Clusters: map[string]string{"a": url}})); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if err := f.kind.Check(t.Context(), f.system(module, core.WASMSettings{Clusters: map[string]string{"a": "https://name.test/"}})); err != nil {
		t.Error(err)
	}
}

// proxyCallWith lets a guest call one host function with the numbers given,
// amid a call. A trap is fine.
func proxyCallWith(c *Conn, function proxyFunc, stack []uint64) error {
	s, m := c.beginStream(context.Background()), testMessage(core.BytesBody([]byte("hello")), "A", "b")
	if err := s.bind(context.Background(), m); err != nil {
		return err
	}
	defer s.Done()
	s.x = newExchange(s.vm.guest, m)
	s.hooks[0] = &bodyHook{s: s, limit: 1000, buffer: []byte("hello"), shown: true, closed: make(chan struct{})}
	err := s.vm.onTurn(context.Background(), s, func(ctx context.Context) (err error) {
		defer func() {
			switch p := recover(); p := p.(type) {
			case nil, trap:
			default:
				err = fmt.Errorf("%s panics: %v", function.name, p)
			}
		}()
		s.id = s.vm.nextID()
		s.vm.streams[s.id] = s
		function.Call(ctx, s.vm.mod, stack)
		return nil
	})
	return err
}

func TestNoPointerOfAProxyWASMGuestMakesTheHostPanic(t *testing.T) {
	f := newFixture(t, Options{MaxLogLines: 1, SharedBytes: 10_000})
	c := f.open(t, proxyModule("proxy_abi_version_0_2_1", nil, map[int]string{0: "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00a\x00b\x00"}), core.WASMSettings{Rewrite: true, Concurrency: 1})
	r := rand.New(rand.NewPCG(1, 2))
	var all []proxyFunc
	for _, f := range proxyFunctions() {
		if f.name != "proxy_set_tick_period_milliseconds" {
			f.answers = true
			all = append(all, f)
		}
	}
	for i := range 30_000 {
		stack := make([]uint64, 10)
		for j := range stack {
			stack[j] = interesting(r)
		}
		if err := proxyCallWith(c, all[i%len(all)], stack); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzPairs(f *testing.F) {
	f.Add(encodePairs([]pair{{"a", "1"}, {"b", "22"}}))
	f.Add([]byte{0})
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 'a', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		pairs, err := decodePairs(b)
		if err != nil || len(pairs) == 0 {
			return
		}
		again, err := decodePairs(encodePairs(pairs))
		if err != nil || !slices.Equal(again, pairs) {
			t.Errorf("%q: %v and then %v, %v", b, pairs, again, err)
		}
	})
}
