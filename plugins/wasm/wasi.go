package wasm

import (
	"context"
	"encoding/binary"
	"math"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// wasiNames are the names under which WASI is asked for. The older one has
// the same functions; where a structure differs it is one that needs a file
// system, and there is none.
func wasiNames() []string { return []string{wasi_snapshot_preview1.ModuleName, "wasi_unstable"} }

// exportWASI gives a host module the functions of WASI. They are those of the
// engine, but for the one that takes lists of any length, and those that copy
// the path of a file, of any length, before they find that there are no files.
func exportWASI(ctx context.Context, r wazero.Runtime, b wazero.HostModuleBuilder) error {
	all := wasi_snapshot_preview1.NewFunctionExporter()
	all.ExportFunctions(b)
	own := map[string]api.GoModuleFunc{"poll_oneoff": pollOneoff}
	draft := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	all.ExportFunctions(draft)
	code, err := draft.Compile(ctx)
	if err != nil {
		return err
	}
	for name, def := range code.ExportedFunctions() {
		f := own[name]
		if strings.HasPrefix(name, "path_") {
			f = noFile
		}
		if f != nil {
			b.NewFunctionBuilder().WithGoModuleFunction(f, def.ParamTypes(), def.ResultTypes()).Export(name)
		}
	}
	return code.Close(ctx)
}

// noFile is a function about a file in a folder. Guests have none.
func noFile(ctx context.Context, _ api.Module, stack []uint64) {
	g := guestOf(ctx)
	if g == nil {
		panic(errNoGuest)
	}
	g.step()
	stack[0] = wasiBadFile
}

// What WASI's functions give.
const (
	wasiSuccess = 0
	wasiBadFile = 8
	wasiFault   = 21
	wasiInvalid = 28
	wasiNotSup  = 58
)

// What can be waited for, the sizes of what says so, and how many there can
// be at once: guests have a clock, and nothing else to wait for.
const (
	waitClock = iota
	waitRead
	waitWrite

	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 1024
)

// pollOneoff waits until the first of several things has happened. A guest
// has no files: to ask for one of its streams gives an answer at once.
func pollOneoff(ctx context.Context, mod api.Module, stack []uint64) {
	g := guestOf(ctx)
	if g == nil {
		panic(errNoGuest)
	}
	g.check()
	in, out, n, count := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	if n == 0 || n > maxSubscriptions {
		stack[0] = wasiInvalid
		return
	}
	mem := mod.Memory()
	subscriptions, ok := mem.Read(in, n*subscriptionSize)
	events, okay := mem.Read(out, n*eventSize)
	if !ok || !okay || !mem.WriteUint32Le(count, 0) {
		stack[0] = wasiFault
		return
	}
	got, wait, errno := pollFirst(subscriptions)
	if errno == wasiSuccess {
		g.sleep(wait)
		mem.WriteUint32Le(count, uint32(copy(events, got)/eventSize))
	}
	stack[0] = uint64(errno)
}

// pollFirst gives the events that come first, and how long they take to come.
func pollFirst(subscriptions []byte) (events []byte, wait int64, errno uint32) {
	wait = math.MaxInt64
	add := func(s []byte, in int64, errno uint16) {
		if in < wait {
			events, wait = nil, in
		}
		if in > wait {
			return
		}
		events = append(events, s[:8]...)
		events = binary.LittleEndian.AppendUint16(events, errno)
		events = append(append(events, s[8]), make([]byte, eventSize-11)...)
	}
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionSize:] {
		s := subscriptions
		file := binary.LittleEndian.Uint32(s[16:])
		switch s[8] {
		case waitClock:
			if binary.LittleEndian.Uint16(s[40:]) != 0 {
				return nil, 0, wasiNotSup // a point in time
			}
			add(s, int64(min(binary.LittleEndian.Uint64(s[24:]), math.MaxInt64)), wasiSuccess)
		case waitRead, waitWrite:
			switch {
			case file > 2:
				add(s, 0, wasiBadFile)
			case s[8] == waitRead && file == 0:
				add(s, 0, wasiSuccess) // it is at its end
			default:
				add(s, 0, wasiNotSup)
			}
		default:
			return nil, 0, wasiInvalid
		}
	}
	return events, wait, wasiSuccess
}
