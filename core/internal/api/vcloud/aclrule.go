package vcloud

import (
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// aclRules say who may do what an action names.
func aclRules() spec[core.ACLRule] {
	return spec[core.ACLRule]{
		word: "aclrule", parent: "resourceclassaction", lists: []string{"aclrules"}, container: "AclRules",
		root: "AclRule", media: mediaAdmin + "aclRule", prefix: core.RulePrefix,
		fields:   []string{"ServiceResourceAccess", "OrganizationAccess", "PrincipalAccess"},
		id:       func(r core.ACLRule) string { return r.ID },
		meta:     func(r *core.ACLRule) *core.Meta { return &r.Meta },
		parentOf: func(r core.ACLRule) string { return r.Action },
		named:    func(r core.ACLRule) (name, description string) { return r.Name, r.Description },
		decode:   decodeRule,
		encode: func(c *call, e *vxml.Element, r core.ACLRule) error {
			e.Add(c.access("ServiceResourceAccess", r.Resource), c.access("OrganizationAccess", r.Org), c.access("PrincipalAccess", r.Principal))
			return nil
		},
		rows: alone(records.Rules()),
	}
}

func decodeRule(body *vxml.Element, action string) (core.ACLRule, error) {
	r := core.ACLRule{Action: action, Name: body.Attr("name"), Description: body.Value("Description")}
	for _, part := range []struct {
		field string
		into  *core.Reach
		types []string
	}{
		{"ServiceResourceAccess", &r.Resource, []string{core.ResourcePrefix, core.OrgPrefix}},
		{"OrganizationAccess", &r.Org, []string{core.OrgPrefix}},
		{"PrincipalAccess", &r.Principal, []string{core.UserPrefix, core.RightPrefix}},
	} {
		e := body.Child(part.field)
		if e == nil {
			continue
		}
		if err := e.Only("Access", "Entity"); err != nil {
			return r, core.WrapError(core.Invalid, err, "%s: %s", part.field, core.ErrorMessage(err))
		}
		part.into.Access = core.Access(e.Value("Access"))
		if part.into.Access != core.AccessEntity {
			continue // then an Entity has no meaning
		}
		var err error
		if part.into.Entity, err = refer(part.field, e.Child("Entity"), part.types...); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (c *call) access(field string, r core.Reach) *vxml.Element {
	e := vxml.Extension(field).Leaf("Access", string(r.Access))
	if r.Entity != "" {
		e.Add(c.reference("Entity", r.Entity).Typed("ResourceReferenceType"))
	}
	return e
}
