package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/pattern"
)

// declareAuthorization sets up what a service's access control is made of:
// classes, their actions and resources, and the rules of actions.
func (c *Catalog) declareAuthorization() {
	c.Classes = addTable(c, rules[core.ResourceClass]{
		name: "class", noun: "resource class", prefix: core.ClassPrefix,
		id:     func(k *core.ResourceClass) *string { return &k.ID },
		meta:   func(k *core.ResourceClass) *core.Meta { return &k.Meta },
		parent: func(k core.ResourceClass) string { return k.System },
		family: "system",
		prepare: func(_ context.Context, k *core.ResourceClass) error {
			if err := k.Validate(); err != nil || k.URNPattern == "" {
				return err
			}
			return checkIDPattern("UrnPattern", k.URNPattern)
		},
		check: func(x *tx, k, _ *core.ResourceClass) error { return c.checkService(x, k.System) },
	})
	c.Actions = addTable(c, rules[core.ResourceClassAction]{
		name: "action", noun: "resource class action", prefix: core.ActionPrefix,
		id:     func(a *core.ResourceClassAction) *string { return &a.ID },
		meta:   func(a *core.ResourceClassAction) *core.Meta { return &a.Meta },
		parent: func(a core.ResourceClassAction) string { return a.Class },
		family: "class",
		prepare: func(_ context.Context, a *core.ResourceClassAction) error {
			if err := a.Validate(); err != nil {
				return err
			}
			return checkIDPattern("UrlPattern", a.URLPattern)
		},
	})
	c.Resources = addTable(c, rules[core.ServiceResource]{
		name: "resource", noun: "service resource", prefix: core.ResourcePrefix,
		id:     func(r *core.ServiceResource) *string { return &r.ID },
		meta:   func(r *core.ServiceResource) *core.Meta { return &r.Meta },
		parent: func(r core.ServiceResource) string { return r.Class },
		family: "class",
		unique: func(r core.ServiceResource) []string {
			return []string{"ExternalObjectId/" + r.Class + "/" + r.ExternalObjectID}
		},
		prepare: func(_ context.Context, r *core.ServiceResource) error { return r.Validate() },
		check:   func(x *tx, r, _ *core.ServiceResource) error { return exists(x, c.Orgs, "Org", r.OrgID) },
	})
	c.Rules = addTable(c, rules[core.ACLRule]{
		name: "rule", noun: "ACL rule", prefix: core.RulePrefix,
		label:  func(r core.ACLRule) string { return r.Name },
		id:     func(r *core.ACLRule) *string { return &r.ID },
		meta:   func(r *core.ACLRule) *core.Meta { return &r.Meta },
		parent: func(r core.ACLRule) string { return r.Action },
		family: "action",
		refs:   ruleRefs,
		prepare: func(_ context.Context, r *core.ACLRule) error {
			if r.Resource.Access == "" {
				r.Resource.Access = core.AccessShared // ruling 24
			}
			return r.Validate()
		},
		check: c.checkRule,
	})
}

// ruleRefs are the resource and the right that a rule names: they stay as
// long as it does. Organisations and users go when they go; a rule that names
// one then allows nobody.
func ruleRefs(r core.ACLRule) []string {
	var ids []string
	if strings.HasPrefix(r.Resource.Entity, core.ResourcePrefix) {
		ids = append(ids, r.Resource.Entity)
	}
	if strings.HasPrefix(r.Principal.Entity, core.RightPrefix) {
		ids = append(ids, r.Principal.Entity)
	}
	return ids
}

// checkIDPattern refuses patterns that cannot run, and groups that are not
// named id.
func checkIDPattern(field, src string) error {
	p, err := pattern.Compile(src)
	if err != nil {
		return core.WrapError(core.Invalid, err, "%s: %s", field, core.ErrorMessage(err))
	}
	for _, name := range p.GroupNames() {
		if name != "id" {
			return core.Errorf(core.Invalid, "%s: the group %q is not known; only a group named id may be used, once", field, name)
		}
	}
	return nil
}

// exists holds the entity with that id in place.
func exists[E any](x *tx, t *Table[E], field, id string) error {
	e, err := x.get(t.key(id))
	if err == nil && e.Value == nil {
		err = core.Errorf(core.Invalid, "%s: there is no %s %q", field, t.noun, id)
	}
	return err
}

// checkService demands that the system is an external service.
func (c *Catalog) checkService(x *tx, id string) error {
	if !strings.HasPrefix(id, core.ServicePrefix) {
		return core.Errorf(core.Invalid, "%q is no external service", id)
	}
	return exists(x, c.Systems, "service", id)
}

// checkRule holds in place whom and what a rule names.
func (c *Catalog) checkRule(x *tx, r, _ *core.ACLRule) error {
	if r.Resource.Access == core.AccessEntity {
		if err := c.checkRuleResource(x, r); err != nil {
			return err
		}
	}
	if r.Org.Access == core.AccessEntity {
		if err := exists(x, c.Orgs, "OrganizationAccess", r.Org.Entity); err != nil {
			return err
		}
	}
	if r.Principal.Access != core.AccessEntity {
		return nil
	}
	if strings.HasPrefix(r.Principal.Entity, core.RightPrefix) {
		return exists(x, c.Rights, "PrincipalAccess", r.Principal.Entity)
	}
	return exists(x, c.Users, "PrincipalAccess", r.Principal.Entity)
}

