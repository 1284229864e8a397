package wasm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// The test binary is also the program that compiles, and some that do not.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "compile":
			if err := RunCompiler(context.Background(), os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "hang":
			time.Sleep(time.Hour)
		case "crash":
			panic("the compiler's own fault")
		case "talk":
			fmt.Println("hello")
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func compileBy(tb testing.TB, mode string) []string {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return []string{self, mode}
}

func TestModulesAreCompiledInAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	module := echoGuest()
	first := newFixture(t, Options{CacheDir: dir, Compiler: compileBy(t, "compile")})
	c := first.open(t, module, core.WASMSettings{})
	if _, err := c.Do(t.Context(), testMessage(core.BytesBody([]byte("hello")))); err != nil {
		t.Fatal(err)
	}
	if marks, _ := filepath.Glob(filepath.Join(dir, "compiled", "*")); len(marks) != 1 {
		t.Errorf("%d modules are marked as compiled, want 1", len(marks))
	}
	t.Run("once", func(t *testing.T) {
		again := newFixture(t, Options{CacheDir: dir, Compiler: []string{"/nowhere"}})
		again.open(t, module, core.WASMSettings{})
	})
	broken := testModule{pages: 1, funcs: []testFunc{
		{export: "handle_request", sig: ":l"}, {export: "handle_response", sig: "ii"},
	}}.bytes()
	for _, tc := range []struct {
		name, mode string
		module     []byte
		code       core.Code
		want       string
	}{
		{"a module that does not validate", "compile", broken, core.Invalid, "not valid"},
		{"a compiler that does not end", "hang", echoGuest(), core.Invalid, "not compiled within"},
		{"a compiler that breaks down", "crash", echoGuest(), core.Invalid, "gave up"},
		{"a compiler that says something else", "talk", echoGuest(), core.Invalid, "gave up"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, Options{CacheDir: t.TempDir(), Compiler: compileBy(t, tc.mode), CompileTimeout: 5 * time.Second})
			err := f.kind.Check(t.Context(), f.system(tc.module, core.WASMSettings{}))
			if core.ErrorCode(err) != tc.code || !strings.Contains(core.ErrorMessage(err), tc.want) {
				t.Errorf("got %v, want %s and %q", err, tc.code, tc.want)
			}
		})
	}
	t.Run("a module of the Go toolchain", func(t *testing.T) {
		f := newFixture(t, Options{CacheDir: t.TempDir(), Compiler: compileBy(t, "compile")})
		f.open(t, goModule(t, "../../wasm-examples/hello"), core.WASMSettings{})
	})
	t.Run("a compiler that is not there", func(t *testing.T) {
		f := newFixture(t, Options{CacheDir: t.TempDir(), Compiler: []string{"/nowhere"}})
		if err := f.kind.Check(t.Context(), f.system(echoGuest(), core.WASMSettings{})); core.ErrorCode(err) != core.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

// TestACompileBombHitsItsOwnProcess has a module within all structural limits
// whose loops and locals multiply in the compiler.
func TestACompileBombHitsItsOwnProcess(t *testing.T) {
	const loops, locals = 1_000, 9_000
	body := bytes.Repeat([]byte{0x03, 0x40}, loops)
	for i := range locals {
		body = cat(body, get(i), constant(1), []byte{0x6a}, set(i))
	}
	body = append(body, bytes.Repeat([]byte{0x20, 0, 0x0d, 0, 0x0b}, loops)...)
	bomb := hostileGuest(testFunc{locals: locals, body: body}).bytes()
	f := newFixture(t, Options{CacheDir: t.TempDir(), Compiler: compileBy(t, "compile"), CompileMemory: 256 << 20, CompileTimeout: 20 * time.Second})
	within(t, func() {
		err := f.kind.Check(t.Context(), f.system(bomb, core.WASMSettings{}))
		if core.ErrorCode(err) != core.Invalid {
			t.Errorf("got %v", err)
		}
	})
	if err := f.kind.Check(t.Context(), f.system(echoGuest(), core.WASMSettings{})); err != nil {
		t.Errorf("the next module: %v", err)
	}
}
