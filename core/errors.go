package core

import (
	"context"
	"errors"
	"fmt"
)

// Code is what programs act upon in an error. Each API maps a code to its
// status and body in one table.
type Code string

// The codes.
const (
	Invalid          Code = "invalid"              // the input cannot be used; says what and where
	Unauthenticated  Code = "unauthenticated"      // nobody that we know
	Forbidden        Code = "forbidden"            // known, and not allowed
	NotFound         Code = "not found"            // there is no such thing
	NotAllowed       Code = "method not allowed"   // the thing is there, the verb is not
	Conflict         Code = "conflict"             // it is there already, or in use
	Stale            Code = "stale"                // changed since the given revision
	TooLarge         Code = "too large"            // a body over its limit
	TooLong          Code = "too long"             // a request target over its limit
	UnsupportedMedia Code = "unsupported media"    // a content type that is not understood here
	TooMany          Code = "too many"             // slow down
	Unavailable      Code = "unavailable"          // not now: nobody connected, overloaded, stopping
	Timeout          Code = "timeout"              // no answer in time
	BadUpstream      Code = "bad upstream"         // an answer that cannot be used, or a dead connection
	ReadOnly         Code = "insufficient storage" // the store takes no writes
	Internal         Code = "internal"             // our fault; the text is for the log
)

// Error is an error with a code and a text for the person at the other end.
// Err, when set, is the cause; it is for the log only.
type Error struct {
	Code    Code
	Message string
	Minor   string // an API's own word for the case, such as GATEWAY_TIMEOUT; may be empty
	Err     error
}

// Error gives the text and the cause; for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose text callers may see. It takes no %w: what
// wraps a cause is [WrapError].
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WrapError makes an Error whose text callers may see, caused by err, whose
// text they may not.
func WrapError(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// ErrorCode returns the code of err: Timeout for a context's deadline,
// Unavailable for a cancelled context, Internal for an error that is not ours.
func ErrorCode(err error) Code {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Unavailable
	}
	return Internal
}

// ErrorMessage returns the text that a caller may see. The text of a foreign
// error is for the log only.
func ErrorMessage(err error) string {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "the time limit of the call has passed"
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	}
	return "internal error; the gateway's log has the details under the request id"
}

// Answered is the error of reading a body that a system stopped on its way
// with an answer of its own: where nothing has been answered yet, the call
// gets that answer.
type Answered struct{ Response Response }

// Error says that this is so.
func (a *Answered) Error() string {
	return fmt.Sprintf("the call was answered with %d while its body was read", a.Response.Status)
}
