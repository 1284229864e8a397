package meter

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// goGuest builds the guest in testdata/work with the ordinary toolchain.
func goGuest(tb testing.TB) []byte {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "work.wasm")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = "testdata/work"
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building the guest: %v\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// startForMeasuring starts a module that has nothing but WASI.
func startForMeasuring(tb testing.TB, b []byte, metered bool) api.Module {
	tb.Helper()
	ctx := context.Background()
	w := newWorld(tb, metered, 1<<16, func() uint64 { return Quantum })
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, w.runtime); err != nil {
		tb.Fatal(err)
	}
	if metered {
		var err error
		if b, err = Rewrite(b); err != nil {
			tb.Fatal(err)
		}
	}
	m, err := w.runtime.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithStartFunctions("_initialize", "_start").
		WithSysWalltime().WithSysNanotime().WithName(""))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// ratio runs the same function as it is and metered in turns, and gives how
// much longer the second takes. The best of many rounds are compared: they are
// the ones that nobody else disturbed.
func ratio(b *testing.B, plain, metered api.Function) float64 {
	b.Helper()
	ctx := context.Background()
	var stack [4]uint64
	time1 := func(f api.Function, n int) time.Duration {
		start := time.Now()
		for range n {
			if err := f.CallWithStack(ctx, stack[:]); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	n := 1
	for time1(plain, n) < 5*time.Millisecond {
		n *= 2
	}
	time1(metered, n)
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for range 60 {
		best[0] = min(best[0], time1(plain, n))
		best[1] = min(best[1], time1(metered, n))
	}
	return float64(best[1]) / float64(best[0])
}

// BenchmarkMetered reports how much longer metered guests take. ANNEX_GUESTS
// can name a folder of more modules, whose exported functions without
// parameters and results are run.
func BenchmarkMetered(b *testing.B) {
	guests := map[string][]byte{"go": goGuest(b)}
	more, _ := filepath.Glob(filepath.Join(os.Getenv("ANNEX_GUESTS"), "*.wasm"))
	for _, file := range more {
		module, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		guests[strings.TrimSuffix(filepath.Base(file), ".wasm")] = module
	}
	logs, count := 0.0, 0
	for name, module := range guests {
		plain, metered := startForMeasuring(b, module, false), startForMeasuring(b, module, true)
		for export, def := range plain.ExportedFunctionDefinitions() {
			if len(def.ParamTypes())+len(def.ResultTypes()) > 0 || strings.HasPrefix(export, "_") {
				continue
			}
			b.Run(name+"/"+export, func(b *testing.B) {
				r := ratio(b, plain.ExportedFunction(export), metered.ExportedFunction(export))
				logs, count = logs+math.Log(r), count+1
				b.ReportMetric(r, "metered/plain")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
	b.Run("geometric mean", func(b *testing.B) {
		b.ReportMetric(math.Exp(logs/float64(count)), "metered/plain")
		b.ReportMetric(0, "ns/op")
	})
}
