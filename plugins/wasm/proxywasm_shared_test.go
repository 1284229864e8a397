package wasm

import (
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// openAs opens the guest of testdata/proxy as a system of its own.
func (f *fixture) openAs(t *testing.T, vendor, name string, set core.WASMSettings) *Conn {
	t.Helper()
	sys := f.system(goModule(t, "testdata/proxy"), set)
	sys.Vendor, sys.Name = vendor, name
	sys.ID = core.SystemID(sys.Kind, sys.Vendor, sys.Name, sys.Version)
	c, err := f.kind.Open(t.Context(), sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*Conn)
}

func TestQueuesBetweenSystems(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t), Idle: time.Millisecond})
	receiver := f.openAs(t, "acme", "receiver", core.WASMSettings{VMID: "receiver", Config: []byte(`"queue"`), Concurrency: 1})
	send := func(c *Conn, vm, item string) string {
		_, _, body := carry(t, c, testMessage(nil, "X-Test", "send", "X-Vm", vm, "X-Item", item), nil)
		return body
	}
	taken := func(item string) bool {
		for m := range f.kind.Metrics() {
			if m.Name == "queue."+item && m.System == "acme/receiver/1.0.0" {
				return true
			}
		}
		return false
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it never comes to pass that %s", what)
			}
		}
	}
	sender := f.openAs(t, "acme", "sender", core.WASMSettings{VMID: "sender", Concurrency: 1})
	if got := send(sender, "receiver", "first"); got != "0 0" {
		t.Errorf("to the receiver: %s", got)
	}
	until("the item is taken", func() bool { return taken("first") })
	for _, tc := range []struct {
		name string
		c    *Conn
		vm   string
	}{
		{"a machine without such a queue", sender, "sender"},
		{"a system that does not name its machine", f.openAs(t, "acme", "alone", core.WASMSettings{}), "receiver"},
		{"a system of another vendor", f.openAs(t, "other", "sender", core.WASMSettings{VMID: "sender"}), "receiver"},
	} {
		if got := send(tc.c, tc.vm, "lost"); got != "1 1" {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
	t.Run("a registration that is only tried takes nothing over", func(t *testing.T) {
		sys := f.system(goModule(t, "testdata/proxy"), core.WASMSettings{VMID: "receiver", Config: []byte(`"queue"`), VMConfig: []byte(`"seed"`)})
		sys.Vendor = "acme"
		if err := f.kind.Check(t.Context(), sys); err != nil {
			t.Fatal(err)
		}
		if got := send(sender, "receiver", "second"); got != "0 0" {
			t.Errorf("got %s", got)
		}
		until("the item is taken", func() bool { return taken("second") })
		if _, ok := receiver.fleet.shared.get(sharedKey{"receiver", "seed"}); ok {
			t.Error("what it wrote is there")
		}
	})
	t.Run("with its last registration a machine is gone", func(t *testing.T) {
		if err := receiver.Close(); err != nil {
			t.Fatal(err)
		}
		until("the queue is gone", func() bool { return send(sender, "receiver", "late") == "1 1" })
		_ = sender.Close()
		until("the vendor shares nothing any more", func() bool {
			f.kind.shared.mu.Lock()
			defer f.kind.shared.mu.Unlock()
			return len(f.kind.shared.byVendor) == 1
		})
	})
}

func TestSharedDataOfAMachine(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	keep := func(c *Conn, key, value string) string {
		_, _, body := carry(t, c, testMessage(nil, "X-Test", "keep", "X-Key", key, "X-Value", value), nil)
		return body
	}
	one := f.openAs(t, "acme", "one", core.WASMSettings{VMID: "both"})
	two := f.openAs(t, "acme", "two", core.WASMSettings{VMID: "both"})
	third := f.openAs(t, "acme", "third", core.WASMSettings{VMID: "own"})
	if a, b, c := keep(one, "k", "1"), keep(two, "k", "2"), keep(third, "k", "3"); a != "1 0" || b != "10 0" || c != "1 0" {
		t.Errorf("got %q, %q and %q", a, b, c)
	}
	t.Run("it is there for who comes soon after", func(t *testing.T) {
		if err := third.Close(); err != nil {
			t.Fatal(err)
		}
		if got := keep(f.openAs(t, "acme", "third", core.WASMSettings{VMID: "own"}), "k", "4"); got != "30 0" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("what a further guest writes while it starts is there already", func(t *testing.T) {
		c := f.openAs(t, "acme", "seeds", core.WASMSettings{VMConfig: []byte(`"seed"`), Concurrency: 2})
		if got := keep(c, "seed", "grown"); got != "fresh0 0" {
			t.Errorf("at first: %q", got)
		}
		if _, err := c.fleet.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keep(c, "seed", "older"); got != "grown0 0" {
			t.Errorf("after the start of another guest: %q", got)
		}
	})
}

func TestWhatARegistrationTellsItsGuests(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{
		VMID:        "vm",
		Properties:  map[string]string{"route_metadata.filter_metadata.envoy.filters.http.wasm.auth": "cookie", "route_name": "mine"},
		Environment: map[string]string{"COLOUR": "blue"},
	})
	_, _, body := carry(t, c, testMessage(nil, "X-Test", "properties", "X-Names",
		"route_metadata.filter_metadata.envoy.filters.http.wasm.auth,route_name,plugin_vm_id"), nil)
	if want := "https by 192.0.2.7\nroute_metadata.filter_metadata.envoy.filters.http.wasm.auth=0 \"cookie\"\nroute_name=0 \"mine\"\nplugin_vm_id=0 \"vm\"\n"; body != want {
		t.Errorf("properties: %s", body)
	}
	if _, _, body = carry(t, c, testMessage(nil, "X-Test", "environment"), nil); body != "COLOUR=blue" {
		t.Errorf("environment: %s", body)
	}
	f := newFixture(t, Options{})
	module := proxyModule("proxy_abi_version_0_2_1", nil, nil)
	for _, set := range []core.WASMSettings{
		{VMID: strings.Repeat("x", 257)},
		{Properties: map[string]string{"": "x"}},
		{Properties: map[string]string{"a": strings.Repeat("x", 70_000)}},
		{Environment: map[string]string{"a=b": "x"}},
		{Environment: map[string]string{"a": "x\x00"}},
	} {
		if err := f.kind.Check(t.Context(), f.system(module, set)); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%v: %v", set, err)
		}
	}
}
