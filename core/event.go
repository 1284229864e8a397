package core

import "time"

// Event is one thing that happened to a call: a visit or a decision. It is
// what explain, tests and the log of a call's way read.
type Event struct {
	Call    string // the message's id
	Step    string // "authenticate", "match", "authorize", a stage, or "native"
	System  string // empty: the native API, or none
	Filter  string
	Allowed bool   // of an authorize decision
	Reason  string // of an authorize decision
	Status  int    // of the answer, if there was one
	Took    time.Duration
	Err     error
}
