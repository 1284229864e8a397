package meter

const (
	// A function that costs no more than this does not pay for itself, if it
	// is bounded.
	unpaidMost = 64
	// A function's entry that costs no more than this is paid for with its
	// first loop, each time round.
	mergedMost = 64
	// Loops that count what they have to pay do so up to here; the function's
	// entry pays that ahead, for what is not paid when the function is left.
	countedMost = 500
)

// paidState tells how far the question is settled who pays for a function.
type paidState uint8

const (
	unsettled paidState = iota
	settling
	paysItself
	callerPays
)

// settle decides which functions pay for themselves, and completes the costs
// of all regions.
func (m *module) settle(bodies []function) {
	for i := range bodies {
		bodies[i].mergeBlocks()
	}
	for i := range bodies {
		settleOne(bodies, i)
	}
	for i := range bodies {
		f := &bodies[i]
		for _, s := range f.sites {
			if callee := &bodies[s.callee]; callee.state == callerPays {
				f.regions[f.payer(s.region)].cost += callee.paid
			}
		}
		f.mergeEntry()
	}
	m.deepen(bodies)
}

// mergeBlocks gives what loops cost that nothing goes back to, which are mere
// blocks, to the code around them.
func (f *function) mergeBlocks() {
	for i := len(f.regions) - 1; i > 0; i-- {
		if r := f.regions[i]; !r.again {
			f.regions[r.around].cost += r.cost
		}
	}
	if f.first > 0 && !f.regions[f.first].again {
		f.first = 0
	}
}

// payer is the region that pays for the code of region i.
func (f *function) payer(i int) int {
	for i > 0 && !f.regions[i].again {
		i = f.regions[i].around
	}
	return i
}

// settleOne decides whether a function is so small that its callers pay. A
// function that is being settled further up calls itself.
func settleOne(bodies []function, i int) {
	f := &bodies[i]
	if f.state != unsettled {
		return
	}
	f.state = settling
	cost := f.regions[0].cost
	ok := f.bounded && cost <= unpaidMost
	for _, s := range f.sites {
		if !ok {
			break
		}
		settleOne(bodies, int(s.callee))
		callee := &bodies[s.callee]
		cost += callee.paid
		ok = callee.state == callerPays && cost <= unpaidMost
	}
	if !ok {
		f.state = paysItself
		return
	}
	f.state, f.paid = callerPays, cost
}

// mergeEntry lets the first loop's header pay for the function's entry, where
// every call comes by there before it can do anything else. An entry that
// pays ahead for counted loops stays.
func (f *function) mergeEntry() {
	if f.first == 0 {
		return
	}
	if cost := f.regions[0].cost; cost <= mergedMost && !f.counts() {
		f.regions[f.first].cost += cost
	} else {
		f.first = 0
	}
}

// appendBody appends the new form of a function.
func (m *module) appendBody(b []byte, f *function) []byte {
	counts := f.counts()
	if counts {
		b = appendU32(b, f.ngroups+1)
		b = append(append(b, f.groups...), 1, typeI32)
	} else {
		b = append(appendU32(b, f.ngroups), f.groups...)
	}
	b = m.appendEntry(b, f, counts)
	at := f.begin
	for _, e := range f.edits {
		b = append(b, f.code[at:e.at]...)
		at = e.end
		switch e.what {
		case payForLoop:
			b = m.appendLoopPay(b, f, int(e.arg))
		case renumber:
			b = appendU32(b, m.shifted(e.arg))
		case callsHelper:
			b = appendU32(append(b, opCall), m.helper(int(e.arg)))
		default:
			b = m.appendWayOut(b, f, e)
		}
	}
	b = append(b, f.code[at:]...)
	if f.deep {
		b = append(m.appendFall(b, f), opEnd)
	}
	return b
}

// appendEntry pays for a function's entry, and counts it.
func (m *module) appendEntry(b []byte, f *function, counts bool) []byte {
	cost, weight := f.regions[0].cost, int64(0)
	if counts {
		cost += countedMost
	}
	if f.deep {
		weight = f.weight()
	}
	switch {
	case f.state == callerPays:
		return b
	case f.first == 0:
		b = m.appendPay(b, cost, weight)
	case f.deep:
		b = m.appendCount(b, weight)
	}
	if f.deep {
		b = m.appendRise(b, f)
	}
	return b
}

// appendWayOut appends the new form of what leaves a function.
func (m *module) appendWayOut(b []byte, f *function, e edit) []byte {
	switch old := f.code[e.at:e.end]; {
	case !f.deep:
		return append(b, old...)
	case e.what == goesBack, e.what == tailCalled:
		return appendU32(append(b, opBr), e.arg)
	case e.arg > 0:
		return append(b, old[0]-opTailCall+opCall)
	default:
		return append(m.appendFall(b, f), old...)
	}
}

// counted reports whether a loop counts in a local of the function what it
// has to pay, and pays when that has become much. Only loops do so that call
// nothing: their local can stay in a register.
func (f *function) counted(i int) bool {
	r := f.regions[i]
	return r.again && !r.calls && i != f.first && r.cost < countedMost
}

// counts reports whether a function has loops that do.
func (f *function) counts() bool {
	for i := range f.regions {
		if i > 0 && f.counted(i) {
			return true
		}
	}
	return false
}

func (m *module) appendLoopPay(b []byte, f *function, i int) []byte {
	r := f.regions[i]
	switch {
	case !r.again:
		return b
	case !f.counted(i):
		return m.appendPay(b, r.cost, 0)
	}
	b = appendU32(append(b, opLocalGet), f.locals)
	b = append(appendS64(append(b, opI32Const), r.cost), opI32Add)
	b = appendU32(append(b, opLocalTee), f.locals)
	b = append(appendS64(append(b, opI32Const), countedMost), opI32GtU, opIf, blockEmpty)
	b = appendU32(append(b, opGlobalGet), m.fuel())
	b = appendU32(append(b, opLocalGet), f.locals)
	b = append(appendS64(append(b, opI64Extend, opI64Const), depthBits), opI64Shl)
	b = m.appendCheck(append(b, opI64Sub))
	b = appendU32(append(b, opI32Const, 0, opLocalSet), f.locals)
	return append(b, opEnd)
}

// appendPay takes so much fuel, adds to the depth, and asks for more fuel
// where there is none left.
func (m *module) appendPay(b []byte, cost, weight int64) []byte {
	b = appendU32(append(b, opGlobalGet), m.fuel())
	b = append(appendS64(append(b, opI64Const), cost<<depthBits-weight), opI64Sub)
	return m.appendCheck(b)
}

// appendCheck sets the fuel to the value on the stack and asks for more where
// that is less than nothing.
func (m *module) appendCheck(b []byte) []byte {
	b = appendU32(append(b, opGlobalSet), m.fuel())
	b = appendU32(append(b, opGlobalGet), m.fuel())
	b = append(b, opI64Const, 0, opI64LtS, opIf, blockEmpty)
	return append(appendU32(append(b, opCall), m.stub()), opEnd)
}
