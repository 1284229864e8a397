package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// The specification's own tests, as wazero's module brings them along, are
// run with every module as it is and metered, and everything that can be seen
// is compared.

// script is one file of tests, as wast2json writes it.
type script struct {
	Commands []command `json:"commands"`
}

type command struct {
	Type       string `json:"type"`
	Line       int    `json:"line"`
	Name       string `json:"name"`
	Filename   string `json:"filename"`
	As         string `json:"as"`
	ModuleType string `json:"module_type"`
	Action     action `json:"action"`
}

type action struct {
	Type   string  `json:"type"`
	Module string  `json:"module"`
	Field  string  `json:"field"`
	Args   []value `json:"args"`
}

type value struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

// world is a runtime with what a script has loaded so far.
type world struct {
	runtime wazero.Runtime
	metered bool
	last    api.Module
	named   map[string]api.Module
	all     []api.Module
}

func allFeatures() api.CoreFeatures {
	return api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst
}

func newWorld(tb testing.TB, metered bool, limit uint32, refill func() uint64) *world {
	tb.Helper()
	return newDeepWorld(tb, metered, limit, func(uint64) uint64 { return refill() })
}

// newDeepWorld is newWorld with a host that looks at the depth.
func newDeepWorld(tb testing.TB, metered bool, limit uint32, refill func(depth uint64) uint64) *world {
	tb.Helper()
	ctx := context.Background()
	w := &world{
		runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(allFeatures()).WithMemoryLimitPages(limit)),
		metered: metered, named: map[string]api.Module{},
	}
	tb.Cleanup(func() { _ = w.runtime.Close(ctx) })
	_, err := w.runtime.NewHostModuleBuilder(Module).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = refill(stack[0]) }), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).
		Export(Function).Instantiate(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// load starts a module, under a name if there is one.
func (w *world) load(b []byte, name string) (api.Module, error) {
	if w.metered {
		var err error
		if b, err = Rewrite(b); err != nil {
			return nil, err
		}
	}
	return w.runtime.InstantiateWithConfig(context.Background(), b, wazero.NewModuleConfig().WithName(name))
}

func (w *world) keep(m api.Module, name string) {
	w.last = m
	w.all = append(w.all, m)
	if name != "" {
		w.named[name] = m
	}
}

// act gives what can be seen of an action.
func (w *world) act(a action) (string, error) {
	m := w.last
	if a.Module != "" {
		m = w.named[a.Module]
	}
	if m == nil {
		return "", errors.New("no module")
	}
	if a.Type == "get" {
		g := m.ExportedGlobal(a.Field)
		if g == nil {
			return "", errors.New("no global")
		}
		return visible([]uint64{g.Get()}, []api.ValueType{g.Type()}), nil
	}
	f := m.ExportedFunction(a.Field)
	if f == nil {
		return "", errors.New("no function " + a.Field)
	}
	var args []uint64
	for _, v := range a.Args {
		args = append(args, v.stack()...)
	}
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return "", errors.New(line)
	}
	return visible(results, f.Definition().ResultTypes()), nil
}

// visible writes results down; of references to functions only whether there
// is one.
func visible(results []uint64, types []api.ValueType) string {
	var b strings.Builder
	for _, t := range types {
		n := 1
		if t == 0x7b {
			n = 2
		}
		for range n {
			if len(results) == 0 {
				return b.String() + "too few"
			}
			v := results[0]
			results = results[1:]
			if t == 0x70 {
				v = min(v, 1)
			}
			fmt.Fprintf(&b, "%x ", v)
		}
	}
	return b.String()
}

func (v value) stack() []uint64 {
	var one string
	if json.Unmarshal(v.Value, &one) == nil {
		if one == "null" {
			return []uint64{0}
		}
		n, _ := strconv.ParseUint(one, 10, 64)
		if v.Type == "externref" {
			n++
		}
		return []uint64{n}
	}
	var lanes []string
	if json.Unmarshal(v.Value, &lanes) != nil {
		return []uint64{0}
	}
	var out [2]uint64
	bits := 128 / len(lanes)
	for i, l := range lanes {
		n, _ := strconv.ParseUint(l, 10, 64)
		if bits < 64 {
			n &= 1<<bits - 1
		}
		out[i*bits/64] |= n << (i * bits % 64)
	}
	return out[:]
}

// spectests gives the folders of wazero's copy of the specification's tests.
func spectests(tb testing.TB) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		tb.Fatalf("where is wazero? %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

func TestTheSpecificationHoldsForMeteredModules(t *testing.T) {
	root := spectests(t)
	host, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	for _, folder := range []string{"v1", "v2", "tail-call", "extended-const"} {
		found, _ := filepath.Glob(filepath.Join(root, folder, "testdata", "*.json"))
		if len(found) == 0 {
			t.Fatalf("no tests in %s", folder)
		}
		scripts = append(scripts, found...)
	}
	seen := 0
	for _, file := range scripts {
		name, _ := filepath.Rel(root, file)
		t.Run(name, func(t *testing.T) { seen += runScript(t, file, host) })
	}
	t.Logf("%d things compared", seen)
	if seen < 40_000 {
		t.Errorf("only %d things were compared", seen)
	}
}

// bothWorlds is one runtime with modules as they are and one with metered
// ones, which get very little fuel at a time.
func bothWorlds(tb testing.TB) (plain, metered *world) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	refill := func() uint64 { return uint64(r.IntN(5_000)) }
	return newWorld(tb, false, 1<<16, refill), newWorld(tb, true, 1<<16, refill)
}

func runScript(t *testing.T, file string, host []byte) (seen int) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	plain, metered := bothWorlds(t)
	worlds := []*world{plain, metered}
	for _, w := range worlds {
		if _, err := w.load(host, "spectest"); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range s.Commands {
		switch {
		case c.ModuleType == "text":
			continue
		case c.Filename != "":
			b, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			as := ""
			if i+1 < len(s.Commands) && s.Commands[i+1].Type == "register" {
				as = s.Commands[i+1].As
			}
			compareLoads(t, c, worlds, b, as)
		case c.Action.Type != "":
			a, errA := plain.act(c.Action)
			b, errB := metered.act(c.Action)
			if a != b || fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Errorf("line %d, %s: %q (%v) as it is, and %q (%v) metered", c.Line, c.Action.Field, a, errA, b, errB)
			}
		default:
			continue
		}
		seen++
	}
	compareMemories(t, plain, metered)
	return seen
}

func compareLoads(t *testing.T, c command, worlds []*world, b []byte, as string) {
	t.Helper()
	var got [2]api.Module
	var errs [2]error
	for i, w := range worlds {
		if got[i], errs[i] = w.load(b, as); errs[i] == nil && c.Type == "module" {
			w.keep(got[i], c.Name)
		}
	}
	if (errs[0] == nil) != (errs[1] == nil) {
		t.Errorf("line %d, %s %s: %v as it is, and %v metered", c.Line, c.Type, c.Filename, errs[0], errs[1])
	}
}

func compareMemories(t *testing.T, plain, metered *world) {
	t.Helper()
	for i := range plain.all {
		a, b := plain.all[i].Memory(), metered.all[i].Memory()
		if reflect.ValueOf(a).IsNil() || reflect.ValueOf(b).IsNil() {
			continue
		}
		x, _ := a.Read(0, a.Size())
		y, _ := b.Read(0, b.Size())
		if string(x) != string(y) {
			t.Errorf("module %d has another memory when metered", i)
		}
	}
}
