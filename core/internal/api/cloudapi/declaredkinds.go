package cloudapi

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// The words of kinds that others refer to.
const (
	kindService    = "ext"
	kindEndpoint   = "endpoint"
	kindOrg        = "org"
	kindUser       = "user"
	kindRole       = "role"
	kindRight      = "right"
	kindClass      = "class"
	kindAction     = "action"
	kindResource   = "resource"
	kindDefinition = "definition"
)

// declared are all kinds, each behind those that it refers to.
func (x *applying) declared() []declaredKind {
	return slices.Concat(x.declaredSystems(), x.declaredPeople(), x.declaredAccess(), x.declaredDiscovery())
}

func (x *applying) declaredSystems() []declaredKind {
	triplet := func(_ *applying, s core.System) string { return s.Triplet() }
	short := func(s core.System, name string) bool { return s.Name == name }
	return []declaredKind{
		declared[core.System, serviceForm]{
			resource: x.services(), kind: kindService, name: triplet, known: short,
			given: func(in serviceForm) string {
				return core.SystemID(core.KindMQTT, in.Vendor, in.Name, in.Version)
			},
			merging: func(_ *applying, in serviceForm, old core.System) (core.System, error) {
				if in.Kind != "" && in.Kind != old.Kind {
					return old, core.Errorf(core.Invalid, "kind: %s is of kind %s, and that cannot be changed", old.Triplet(), old.Kind)
				}
				return applyService(in, old)
			},
		},
		declared[core.System, endpointForm]{
			resource: x.endpoints(), kind: kindEndpoint, name: triplet, known: short,
			given: func(in endpointForm) string {
				return core.SystemID(core.KindHTTPS, in.Vendor, in.Name, in.Version)
			},
		},
		declared[core.TrustedCertificate, trustedForm]{
			resource: x.trusted(), kind: "cert",
			name:  func(_ *applying, t core.TrustedCertificate) string { return t.Alias },
			given: func(in trustedForm) string { return in.ID },
			same:  func(a, b core.TrustedCertificate) bool { return strings.EqualFold(a.Alias, b.Alias) },
			merging: func(_ *applying, in trustedForm, old core.TrustedCertificate) (core.TrustedCertificate, error) {
				old.Alias, old.PEM = in.Alias, in.Certificate
				return old, nil
			},
		},
	}
}

func (x *applying) declaredPeople() []declaredKind {
	return []declaredKind{
		declared[core.Org, orgForm]{
			resource: x.orgs(), kind: kindOrg,
			name:  func(_ *applying, o core.Org) string { return o.Name },
			given: func(in orgForm) string { return in.ID },
			same:  func(a, b core.Org) bool { return strings.EqualFold(a.Name, b.Name) },
		},
		x.declaredRights(),
		x.declaredRoles(),
		x.declaredUsers(),
		declared[core.Issuer, issuerForm]{
			resource: x.issuers(), kind: "issuer",
			name:  func(_ *applying, i core.Issuer) string { return i.Name },
			given: func(in issuerForm) string { return in.ID },
			same:  func(a, b core.Issuer) bool { return a.OrgID == b.OrgID && a.Name == b.Name },
			refs: func(in *issuerForm) []refTo {
				list := []refTo{{field: "orgEntityRef", to: in.Org, kinds: []string{kindOrg}}}
				return append(list, refsTo("defaultRoleEntityRefs", in.DefaultRoles, kindRole, in.Org)...)
			},
		},
	}
}

// refsTo are the places of a list of references.
func refsTo(field string, list *[]reference, kind string, org *reference) []refTo {
	var out []refTo
	if list == nil {
		return nil
	}
	for i := range *list {
		out = append(out, refTo{field, &(*list)[i], []string{kind}, org})
	}
	return out
}

// declaredRights are custom rights only: those that are built in are there.
func (x *applying) declaredRights() declaredKind {
	return declared[core.Right, customRightForm]{
		resource: x.customRights(), kind: kindRight,
		name: func(_ *applying, r core.Right) string { return r.Name },
		known: func(r core.Right, name string) bool {
			return r.Custom() && r.Name == customRight(r.ServiceNamespace, name).Name
		},
		given: func(in customRightForm) string { return in.ID },
		same:  func(a, b core.Right) bool { return a.Name == b.Name },
		refs: func(in *customRightForm) []refTo {
			return []refTo{{field: "service", to: in.Service, kinds: []string{kindService}}}
		},
		make: func(x *applying, in customRightForm) (r core.Right, err error) {
			id, err := parentID("service", core.ServicePrefix, in.Service)
			if err != nil {
				return r, err
			}
			s, err := x.Catalog.Systems.GetIn(x.batch, id)
			if err != nil {
				return r, err
			}
			// What is shown has the namespace in its name already.
			name := strings.TrimPrefix(in.Name, customRight(s.Namespace, "").Name)
			return mergeRight(in, customRight(s.Namespace, name)), nil
		},
	}
}

