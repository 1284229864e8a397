package inspect

// Limits bound what a module may declare. A zero field means its default,
// which leaves room above every real guest that was measured.
type Limits struct {
	Bytes         int    // of the whole module; default 64 MiB
	Types         int    // function types; default 50,000
	Params        int    // parameters, and results, of one type; default 1,000
	Imports       int    // default 10,000
	Exports       int    // default 100,000
	Globals       int    // default 100,000
	Functions     int    // defined in the module; default 100,000
	FunctionBytes int    // of one body; default 1 MiB
	Locals        int    // of one function; default 10,000
	TotalLocals   int    // of all functions; default 4,000,000
	Nesting       int    // of blocks in one function; default 8,192
	Blocks        int    // of one function, loops included; default 32,768
	Loops         int    // of one function; default 1,024
	Work          int64  // sum over all functions of nesting squared and loops squared; default 2^29
	Segments      int    // element segments, and data segments; default 100,000
	Elements      int    // entries of all element segments; default 1,000,000
	Tables        int    // default 100
	TableEntries  uint32 // initial entries of one table; default 65,536
	MemoryPages   uint32 // initial memory in pages of 64 KiB; default 2,048 (128 MiB)
}

// withDefaults fills the fields that are zero.
func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&l.Bytes, 64<<20)
	set(&l.Types, 50_000)
	set(&l.Params, 1_000)
	set(&l.Imports, 10_000)
	set(&l.Exports, 100_000)
	set(&l.Globals, 100_000)
	set(&l.Functions, 100_000)
	set(&l.FunctionBytes, 1<<20)
	set(&l.Locals, 10_000)
	set(&l.TotalLocals, 4_000_000)
	set(&l.Nesting, 8_192)
	set(&l.Blocks, 32_768)
	set(&l.Loops, 1_024)
	set(&l.Segments, 100_000)
	set(&l.Elements, 1_000_000)
	set(&l.Tables, 100)
	if l.Work == 0 {
		l.Work = 1 << 29
	}
	if l.TableEntries == 0 {
		l.TableEntries = 65_536
	}
	if l.MemoryPages == 0 {
		l.MemoryPages = 2_048
	}
	return l
}
