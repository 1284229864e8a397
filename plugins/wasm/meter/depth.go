package meter

// The engine's stack is not the guest's memory: an engine lets it grow, and
// copies it, up to a size of its own. So guests count how deep their calls
// are. The count stands in the fuel's lowest bits, [depthBits] of them: an
// entry adds to it with the instruction that pays anyway, and only leaving
// takes one of its own. Nothing looks at it but the host, when the guest asks
// for fuel, which it has to do long before a stack can be large.
//
// Not all functions count. It is enough that one does on every way around in
// the graph of calls: between two that count lie as many calls as there are
// functions, at most.

const (
	depthBits = 20
	depthMask = 1<<depthBits - 1
	// More parameters or results than these may not fit into registers.
	inRegisters = 6
)

// stacked is 1 for a function whose tail calls the engine does not do as
// such.
func stacked(sig signature) uint32 {
	if len(sig.params) > inRegisters || len(sig.results) > inRegisters {
		return 1
	}
	return 0
}

// deepen decides which functions count. A module with tail calls, where frames
// vanish in the middle of a way around, counts in all that could be on one.
func (m *module) deepen(bodies []function) {
	for i := range bodies {
		f := &bodies[i]
		f.deep = f.reaches || m.tails && f.state != callerPays && len(f.sites) > 0
	}
	seen := make([]uint8, len(bodies)) // 1 while on the way, 2 when done
	type step struct {
		f    int
		site int
	}
	var way []step
	for i := range bodies {
		if seen[i] == 0 && !bodies[i].deep {
			way = append(way, step{f: i})
			seen[i] = 1
		}
		for len(way) > 0 {
			top := &way[len(way)-1]
			f := &bodies[top.f]
			if f.deep || top.site == len(f.sites) {
				seen[top.f] = 2
				way = way[:len(way)-1]
				continue
			}
			callee := int(f.sites[top.site].callee)
			top.site++
			switch c := &bodies[callee]; {
			case c.deep, c.state == callerPays, seen[callee] == 2:
			case seen[callee] == 1:
				c.deep = true
			default:
				seen[callee] = 1
				way = append(way, step{f: callee})
			}
		}
	}
}

// weight is about what a call of a function takes of the engine's stack, in
// units of 64 bytes: its locals, and what its code may have to put aside.
func (f *function) weight() int64 {
	cost := int64(0)
	for i := range f.regions {
		if i == 0 || f.regions[i].again {
			cost += f.regions[i].cost
		}
	}
	return 2 + min(int64(f.locals)+cost/4, 1<<18)/8
}

// appendRise is the beginning of a function that counts, behind its payment:
// all that follows stands in a block that ways out lead to.
func (m *module) appendRise(b []byte, f *function) []byte {
	b = append(b, opBlock)
	switch len(f.results) {
	case 0:
		return append(b, blockEmpty)
	case 1:
		return append(b, f.results[0])
	}
	return appendS64(b, int64(m.helpers.typeOf(m, signature{results: f.results})))
}

// appendFall takes the function's weight off the count.
func (m *module) appendFall(b []byte, f *function) []byte {
	return m.appendCount(b, -f.weight())
}

func (m *module) appendCount(b []byte, n int64) []byte {
	b = appendU32(append(b, opGlobalGet), m.fuel())
	b = append(appendS64(append(b, opI64Const), n), opI64Add)
	return appendU32(append(b, opGlobalSet), m.fuel())
}
