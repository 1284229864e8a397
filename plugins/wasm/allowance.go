package wasm

import (
	"errors"
	"io"
	"sync/atomic"
)

// errAllowance is why a call of a guest to others ends when its system holds
// as much of such calls as it may.
var errAllowance = errors.New("the calls of the extension to others hold too much at once")

// allowance is what the calls to others of all guests of a system may hold at
// once of bodies, in bytes. Each has a limit of its own, and there can be many.
type allowance struct {
	most int64
	held atomic.Int64
}

// take counts n bytes, unless that is too much.
func (a *allowance) take(n int) bool {
	if a.held.Add(int64(n)) <= a.most {
		return true
	}
	a.give(n)
	return false
}

func (a *allowance) give(n int) { a.held.Add(-int64(n)) }

// counted is a body whose bytes count.
type counted struct {
	io.ReadCloser
	of   *allowance
	read int // and not given back
}

// Read fails where the allowance is used up.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if !c.of.take(n) {
		return 0, errAllowance
	}
	c.read += n
	return n, err
}
