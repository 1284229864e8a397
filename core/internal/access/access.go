// Package access decides whether a caller may make a call to a system, by the
// rules that the system's author registered.
package access

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/match"
)

// Policy is the compiled rules of every system, as of one moment. It never
// changes, and the cost of a decision does not grow with the number of rules,
// classes or resources. The zero Policy has no rules.
type Policy struct {
	actions   cow.Map[door, match.Table]          // what may match a call
	compiled  cow.Map[string, *action]            // by action id
	classes   cow.Map[string, core.ResourceClass] // by id
	resources cow.Map[resourceKey, core.ServiceResource]
	grants    cow.Map[grant, tally]
	shapes    cow.Map[string, shapes] // of an action's grants, by its id
}

// door is where the actions of one system for one method stand.
type door struct{ system, method string }

// resourceKey is how a URL names a service resource.
type resourceKey struct{ class, externalID string }

// grant is one combination of reaches that an action's rules allow. An empty
// part is shared; for the organisation, "*" is published.
type grant struct{ action, resource, org, principal string }

// The words of a grant that are not ids.
const (
	everyOrg = "*"
	anyRight = "right:*" // some right: what a caller with all rights needs
)

// tally counts the rules that make up a grant, and names one of them.
type tally struct {
	count int
	rule  string
}

// Orgs tells which organisations there are.
type Orgs interface {
	Org(id string) (core.Org, bool)
}

// Query is a question to a Policy.
type Query struct {
	Caller core.Caller
	System core.System
	Method string
	Path   string // canonical
	Orgs   Orgs
}

// Decision is an answer and how it came about.
type Decision struct {
	Allowed    bool
	Reason     string // for people
	Considered []Considered
}

// Considered is an action that matched a call, and what became of it.
type Considered struct {
	Action   string // its id
	Resource string // the id that the action's pattern found in the path
	Owner    string // the organisation that owns the resource
	Rule     string // a rule that allowed it; empty: none did
	Reason   string
}

// Decide tells whether the caller may make this call to the system. Where
// authorization is off everybody may; where it is on, some action must match
// and one of its rules reach the caller.
func (p *Policy) Decide(q Query) Decision {
	if !q.System.AuthorizationEnabled {
		return Decision{Allowed: true, Reason: "authorization is not enabled for the system"}
	}
	method := q.Method
	if method == "HEAD" {
		method = "GET" // ruling 13
	}
	table, _ := p.actions.Get(door{q.System.ID, method})
	var room [4]match.Hit
	hits, err := table.ByURL(room[:0], core.OnDispatch, core.ScopeAPI, q.Path)
	if err != nil {
		return Decision{Reason: "a pattern of an action ran into its time limit"}
	}
	if len(hits) == 0 {
		return Decision{Reason: "no action of " + q.System.Triplet() + " names " + method + " on this path"}
	}
	d := Decision{Considered: make([]Considered, 0, len(hits))}
	for _, h := range hits {
		c := p.consider(h.Filter.ID, q)
		d.Considered = append(d.Considered, c)
		d.Reason = c.Reason
		if c.Rule != "" {
			d.Allowed = true
			return d
		}
	}
	return d
}

// consider looks at one action that matches the call.
func (p *Policy) consider(id string, q Query) Considered {
	c := Considered{Action: id}
	a, ok := p.compiled.Get(id)
	if !ok {
		c.Reason = "the action is gone"
		return c
	}
	found, ok, err := a.pattern.Group(q.Path, "id")
	if err != nil || !ok || found == "" {
		c.Reason = "the pattern of the action names no resource"
		return c
	}
	c.Resource = found
	target, owner, ok := p.find(a.Class, found, q.Orgs)
	if !ok {
		c.Reason = "there is no resource " + found + " of the action's class"
		return c
	}
	c.Owner = owner
	if c.Rule, ok = p.allows(id, target, owner, q.Caller); ok {
		c.Reason = "allowed by a rule"
	} else {
		c.Reason = "no rule of the action reaches this caller"
	}
	return c
}

// find holds ruling 25: the id must be that of an organisation, for a class of
// organisations, else of a registered resource of the class.
func (p *Policy) find(classID, id string, orgs Orgs) (target, owner string, ok bool) {
	class, ok := p.classes.Get(classID)
	if !ok {
		return "", "", false
	}
	if class.OfOrgs() {
		if !strings.HasPrefix(id, core.OrgPrefix) {
			id = core.OrgPrefix + id
		}
		o, ok := orgs.Org(strings.ToLower(id))
		return o.ID, o.ID, ok
	}
	r, ok := p.resources.Get(resourceKey{classID, id})
	return r.ID, r.OrgID, ok
}

// allows looks for a grant that reaches the caller: a look-up for each shape
// that the action's grants have, and for each right that the caller holds where
// one of them names a right.
func (p *Policy) allows(action, target, owner string, caller core.Caller) (rule string, ok bool) {
	some, ok := p.shapes.Get(action)
	if !ok || !caller.Known() {
		return "", false
	}
	orgs := [...]part{{everyOrg, toSome}, {caller.OrgID, toNamed}, {"", toAll}}
	reached := orgs[:2]
	if caller.OrgID == owner {
		reached = orgs[:]
	}
	for _, resource := range [...]part{{"", toAll}, {target, toSome}} {
		for _, org := range reached {
			g := grant{action: action, resource: resource.name, org: org.name}
			if rule, ok := p.reaches(g, some>>number(resource.kind, org.kind, 0), caller); ok {
				return rule, true
			}
		}
	}
	return "", false
}

// part is a part of a grant, and the kind of it.
type part struct {
	name string
	kind int
}

// The kinds of a grant's parts.
const (
	toAll   = iota
	toSome  // every organisation, some right, or the one resource
	toNamed // an organisation or a user by name
	kinds
)

// reaches looks for the grant with a principal that the caller is. Some are the
// shapes that there are with the grant's other parts, by the kind of principal.
func (p *Policy) reaches(g grant, some shapes, caller core.Caller) (rule string, ok bool) {
	for _, who := range [...]part{{"", toAll}, {caller.UserID, toNamed}} {
		if some&(1<<who.kind) == 0 {
			continue
		}
		g.principal = who.name
		if t, ok := p.grants.Get(g); ok {
			return t.rule, true
		}
	}
	if some&(1<<toSome) == 0 {
		return "", false
	}
	if g.principal = anyRight; caller.Rights.All() {
		t, ok := p.grants.Get(g)
		return t.rule, ok
	}
	for g.principal = range caller.Rights.IDs() {
		if t, ok := p.grants.Get(g); ok {
			return t.rule, true
		}
	}
	return "", false
}

// shapes is a set of shapes of grants: which of their parts are shared, name
// everybody, or name one. Few of all there could be are ever in use.
type shapes uint32

// shapeCount is how many shapes there are.
const shapeCount = 2 * kinds * kinds

// number is the number of a shape, by the kinds of its parts. Those that differ
// by the principal alone follow one another.
func number(resource, org, principal int) int { return (resource*kinds+org)*kinds + principal }

// shape is the set of the grant's own shape.
func (g grant) shape() shapes { return 1 << g.shapeNumber() }

func (g grant) shapeNumber() int {
	var resource, org, principal int
	if g.resource != "" {
		resource = toSome
	}
	switch g.org {
	case "":
	case everyOrg:
		org = toSome
	default:
		org = toNamed
	}
	switch {
	case g.principal == "":
	case g.principal == anyRight || strings.HasPrefix(g.principal, core.RightPrefix):
		principal = toSome
	default:
		principal = toNamed
	}
	return number(resource, org, principal)
}
