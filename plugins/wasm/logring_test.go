package wasm

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestWhatGuestsSayIsKeptAndFollowed(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "one", 16: "two"}
	c := f.open(t, guestModule(ending, data, cat(host("log", 0, 0, 3), host("log", 2, 16, 3)), nil), core.WASMSettings{})
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Fatal(err)
	}
	id := core.SystemID(core.KindWASM, "tests", "guest", "1.0.0")
	var got []string
	for l := range f.kind.Logs(t.Context(), id, false) {
		got = append(got, fmt.Sprint(l.Level, l.Call, l.Text))
	}
	if fmt.Sprint(got) != "[INFOcall-1one ERRORcall-1two]" {
		t.Errorf("got %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan string, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for l := range f.kind.Logs(ctx, id, true) {
			seen <- l.Text
		}
	}()
	<-seen
	<-seen
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Fatal(err)
	}
	if a, b := <-seen, <-seen; a != "one" || b != "two" {
		t.Errorf("followed %s %s", a, b)
	}
	cancel()
	<-done
	for range f.kind.Logs(t.Context(), "urn:nobody", false) {
		t.Error("nobody said something")
	}
}

func TestWhatAGuestPrintsIsOfItsCall(t *testing.T) {
	f := newFixture(t, Options{})
	print := cat(constant(1), constant(16), constant(1), constant(64), callFunc(len(allImports())), drop())
	c := f.open(t, testModule{
		imports: append(allImports(), "wasi_snapshot_preview1 fd_write iiii:i"), pages: 1,
		data: map[int]string{0: "said\n", 16: "\x00\x00\x00\x00\x05\x00\x00\x00"},
		funcs: []testFunc{
			{export: "_initialize", body: print},
			{export: "handle_request", sig: ":l", body: cat(print, constant64(ending))},
			{export: "handle_response", sig: "ii"},
		},
	}.bytes(), core.WASMSettings{Concurrency: 1})
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for l := range f.kind.Logs(t.Context(), core.SystemID(core.KindWASM, "tests", "guest", "1.0.0"), false) {
		got = append(got, l.Text+" in "+l.Call)
	}
	if fmt.Sprint(got) != "[said in  said in call-1]" {
		t.Errorf("got %q", got)
	}
}

func TestLongLinesAreKeptWhole(t *testing.T) {
	f := newFixture(t, Options{})
	const long, tooLong = 20_000, maxLogLine + 1000
	fill := func(pages int) map[int]string { return map[int]string{0: strings.Repeat("x", pages)} }
	for name, module := range map[string][]byte{
		"http-wasm": guestModule(ending, fill(tooLong), cat(host("log", 0, 0, long), host("log", 0, 0, tooLong)), nil),
		"proxy-wasm": proxyModule("proxy_abi_version_0_2_1", proxyImports(), fill(tooLong), testFunc{
			export: "proxy_on_request_headers", sig: "iii:i",
			body: cat(env(proxyImports(), "proxy_log", 2, 0, long), drop(), env(proxyImports(), "proxy_log", 2, 0, tooLong), drop(), constant(0)),
		}),
	} {
		sys := f.system(module, core.WASMSettings{})
		sys.Name = name
		sys.ID = core.SystemID(sys.Kind, sys.Vendor, sys.Name, sys.Version)
		c, err := f.kind.Open(t.Context(), sys)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for l := range f.kind.Logs(t.Context(), sys.ID, false) {
			got = append(got, strings.ReplaceAll(l.Text, strings.Repeat("x", 100), "C"))
		}
		want := []string{strings.Repeat("C", long/100), strings.Repeat("C", maxLogLine/100) + strings.Repeat("x", maxLogLine%100) + " … (1000 more bytes)"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v", name, got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWarningsAreNotKeptOutByOtherLines(t *testing.T) {
	host := &testHost{}
	l := guestLog{log: host.Log(), ring: &logRing{}, limit: 3}
	for i := range 10 {
		l.write(t.Context(), slog.LevelInfo, "", "each call")
		l.write(t.Context(), []slog.Level{slog.LevelWarn, slog.LevelError}[i%2], "", "an attack")
	}
	for _, text := range []string{"each call", "an attack"} {
		if n := strings.Count(host.log(), text); n < 3 || n > 9 {
			t.Errorf("%d lines of %s, want 3 for each second that it took", n, text)
		}
	}
}

func TestTheLinesThatAreKeptHaveABound(t *testing.T) {
	var r logRing
	line := strings.Repeat("x", maxLogLine)
	for range 3 * keptBytes / maxLogLine {
		r.add(slog.LevelInfo, "", line)
	}
	r.add(slog.LevelInfo, "", "last")
	lines, _, _ := r.since(0)
	if n := len(lines); n != keptBytes/maxLogLine || lines[n-1].Text != "last" || lines[0].Text != line {
		t.Errorf("%d lines are kept", n)
	}
}

func TestOnlyTheLastLinesAreKept(t *testing.T) {
	var r logRing
	for i := range keptLines + 7 {
		r.add(slog.LevelInfo, "", fmt.Sprint(i))
	}
	lines, next, _ := r.since(0)
	if len(lines) != keptLines || lines[0].Text != "7" || lines[keptLines-1].Text != fmt.Sprint(keptLines+6) || next != keptLines+7 {
		t.Errorf("%d lines, from %s", len(lines), lines[0].Text)
	}
	if lines, _, _ = r.since(next - 1); len(lines) != 1 {
		t.Errorf("%d lines are new, want 1", len(lines))
	}
	var b logBook
	first := b.ring("0")
	for i := range keptLogs {
		b.ring(fmt.Sprint(i + 1))
	}
	if len(b.rings) != keptLogs || b.ring("0") == first {
		t.Errorf("%d rings are kept", len(b.rings))
	}
}
