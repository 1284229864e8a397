// Package access decides whether a caller may make a call to a system, by the
// rules that the system's author registered.
package access

import "github.com/annex-gateway/annex/core"

// Policy is the compiled rules of every system. It never changes. The zero
// Policy has no rules.
type Policy struct{}

// Decision is an answer with its reason, for people.
type Decision struct {
	Allowed bool
	Reason  string
}

// Decide tells whether the caller may make this request to sys. Where
// authorization is off everybody may; where it is on, and no rule allows the
// call, nobody may.
func (p *Policy) Decide(_ core.Caller, sys core.System, _ core.Request) Decision {
	if !sys.AuthorizationEnabled {
		return Decision{true, "authorization is not enabled for " + sys.Triplet()}
	}
	return Decision{false, "no rule of " + sys.Triplet() + " allows this"}
}
