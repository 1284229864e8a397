package meter

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// wide are n parameters of type i32.
func wide(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = typeI32
	}
	return b
}

// wideModule has functions of n parameters and no results, in a table of ten,
// and exports the first.
func wideModule(n int, bodies ...[]byte) []byte {
	elements := appendU32(nil, uint32(len(bodies)))
	for i := range bodies {
		elements = appendU32(elements, uint32(i))
	}
	return mod(
		sec(secType, list(append(appendSized([]byte{typeFunc}, wide(n)), 0))),
		sec(secFunction, appendU32(nil, uint32(len(bodies))), make([]byte, len(bodies))),
		sec(secTable, []byte{1, typeFuncref, 0, 10}),
		sec(secExport, list(cat(appendName(nil, "run"), []byte{0, 0}))),
		sec(secElement, list(cat([]byte{0, opI32Const, 0, opEnd}, elements))),
		sec(secCode, list(bodies...)),
	)
}

// TestRecursionIsSeen runs recursions of many forms against a host that ends
// them by their depth. The engine's own limit must not be met before.
func TestRecursionIsSeen(t *testing.T) {
	params := func(n int) []byte {
		var b []byte
		for i := range n {
			b = append(b, opLocalGet, byte(i))
		}
		return b
	}
	call := func(n, f int) []byte { return append(params(n), opCall, byte(f)) }
	tail := func(n, f int) []byte { return append(params(n), opTailCall, byte(f)) }
	table := func(n, f int, op byte) []byte { return append(params(n), opI32Const, byte(f), op, 0, 0) }
	for _, tc := range []struct {
		name   string
		params int
		bodies [][]byte
	}{
		{"of itself", 0, [][]byte{fn(call(0, 0)...)}},
		{"of itself, behind a condition", 3, [][]byte{fn(cat(i32c(1), []byte{opIf, blockEmpty}, call(3, 0), []byte{opEnd})...)}},
		{"of itself in a loop", 0, [][]byte{fn(cat([]byte{opLoop, blockEmpty}, call(0, 0), []byte{opBr, 0, opEnd})...)}},
		{"of one another", 3, [][]byte{fn(call(3, 1)...), fn(call(3, 0)...)}},
		{"in a ring", 1, [][]byte{fn(call(1, 1)...), fn(call(1, 2)...), fn(call(1, 3)...), fn(call(1, 1)...)}},
		{"in two rings that share a function", 0, [][]byte{fn(call(0, 1)...), fn(cat(call(0, 2), call(0, 0))...), fn(call(0, 1)...)}},
		{"through a table", 2, [][]byte{fn(table(2, 0, 0x11)...)}},
		{"through a table and back", 2, [][]byte{fn(table(2, 1, 0x11)...), fn(call(2, 0)...)}},
		{"a call and a tail call in turn", 2, [][]byte{fn(call(2, 1)...), fn(tail(2, 0)...)}},
		{"a tail call and a call in turn", 2, [][]byte{fn(tail(2, 1)...), fn(call(2, 0)...)}},
		{"two calls and a tail call", 2, [][]byte{fn(call(2, 1)...), fn(tail(2, 2)...), fn(call(2, 0)...)}},
		{"a call and a tail call through tables", 2, [][]byte{fn(table(2, 1, 0x11)...), fn(table(2, 0, opTailCallIndirect)...)}},
		{"tail calls whose parameters stand on the stack", 12, [][]byte{fn(tail(12, 0)...)}},
		{"tail calls through a table, whose parameters stand on the stack", 12, [][]byte{fn(table(12, 1, opTailCallIndirect)...), fn(table(12, 0, opTailCallIndirect)...)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newDeepWorld(t, true, 16, func(depth uint64) uint64 {
				if depth > MaxDepth {
					panic(errStop)
				}
				return Quantum
			})
			m, err := w.load(wideModule(tc.params, tc.bodies...), "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.ExportedFunction("run").Call(context.Background(), make([]uint64, tc.params)...)
			if !errors.Is(err, errStop) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestDepthIsTakenBack lets functions that count end in all the ways that
// there are, many times. A host that is always asked sees whether any depth
// stays, or too much is taken.
func TestDepthIsTakenBack(t *testing.T) {
	never := cat(i32c(0), []byte{opIf, blockEmpty}, args(), i32c(0), []byte{0x11, 0, 0, opEnd})
	for name, body := range map[string][]byte{
		"at the end":                          nil,
		"by a return":                         {opReturn},
		"by a return in blocks":               {opBlock, blockEmpty, opLoop, blockEmpty, opReturn, opEnd, opEnd},
		"by a branch out of the function":     {opBlock, blockEmpty, opBr, 1, opEnd},
		"by a condition":                      {opBlock, blockEmpty, opI32Const, 1, opBrIf, 1, opEnd, opI32Const, 1, opBrIf, 0},
		"by a table of branches":              {opBlock, blockEmpty, opI32Const, 7, 0x0e, 1, 0, 1, opEnd},
		"by a tail call":                      cat(args(), []byte{opTailCall, 2}),
		"by a tail call through a table":      cat(args(), i32c(0), []byte{opTailCallIndirect, 0, 0}),
		"after calls that are deep as well":   cat(args(), []byte{opCall, 2}, args(), []byte{opCall, 2}),
		"after a call, by a return":           cat(args(), []byte{opCall, 2, opReturn}),
		"behind a loop that goes round":       cat([]byte{opLoop, blockEmpty}, args(), []byte{opCall, 2, opLocalGet, 0, opI32Const, 1, opI32Add, opLocalTee, 0, opI32Const, 9, opI32LtU, opBrIf, 0, opEnd}),
		"by a loop at the very beginning":     {opLoop, blockEmpty, opLocalGet, 0, opI32Const, 1, opI32Add, opLocalTee, 0, opI32Const, 9, opI32LtU, opBrIf, 0, opEnd},
		"by an end that cannot be reached":    {opReturn, 0},
		"by a branch behind one that is left": {opBr, 0, opBr, 0},
	} {
		t.Run(name, func(t *testing.T) {
			most := uint64(0)
			w := newDeepWorld(t, true, 256, func(depth uint64) uint64 {
				most = max(most, depth)
				return 0
			})
			counts := fn(never...)
			bodies := [][]byte{counts, fn(cat(never, body)...), counts, fn(cat(args(), []byte{opCall, 1}, args(), []byte{opCall, 1})...)}
			b := runnableWith(4, bodies...)
			// Exported is the last one, which calls the second.
			at := len(appendName(nil, "run"))
			i := indexOf(b, appendName(nil, "run"))
			b[i+at+1] = 3
			m, err := w.load(b, "")
			if err != nil {
				t.Fatal(err)
			}
			first := uint64(0)
			for n := range 200 {
				most = 0
				if _, err := m.ExportedFunction("run").Call(t.Context(), 0, 0, 0); err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					first = most
				}
				if most != first || most == 0 || most > 1000 {
					t.Fatalf("call %d is %d deep and the first was %d", n, most, first)
				}
			}
		})
	}
}

func indexOf(b, part []byte) int {
	for i := range len(b) - len(part) {
		if string(b[i:i+len(part)]) == string(part) {
			return i
		}
	}
	panic(fmt.Sprintf("no %q", part))
}

// TestSeveralResultsOfAFunctionThatCounts needs a type for the block around
// its code.
func TestSeveralResultsOfAFunctionThatCounts(t *testing.T) {
	for n := range 4 {
		results := wide(n)
		var values []byte
		for i := range n {
			values = append(values, opI32Const, byte(i+1))
		}
		self := []byte{opLocalGet, 0, opIf, blockEmpty, opLocalGet, 0, opI32Const, 1, opI32Sub, opCall, 0}
		for range n {
			self = append(self, 0x1a)
		}
		body := fn(cat(self, []byte{opEnd}, values, []byte{opLocalGet, 0, opBrIf, 0, opReturn})...)
		b := mod(
			sec(secType, list(appendSized([]byte{typeFunc, 1, typeI32}, results))),
			sec(secFunction, []byte{1, 0}),
			sec(secExport, list(cat(appendName(nil, "run"), []byte{0, 0}))),
			sec(secCode, list(body)),
		)
		plain, metered := bothWorlds(t)
		for _, w := range []*world{plain, metered} {
			m, err := w.load(b, "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.ExportedFunction("run").Call(t.Context(), 50)
			if err != nil || len(got) != n {
				t.Fatalf("%d results: got %v, %v", n, got, err)
			}
			for i, v := range got {
				if v != uint64(i+1) {
					t.Errorf("result %d is %d", i, v)
				}
			}
		}
	}
}
