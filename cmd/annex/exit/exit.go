// Package exit says with which code the program ends.
package exit

import (
	"errors"

	"github.com/annex-gateway/annex/core"
)

// The exit codes.
const (
	OK          = 0
	Failed      = 1
	UsageError  = 2
	NotFound    = 3
	Denied      = 4
	Unreachable = 5
	Different   = 6 // 'annex diff' found something to change
)

// Usage is a mistake in what the program was told.
type Usage struct{ Err error }

// Error gives the text of the mistake.
func (u Usage) Error() string { return u.Err.Error() }

// Unwrap gives the mistake.
func (u Usage) Unwrap() error { return u.Err }

// Usagef makes a Usage.
func Usagef(format string, args ...any) Usage {
	return Usage{core.Errorf(core.Invalid, format, args...)}
}

// ErrDifferent is what 'annex diff' ends with when there is something to
// change: no failure, and yet not the same. It needs no words.
var ErrDifferent = errors.New("something would change")

// Code is the code that an error stands for.
func Code(err error) int {
	var usage Usage
	switch {
	case err == nil:
		return OK
	case errors.As(err, &usage):
		return UsageError
	case errors.Is(err, ErrDifferent):
		return Different
	}
	switch core.ErrorCode(err) {
	case core.NotFound:
		return NotFound
	case core.Unauthenticated, core.Forbidden:
		return Denied
	case core.BadUpstream:
		return Unreachable
	}
	return Failed
}
