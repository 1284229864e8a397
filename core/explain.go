package core

// ExplainQuery asks where a call would go.
type ExplainQuery struct {
	Caller      Caller
	Request     Request
	ContentType string // of a response, to see who would process it; may be empty
}

// Explanation is where a call would go and why, worked out by the code that
// leads calls. Systems are taken to pass every message on as it is.
type Explanation struct {
	Scope    Scope
	Tenant   string
	Filters  []FilterVerdict // every filter there is, by id
	Before   []Place         // who would be shown the request before it is dispatched, in order
	Dispatch []Place         // who would be shown the request, in order
	Checks   []AccessVerdict // what authorization says of each of them
	Allowed  bool
	Refusal  string  // why the call would be refused; empty when it would not
	Native   bool    // whether the native API would be asked, if nobody answers
	Response []Place // who would be shown the response, in order: guests that saw the request, then by its content type
}

// Place is a system that a call would visit, and the filter that says so.
type Place struct {
	System, Filter string
	Priority       int
	Stage          Stage
}

// FilterVerdict is what became of one filter.
type FilterVerdict struct {
	Filter  Filter
	Matched bool
	Reason  string
}

// AccessVerdict is what authorization says of one system.
type AccessVerdict struct {
	System  string
	Allowed bool
	Reason  string
	Actions []ActionVerdict // every action that matched the call
}

// ActionVerdict is what became of one action.
type ActionVerdict struct {
	Action   string
	Resource string // the id that its pattern found in the path
	Owner    string // the organisation that owns the resource
	Rule     string // a rule that allowed it; empty: none did
	Reason   string
}
