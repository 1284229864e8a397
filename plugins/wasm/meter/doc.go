// Package meter rewrites a WebAssembly module so that it counts its own steps
// and asks its host for leave to go on.
//
// An engine that runs compiled code cannot stop a guest from outside without
// slowing down all of them, and while a guest runs the Go runtime waits for
// it in every garbage collection. A rewritten module comes back to Go by
// itself, often and regularly, wherever its time goes.
//
// # What the module becomes
//
// One mutable global of 64 bits, the fuel, is appended, and one imported
// function, [Module].[Function] of the type (i64) → i64. Function entries and
// loop headers pay for the code that they lead to, up to the headers of the
// loops inside; a guest that has no fuel left calls the imported function and
// goes on with the fuel that this returns, as a rule [Quantum]. The host
// function is where a host looks at its clock. It stops the guest by a panic,
// which the engine turns into a trap; the guest must not be used again.
//
// Small functions that cannot run long by themselves (no loop, no way out of
// the module, no recursion) do not pay: whoever calls them pays for them.
//
// Functions that calls can come back to count how deep they are, and the host
// is told when it is asked. [MaxDepth] ends a recursion long before the
// engine would, whose stack is not the guest's memory and is copied to grow.
//
// The fuel starts at zero, so the first thing that a module does, in its
// start function at the latest, is to ask. What is left over stays for the
// next call: a short call may not ask at all.
//
// # What is promised
//
// Between two questions lies bounded work: about [Quantum] simple
// instructions, a fraction of a millisecond, whatever the module does: loops,
// recursion with and without tail calls, calls that fan out, branch tables,
// block moves of memory and tables (they pay by length and large ones are cut
// into pieces of 256 KiB), growth of memory. Tables end at [MaxTable] entries.
// Results, memory, traps and all that a module exports are those of the
// module as it was; only the numbers of its functions shift by one.
//
// Whatever is not understood is refused: instructions and sections of
// features that are not listed here, sections that stand twice or out of
// order, numbers that are too long. All indices are checked against what the
// module itself has, so that nothing of what is appended can be reached from
// the module's own code. Other validation is the engine's.
//
// Understood are WebAssembly 2.0 (with vectors, bulk memory, reference
// types, several results, saturating conversions and sign extension), tail
// calls and extended constant expressions. Of the custom sections only the
// names are kept.
package meter

const (
	// Module is the name of the imported host module. A module that imports
	// from it is refused.
	Module = "annex:meter"
	// Function is the name of the imported function. It is given how deep the
	// guest's calls are, and gives the fuel to go on with.
	Function = "refill"
	// Quantum is how much fuel a host should give. One unit is about the time
	// of a simple instruction.
	Quantum = 200_000
	// MaxTable is the greatest number of entries that a table can have.
	MaxTable = 65_536
	// MaxDepth is how deep a host should let calls be, in units of about 64
	// bytes of the engine's stack.
	MaxDepth = 1 << 19
	// Version changes whenever the same module is rewritten in another way.
	Version = 2
)
