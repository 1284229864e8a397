package access

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/match"
	"github.com/annex-gateway/annex/core/internal/pattern"
)

// action is a compiled action.
type action struct {
	core.ResourceClassAction
	system  string
	pattern *pattern.Pattern
}

// Compiler turns registrations into policies, one change at a time and in any
// order: a rule may come before its action, an action before its class. It is
// used by one goroutine.
type Compiler struct {
	policy Policy
	batch  *cow.Batch

	classes   map[string]core.ResourceClass
	actions   map[string]core.ResourceClassAction
	resources map[string]core.ServiceResource
	rules     map[string]core.ACLRule
	byGrant   map[grant]map[string]struct{}  // rule ids
	byClass   map[string]map[string]struct{} // action ids
	shapes    map[string]*[shapeCount]int    // how many grants of an action have a shape
}

// NewCompiler makes a Compiler that knows nothing.
func NewCompiler() *Compiler {
	return &Compiler{
		batch:   new(cow.Batch),
		classes: map[string]core.ResourceClass{}, actions: map[string]core.ResourceClassAction{},
		resources: map[string]core.ServiceResource{}, rules: map[string]core.ACLRule{},
		byGrant: map[grant]map[string]struct{}{}, byClass: map[string]map[string]struct{}{},
		shapes: map[string]*[shapeCount]int{},
	}
}

// Policy is the picture of what has been told so far.
func (c *Compiler) Policy() *Policy {
	p := c.policy
	c.batch = new(cow.Batch)
	return &p
}

// Class takes in a class that came or changed; nil when it went.
func (c *Compiler) Class(id string, class *core.ResourceClass) {
	for a := range c.byClass[id] {
		c.withdraw(c.actions[a])
	}
	delete(c.classes, id)
	c.policy.classes.Delete(c.batch, id)
	if class == nil {
		return
	}
	c.classes[id] = *class
	c.policy.classes.Set(c.batch, id, *class)
	for a := range c.byClass[id] {
		c.offer(c.actions[a])
	}
}

// Action takes in an action that came or changed; nil when it went.
func (c *Compiler) Action(id string, a *core.ResourceClassAction) {
	if old, ok := c.actions[id]; ok {
		c.withdraw(old)
		delete(c.actions, id)
		drop(c.byClass, old.Class, id)
	}
	if a == nil {
		return
	}
	c.actions[id] = *a
	add(c.byClass, a.Class, id)
	c.offer(*a)
}

// offer brings an action into the policy once its class is known.
func (c *Compiler) offer(a core.ResourceClassAction) {
	class, ok := c.classes[a.Class]
	if !ok {
		return
	}
	p, err := pattern.Parse(a.URLPattern)
	if err != nil {
		return // a pattern that cannot run allows nothing
	}
	rule, err := match.Compile(asFilter(a, class.System), false)
	if err != nil {
		return
	}
	d := door{class.System, a.HTTPMethod}
	t, _ := c.policy.actions.Get(d)
	c.policy.actions.Set(c.batch, d, t.With(rule))
	c.policy.compiled.Set(c.batch, a.ID, &action{a, class.System, p})
}

func (c *Compiler) withdraw(a core.ResourceClassAction) {
	in, ok := c.policy.compiled.Get(a.ID)
	if !ok {
		return
	}
	d := door{in.system, a.HTTPMethod}
	t, _ := c.policy.actions.Get(d)
	if t = t.Without(asFilter(a, in.system)); t.Len() == 0 {
		c.policy.actions.Delete(c.batch, d)
	} else {
		c.policy.actions.Set(c.batch, d, t)
	}
	c.policy.compiled.Delete(c.batch, a.ID)
}

// asFilter lets the index of filters find actions.
func asFilter(a core.ResourceClassAction, system string) core.Filter {
	return core.Filter{ID: a.ID, System: system, Stage: core.OnDispatch, Scope: core.ScopeAPI, URLPattern: a.URLPattern}
}

// Resource takes in a service resource that came or changed; nil when it
// went.
func (c *Compiler) Resource(id string, r *core.ServiceResource) {
	if old, ok := c.resources[id]; ok {
		c.policy.resources.Delete(c.batch, resourceKey{old.Class, old.ExternalObjectID})
		delete(c.resources, id)
	}
	if r != nil {
		c.resources[id] = *r
		c.policy.resources.Set(c.batch, resourceKey{r.Class, r.ExternalObjectID}, *r)
	}
}

// Rule takes in a rule that came or changed; nil when it went.
func (c *Compiler) Rule(id string, r *core.ACLRule) {
	if old, ok := c.rules[id]; ok {
		delete(c.rules, id)
		for _, g := range grants(old) {
			drop(c.byGrant, g, id)
			c.count(g)
		}
	}
	if r == nil {
		return
	}
	c.rules[id] = *r
	for _, g := range grants(*r) {
		add(c.byGrant, g, id)
		c.count(g)
	}
}

// count brings the tally of a grant up to date.
func (c *Compiler) count(g grant) {
	ids := c.byGrant[g]
	t, ok := c.policy.grants.Get(g)
	if len(ids) == 0 {
		c.policy.grants.Delete(c.batch, g)
		if ok {
			c.shape(g, -1)
		}
		return
	}
	if !ok {
		c.shape(g, 1)
	}
	if _, holds := ids[t.rule]; !ok || !holds {
		for t.rule = range ids {
			break
		}
	}
	t.count = len(ids)
	c.policy.grants.Set(c.batch, g, t)
}

// shape counts a grant that came or went among those of its shape.
func (c *Compiler) shape(g grant, more int) {
	n := c.shapes[g.action]
	if n == nil {
		n = new([shapeCount]int)
		c.shapes[g.action] = n
	}
	n[g.shapeNumber()] += more
	was, _ := c.policy.shapes.Get(g.action)
	is := was | g.shape()
	if n[g.shapeNumber()] == 0 {
		is &^= g.shape()
	}
	switch {
	case is == 0:
		c.policy.shapes.Delete(c.batch, g.action)
		delete(c.shapes, g.action)
	case is != was:
		c.policy.shapes.Set(c.batch, g.action, is)
	}
}

// grants are the combinations that a rule allows.
func grants(r core.ACLRule) []grant {
	g := grant{action: r.Action, resource: r.Resource.Entity, org: r.Org.Entity, principal: r.Principal.Entity}
	if r.Org.Access == core.AccessPublished {
		g.org = everyOrg
	}
	if !strings.HasPrefix(g.principal, core.RightPrefix) {
		return []grant{g}
	}
	all := g
	all.principal = anyRight
	return []grant{g, all}
}

func add[K comparable](m map[K]map[string]struct{}, key K, id string) {
	if m[key] == nil {
		m[key] = map[string]struct{}{}
	}
	m[key][id] = struct{}{}
}

func drop[K comparable](m map[K]map[string]struct{}, key K, id string) {
	delete(m[key], id)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}