// checkRuleResource demands that the resource is one of the action's class.
func (c *Catalog) checkRuleResource(x *tx, r *core.ACLRule) error {
	action, err := c.Actions.current(x, r.Action, nil)
	if err != nil {
		return err
	}
	class, err := c.Classes.current(x, action.Class, nil)
	if err != nil {
		return err
	}
	if class.OfOrgs() {
		return exists(x, c.Orgs, "ServiceResourceAccess", r.Resource.Entity)
	}
	if err := exists(x, c.Resources, "ServiceResourceAccess", r.Resource.Entity); err != nil {
		return err
	}
	res, err := c.Resources.current(x, r.Resource.Entity, nil)
	if err == nil && res.Class != class.ID {
		err = core.Errorf(core.Invalid, "ServiceResourceAccess: the resource %q is of another class than the action", res.Name)
	}
	return err
}

// declareDiscovery sets up how a service makes itself found.
func (c *Catalog) declareDiscovery() {
	c.Links = addTable(c, rules[core.Link]{
		name: "link", noun: "service link", prefix: core.LinkPrefix,
		id:      func(l *core.Link) *string { return &l.ID },
		meta:    func(l *core.Link) *core.Meta { return &l.Meta },
		parent:  func(l core.Link) string { return l.System },
		family:  "system",
		prepare: func(_ context.Context, l *core.Link) error { return l.Validate() },
		check:   func(x *tx, l, _ *core.Link) error { return c.checkService(x, l.System) },
	})
	c.Definitions = addTable(c, rules[core.APIDefinition]{
		name: "definition", noun: "API definition", prefix: core.DefinitionPrefix,
		id:      func(d *core.APIDefinition) *string { return &d.ID },
		meta:    func(d *core.APIDefinition) *core.Meta { return &d.Meta },
		parent:  func(d core.APIDefinition) string { return d.System },
		family:  "system",
		prepare: func(_ context.Context, d *core.APIDefinition) error { return d.Validate() },
		check:   func(x *tx, d, _ *core.APIDefinition) error { return c.checkService(x, d.System) },
	})
	c.Files = addTable(c, rules[core.FileDescriptor]{
		name: "file", noun: "file descriptor", prefix: core.FilePrefix,
		id:      func(f *core.FileDescriptor) *string { return &f.ID },
		meta:    func(f *core.FileDescriptor) *core.Meta { return &f.Meta },
		parent:  func(f core.FileDescriptor) string { return f.Definition },
		family:  "definition",
		prepare: func(_ context.Context, f *core.FileDescriptor) error { return f.Validate() },
	})
}

// ClearUnusedRights deletes the custom rights that nobody names and whose
// service is gone.
func (c *Catalog) ClearUnusedRights(ctx context.Context) error {
	spaces := map[string]bool{}
	for s, err := range c.Systems.All(ctx) {
		if err != nil {
			return err
		}
		spaces[s.Namespace] = true
	}
	var unused []string
	for r, err := range c.Rights.All(ctx) {
		if err != nil {
			return err
		}
		if r.Custom() && !spaces[r.ServiceNamespace] {
			unused = append(unused, r.ID)
		}
	}
	for id := range slices.Values(unused) {
		err := c.Rights.Delete(ctx, id, nil)
		if code := core.ErrorCode(err); err != nil && code != core.Conflict && code != core.NotFound {
			return err
		}
	}
	return nil
}

// dropUnusedRights takes along the custom rights of a service that nobody
// names but its own rules, which go with it.
func (c *Catalog) dropUnusedRights(x *tx, s core.System) error {
	for r, err := range c.Rights.All(x.ctx) {
		if err != nil {
			return err
		}
		if !r.Custom() || r.ServiceNamespace != s.Namespace {
			continue
		}
		used, err := c.namedByOthers(x, r.ID, s.ID)
		if err != nil {
			return err
		}
		if !used {
			if err := c.Rights.remove(x, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// namedByOthers reports whether anybody but the rules of that system names
// the entity.
func (c *Catalog) namedByOthers(x *tx, id, system string) (bool, error) {
	if used, err := x.named(id); err != nil || !used {
		return used, err
	}
	for e, err := range c.store.List(x.ctx, refs+id+"/") {
		if err != nil {
			return false, storeError(err)
		}
		rule, ok := strings.CutPrefix(e.Key, refs+id+"/"+c.Rules.name+"/")
		if !ok {
			return true, nil
		}
		owner, err := c.systemOfRule(x, rule)
		if code := core.ErrorCode(err); err != nil && code != core.NotFound {
			return false, err
		}
		if owner != system && err == nil { // a rule that is gone since names nobody
			return true, nil
		}
	}
	return false, nil
}

// systemOfRule gives the id of the system whose calls a rule is about.
func (c *Catalog) systemOfRule(x *tx, id string) (string, error) {
	r, err := c.Rules.current(x, id, nil)
	if err != nil {
		return "", err
	}
	a, err := c.Actions.current(x, r.Action, nil)
	if err != nil {
		return "", err
	}
	k, err := c.Classes.current(x, a.Class, nil)
	return k.System, err
}
