package cloudapi

import (
	"cmp"
	"context"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// ruleForm is an ACL rule in JSON.
type ruleForm struct {
	ID          string     `json:"id"`
	Action      *reference `json:"resourceClassAction"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	Resource    *reachForm `json:"serviceResourceAccess"`
	Org         *reachForm `json:"organizationAccess"`
	Principal   *reachForm `json:"principalAccess"`
}

// reachForm is one part of a rule; Entity goes with access Entity only.
type reachForm struct {
	Access string     `json:"access"`
	Entity *reference `json:"entity,omitzero"`
}

func (a *cloud) rules() resource[core.ACLRule, ruleForm] {
	return resource[core.ACLRule, ruleForm]{
		path: rulesPath, noun: "ACL rule", table: a.Catalog.Rules,
		id:   func(r core.ACLRule) string { return r.ID },
		meta: func(r core.ACLRule) core.Meta { return r.Meta },
		attributes: attributes[core.ACLRule]{
			"id":                     text(func(r core.ACLRule) string { return r.ID }),
			"name":                   text(func(r core.ACLRule) string { return r.Name }),
			"resourceClassAction.id": text(func(r core.ACLRule) string { return r.Action }),
		},
		encode: func(r core.ACLRule) ruleForm {
			return ruleForm{
				ID: r.ID, Action: &reference{ID: r.Action}, Name: r.Name, Description: textOrNull(r.Description),
				Resource: encodeReach(r.Resource), Org: encodeReach(r.Org), Principal: encodeReach(r.Principal),
			}
		},
		names: a.nameRule,
		build: func(_ actor, in ruleForm) (r core.ACLRule, err error) {
			if r.Action, err = parentID("resourceClassAction", core.ActionPrefix, in.Action); err != nil {
				return r, err
			}
			return mergeRule(in, r)
		},
		merge: mergeRule,
	}
}

func encodeReach(r core.Reach) *reachForm {
	out := &reachForm{Access: string(r.Access)}
	if r.Entity != "" {
		out.Entity = &reference{ID: r.Entity}
	}
	return out
}

// mergeRule makes a rule of its form. A part that is left out is Shared.
func mergeRule(in ruleForm, r core.ACLRule) (core.ACLRule, error) {
	r.Name, r.Description = in.Name, or(in.Description, "")
	r.Resource, r.Org, r.Principal = decodeReach(in.Resource), decodeReach(in.Org), decodeReach(in.Principal)
	return r, stays("resourceClassAction", in.Action, r.Action)
}

func decodeReach(in *reachForm) core.Reach {
	if in == nil {
		return core.Reach{Access: core.AccessShared}
	}
	r := core.Reach{Access: core.Access(in.Access)}
	if in.Entity != nil {
		r.Entity = in.Entity.ID
	}
	return r
}

func (a *cloud) nameRule(ctx context.Context, out *ruleForm) error {
	errs := []error{nameIt(ctx, a.Catalog.Actions, out.Action, func(x core.ResourceClassAction) string { return x.Name })}
	for _, part := range []*reachForm{out.Resource, out.Org, out.Principal} {
		errs = append(errs, a.nameEntity(ctx, part.Entity))
	}
	return cmp.Or(errs...)
}

// nameEntity fills in the name of what a rule can name.
func (a *cloud) nameEntity(ctx context.Context, to *reference) error {
	if to == nil {
		return nil
	}
	switch {
	case strings.HasPrefix(to.ID, core.OrgPrefix):
		to.Name = a.orgRef(to.ID).Name
	case strings.HasPrefix(to.ID, core.UserPrefix):
		u, _ := a.Live.View().Directory.User(to.ID)
		to.Name = u.Name
	case strings.HasPrefix(to.ID, core.RightPrefix):
		return nameIt(ctx, a.Catalog.Rights, to, func(r core.Right) string { return r.Name })
	case strings.HasPrefix(to.ID, core.ResourcePrefix):
		return nameIt(ctx, a.Catalog.Resources, to, func(r core.ServiceResource) string { return r.Name })
	}
	return nil
}

// resourceForm is a service resource in JSON.
type resourceForm struct {
	ID          string     `json:"id"`
	Class       *reference `json:"resourceClass"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	ExternalID  string     `json:"externalObjectId"`
	Org         *reference `json:"org"`
}

func (a *cloud) serviceResources() resource[core.ServiceResource, resourceForm] {
	return resource[core.ServiceResource, resourceForm]{
		path: resourcesPath, noun: "service resource", table: a.Catalog.Resources,
		id:   func(r core.ServiceResource) string { return r.ID },
		meta: func(r core.ServiceResource) core.Meta { return r.Meta },
		attributes: attributes[core.ServiceResource]{
			"id":               text(func(r core.ServiceResource) string { return r.ID }),
			"name":             text(func(r core.ServiceResource) string { return r.Name }),
			"resourceClass.id": text(func(r core.ServiceResource) string { return r.Class }),
			"externalObjectId": text(func(r core.ServiceResource) string { return r.ExternalObjectID }),
			"org.id":           text(func(r core.ServiceResource) string { return r.OrgID }),
			"org.name":         text(func(r core.ServiceResource) string { return a.orgRef(r.OrgID).Name }),
		},
		encode: func(r core.ServiceResource) resourceForm {
			return resourceForm{
				ID: r.ID, Class: &reference{ID: r.Class}, Name: r.Name, Description: textOrNull(r.Description),
				ExternalID: r.ExternalObjectID, Org: a.orgRef(r.OrgID),
			}
		},
		names: func(ctx context.Context, out *resourceForm) error { return a.nameClass(ctx, out.Class) },
		build: func(_ actor, in resourceForm) (r core.ServiceResource, err error) {
			if r.Class, err = parentID("resourceClass", core.ClassPrefix, in.Class); err != nil {
				return r, err
			}
			return mergeResource(in, r)
		},
		merge: mergeResource,
	}
}

func mergeResource(in resourceForm, r core.ServiceResource) (core.ServiceResource, error) {
	r.Name, r.Description, r.ExternalObjectID = in.Name, or(in.Description, ""), in.ExternalID
	var err error
	if r.OrgID, err = parentID("org", core.OrgPrefix, in.Org); err != nil {
		return r, err
	}
	return r, stays("resourceClass", in.Class, r.Class)
}