// roleDoc is a role with what it holds, by name or id, and whose it is. Left
// out, the rights stay as they are.
type roleDoc struct {
	roleForm
	Org    *reference   `json:"orgEntityRef,omitzero"`
	Rights *[]reference `json:"rights,omitzero"`
}

func (x *applying) declaredRoles() declaredKind {
	roles := x.roles()
	merge := func(in roleDoc, r core.Role) (core.Role, error) {
		r, err := mergeRole(in.roleForm, r)
		if err != nil || in.Rights == nil {
			return r, err
		}
		ids, err := idsOf("rights", core.RightPrefix, *in.Rights)
		slices.Sort(ids)
		r.RightIDs = slices.Compact(ids)
		return r, err
	}
	return declared[core.Role, roleDoc]{
		resource: resource[core.Role, roleDoc]{
			path: roles.path, noun: roles.noun, table: roles.table, id: roles.id, meta: roles.meta, permits: roles.permits,
			encode: x.encodeRoleDoc, merge: merge,
			build: func(by actor, in roleDoc) (core.Role, error) {
				r := core.Role{OrgID: by.home()}
				if in.Org != nil {
					r.OrgID = in.Org.ID
				}
				return merge(in, r)
			},
		},
		kind: kindRole, name: func(_ *applying, r core.Role) string { return r.Name },
		org:   func(r core.Role) string { return r.OrgID },
		given: func(in roleDoc) string { return in.ID },
		same: func(a, b core.Role) bool {
			return a.OrgID == b.OrgID && strings.EqualFold(a.Name, b.Name)
		},
		refs: func(in *roleDoc) []refTo {
			list := []refTo{}
			if in.Org != nil {
				list = append(list, refTo{field: "orgEntityRef", to: in.Org, kinds: []string{kindOrg}})
			}
			return append(list, refsTo("rights", in.Rights, kindRight, nil)...)
		},
	}
}

func (x *applying) encodeRoleDoc(r core.Role) roleDoc {
	rights := []reference{}
	d := x.Live.View().Directory
	for _, id := range r.RightIDs {
		right, _ := d.Right(id)
		rights = append(rights, reference{right.Name, id})
	}
	return roleDoc{roleForm: encodeRole(r), Rights: &rights}
}

func (x *applying) declaredUsers() declaredKind {
	users := x.users()
	orgName := func(x *applying, u core.User) string { return x.labelOf([]string{kindOrg}, u.OrgID) }
	return declared[core.User, userForm]{
		resource: users, kind: kindUser,
		name:  func(x *applying, u core.User) string { return u.Name + "@" + orgName(x, u) },
		known: func(u core.User, name string) bool { return u.Name == name },
		given: func(in userForm) string { return in.ID },
		same: func(a, b core.User) bool {
			return a.OrgID == b.OrgID && strings.EqualFold(a.Name, b.Name)
		},
		refs: func(in *userForm) []refTo {
			list := []refTo{}
			if in.Org != nil {
				list = append(list, refTo{field: "orgEntityRef", to: in.Org, kinds: []string{kindOrg}})
			}
			return append(list, refsTo("roleEntityRefs", in.Roles, kindRole, in.Org)...)
		},
		make: func(x *applying, in userForm) (core.User, error) {
			if in.Password != nil { // to see whether the user exists it need not be hashed
				in.hash, in.Password = "-", nil
			}
			return newUser(x.by, in)
		},
		merging: x.mergeDeclaredUser,
		secrets: func(old, now core.User) []string {
			if old.Password != now.Password {
				return []string{"password"}
			}
			return nil
		},
		done: x.userChanged,
	}
}

// mergeDeclaredUser leaves the password alone if it is the one that the user
// has.
func (x *applying) mergeDeclaredUser(_ *applying, in userForm, old core.User) (core.User, error) {
	if in.Password != nil {
		same, err := x.Identity.PasswordIs(x.ctx, old.Password, *in.Password)
		if err != nil {
			return old, err
		}
		if same {
			in.hash, in.Password = old.Password, nil
		} else if err := x.hashPassword(x.ctx, &in); err != nil {
			return old, err
		}
	}
	u, err := mergeUser(in, old)
	slices.Sort(u.RoleIDs)
	u.RoleIDs = slices.Compact(u.RoleIDs)
	return u, err
}

