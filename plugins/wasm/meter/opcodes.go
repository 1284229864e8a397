package meter

// The opcodes that are treated in a way of their own. Behind a prefix the
// number is added to one of the bases.
const (
	opBlock            = 0x02
	opLoop             = 0x03
	opIf               = 0x04
	opElse             = 0x05
	opEnd              = 0x0b
	opBr               = 0x0c
	opBrIf             = 0x0d
	opReturn           = 0x0f
	opCall             = 0x10
	opTailCall         = 0x12
	opTailCallIndirect = 0x13
	opLocalGet         = 0x20
	opLocalSet         = 0x21
	opLocalTee         = 0x22
	opGlobalGet        = 0x23
	opGlobalSet        = 0x24
	opMemorySize       = 0x3f
	opMemoryGrow       = 0x40
	opI32Const         = 0x41
	opI64Const         = 0x42
	opF32Const         = 0x43
	opF64Const         = 0x44
	opI32LtU           = 0x49
	opI32GtU           = 0x4b
	opI32LeU           = 0x4d
	opI64LtS           = 0x53
	opI64GtU           = 0x56
	opI32Add           = 0x6a
	opI32Sub           = 0x6b
	opI32Mul           = 0x6c
	opI64Add           = 0x7c
	opI64Sub           = 0x7d
	opI64Mul           = 0x7e
	opI32Wrap          = 0xa7
	opI64And           = 0x83
	opI64Or            = 0x84
	opI64Shl           = 0x86
	opI64ShrU          = 0x88
	opI64Extend        = 0xad // of an i32 without sign
	opRefNull          = 0xd0
	opRefFunc          = 0xd2
	prefixMisc         = 0xfc
	prefixVector       = 0xfd

	baseMisc     = 0x100
	opMemoryInit = baseMisc + 8
	opMemoryCopy = baseMisc + 10
	opMemoryFill = baseMisc + 11
	opTableInit  = baseMisc + 12
	opTableCopy  = baseMisc + 14
	opTableGrow  = baseMisc + 15
	opTableSize  = baseMisc + 16
	opTableFill  = baseMisc + 17

	subV128Const = 12

	blockEmpty    = 0x40
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeFuncref   = 0x70
	typeExternref = 0x6f
	typeFunc      = 0x60
)

// weights tells for every opcode how much fuel it takes, roughly in times of
// an addition; letters are ten and more. What depends on types (branches,
// calls, ends) is added where they are known.
const weights = "" +
	"1000100000011231" + // 00 unreachable … return
	"6c6c000000011000" + // 10 calls
	"1111144022222222" + // 20 variables, tables, loads
	"2222222222222221" + // 30 loads, stores
	"1111111111111111" + // 40
	"1111111111111111" + // 50
	"1111111111111888" + // 60 … division
	"811111111111111a" + // 70
	"aaa1111111111111" + // 80
	"1822262222222228" + // 90 floating point
	"2226222144441144" + // a0
	"4422222222221111" + // b0
	"1111100000000000" + // c0
	"1100000000000000" + // d0
	"0000000000000000" + // e0
	"0000000000000000" //   f0

const (
	weightHostCall = 100 // of a call that leaves the module
	weightRefFunc  = 100 // the engine leaves compiled code for it
	weightMisc     = 4   // of an instruction behind 0xfc
	weightVector   = 4   // of an instruction behind 0xfd
)

func weight(op byte) int64 {
	switch op {
	case opRefFunc:
		return weightRefFunc
	case prefixVector:
		return weightVector
	case prefixMisc:
		return weightMisc
	}
	if c := weights[op]; c >= 'a' {
		return int64(c-'a') + 10
	}
	return int64(weights[op] - '0')
}