func (x *applying) declaredAccess() []declaredKind {
	ofClass := func(to **reference) []refTo {
		return []refTo{{field: "resourceClass", to: orNone(to), kinds: []string{kindClass}}}
	}
	return []declaredKind{
		declared[core.ResourceClass, classForm]{
			resource: x.classes(), kind: kindClass, parentKinds: []string{kindService},
			name:   func(_ *applying, k core.ResourceClass) string { return k.Name },
			parent: func(k core.ResourceClass) string { return k.System },
			given:  func(in classForm) string { return in.ID },
			same:   func(a, b core.ResourceClass) bool { return a.Name == b.Name },
			refs:   func(in *classForm) []refTo { return ofService(&in.Service) },
		},
		declared[core.ResourceClassAction, actionForm]{
			resource: x.actions(), kind: kindAction, parentKinds: []string{kindClass},
			name:   func(_ *applying, a core.ResourceClassAction) string { return a.Name },
			parent: func(a core.ResourceClassAction) string { return a.Class },
			given:  func(in actionForm) string { return in.ID },
			same:   func(a, b core.ResourceClassAction) bool { return a.Name == b.Name },
			refs:   func(in *actionForm) []refTo { return ofClass(&in.Class) },
		},
		declared[core.ServiceResource, resourceForm]{
			resource: x.serviceResources(), kind: kindResource, parentKinds: []string{kindClass},
			name:   func(_ *applying, r core.ServiceResource) string { return r.Name },
			parent: func(r core.ServiceResource) string { return r.Class },
			given:  func(in resourceForm) string { return in.ID },
			same:   func(a, b core.ServiceResource) bool { return a.ExternalObjectID == b.ExternalObjectID },
			refs: func(in *resourceForm) []refTo {
				return append(ofClass(&in.Class), refTo{field: "org", to: orNone(&in.Org), kinds: []string{kindOrg}})
			},
		},
		declared[core.ACLRule, ruleForm]{
			resource: x.rules(), kind: "acl", parentKinds: []string{kindAction},
			name:   func(_ *applying, r core.ACLRule) string { return r.Name },
			parent: func(r core.ACLRule) string { return r.Action },
			given:  func(in ruleForm) string { return in.ID },
			same:   func(a, b core.ACLRule) bool { return a.Name == b.Name },
			refs:   ruleRefs,
		},
	}
}

// orNone makes a reference that is left out one that names nothing, which the
// caller is told of.
func orNone(to **reference) *reference {
	if *to == nil {
		*to = &reference{}
	}
	return *to
}

func ofService(to **reference) []refTo {
	return []refTo{{field: "service", to: orNone(to), kinds: []string{kindService}}}
}

func ruleRefs(in *ruleForm) []refTo {
	list := []refTo{{field: "resourceClassAction", to: orNone(&in.Action), kinds: []string{kindAction}}}
	for _, part := range []struct {
		field string
		reach *reachForm
		kinds []string
	}{
		{"serviceResourceAccess", in.Resource, []string{kindResource, kindOrg}},
		{"organizationAccess", in.Org, []string{kindOrg}},
		{"principalAccess", in.Principal, []string{kindRight, kindUser}},
	} {
		if part.reach != nil && part.reach.Entity != nil {
			list = append(list, refTo{field: part.field, to: part.reach.Entity, kinds: part.kinds})
		}
	}
	return list
}

func (x *applying) declaredDiscovery() []declaredKind {
	return []declaredKind{
		declared[core.Filter, filterForm]{
			resource: x.filters(), kind: "filter", parentKinds: []string{kindService, kindEndpoint},
			name:   func(_ *applying, f core.Filter) string { return f.URLPattern + f.ResponseContentType },
			parent: func(f core.Filter) string { return f.System },
			given:  func(in filterForm) string { return in.ID },
			same: func(a, b core.Filter) bool {
				return a.URLPattern == b.URLPattern && a.Scope == b.Scope && a.ResponseContentType == b.ResponseContentType &&
					(b.Stage == "" || a.Stage == b.Stage)
			},
			refs: func(in *filterForm) []refTo {
				return []refTo{{field: "externalSystem", to: orNone(&in.ExternalSystem), kinds: []string{kindService, kindEndpoint}}}
			},
		},
		declared[core.Link, linkForm]{
			resource: x.serviceLinks(), kind: "link", parentKinds: []string{kindService},
			name:   func(_ *applying, l core.Link) string { return l.Rel + " " + l.ResourceType },
			parent: func(l core.Link) string { return l.System },
			given:  func(in linkForm) string { return in.ID },
			same: func(a, b core.Link) bool {
				return a.Rel == b.Rel && a.ResourceType == b.ResourceType && a.ResourceID == b.ResourceID && a.MimeType == b.MimeType
			},
			refs: func(in *linkForm) []refTo { return ofService(&in.Service) },
		},
		declared[core.APIDefinition, definitionForm]{
			resource: x.definitions(), kind: kindDefinition, parentKinds: []string{kindService},
			name:   func(_ *applying, d core.APIDefinition) string { return d.Name },
			parent: func(d core.APIDefinition) string { return d.System },
			given:  func(in definitionForm) string { return in.ID },
			same:   func(a, b core.APIDefinition) bool { return a.Name == b.Name },
			refs:   func(in *definitionForm) []refTo { return ofService(&in.Service) },
		},
		declared[core.FileDescriptor, fileForm]{
			resource: x.files(), kind: "file", parentKinds: []string{kindDefinition},
			name:   func(_ *applying, f core.FileDescriptor) string { return f.Name },
			parent: func(f core.FileDescriptor) string { return f.Definition },
			given:  func(in fileForm) string { return in.ID },
			same:   func(a, b core.FileDescriptor) bool { return a.Name == b.Name },
			refs: func(in *fileForm) []refTo {
				return []refTo{{field: "apiDefinition", to: orNone(&in.Definition), kinds: []string{kindDefinition}}}
			},
		},
	}
}
