package catalog

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/annex-gateway/annex/core"
)

func (c *Catalog) declareIdentity() {
	c.Orgs = addTable(c, c.orgRules())
	c.Users = addTable(c, c.userRules())
	c.Roles = addTable(c, c.roleRules())
	c.Rights = addTable(c, c.rightRules())
	c.Sessions = addTable(c, rules[core.Session]{
		name: "session", noun: "session", prefix: core.SessionPrefix,
		id:     func(s *core.Session) *string { return &s.ID },
		meta:   func(s *core.Session) *core.Meta { return &s.Meta },
		parent: func(s core.Session) string { return s.UserID },
		family: "user",
	})
	c.Issuers = addTable(c, c.issuerRules())
	c.Trusted = addTable(c, c.certificateRules())
	c.Keys = addTable(c, rules[core.SigningKey]{
		name: "key", noun: "signing key",
		id:   func(k *core.SigningKey) *string { return &k.ID },
		meta: func(k *core.SigningKey) *core.Meta { return &k.Meta },
	})
}

func checkName(noun, name string) error {
	if name == "" || len(name) > 128 || strings.TrimSpace(name) != name ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' }) {
		return core.Errorf(core.Invalid, "name %q: a %s needs a name of 1 to 128 bytes without '/', control characters and outer spaces", name, noun)
	}
	return nil
}

// distinct returns the ids in order, each once, and leaves the given slice
// alone: it may be one that a view shows.
func distinct(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }

// checkText bounds a text that is only shown.
func checkText(field, text string) error {
	const most = 4096
	if len(text) > most {
		return core.Errorf(core.Invalid, "%s: at most %d bytes are kept, this one has %d", field, most, len(text))
	}
	return nil
}

func checkOrg(_ context.Context, o *core.Org) error {
	if strings.Contains(o.Name, "@") {
		return core.Errorf(core.Invalid, "name %q: an organisation's name holds no '@'", o.Name)
	}
	return cmp.Or(checkName("organisation", o.Name), checkText("displayName", o.DisplayName), checkText("description", o.Description))
}

func checkUser(_ context.Context, u *core.User) error {
	return cmp.Or(checkName("user", u.Name), checkText("fullName", u.FullName), checkText("email", u.Email), checkText("description", u.Description))
}

func checkRole(_ context.Context, r *core.Role) error {
	return cmp.Or(checkName("role", r.Name), checkText("description", r.Description), checkText("bundleKey", r.BundleKey))
}

func (c *Catalog) orgRules() rules[core.Org] {
	return rules[core.Org]{
		name: "org", noun: "organisation", prefix: core.OrgPrefix,
		id:      func(o *core.Org) *string { return &o.ID },
		meta:    func(o *core.Org) *core.Meta { return &o.Meta },
		unique:  func(o core.Org) []string { return []string{OrgKey(o.Name)} },
		prepare: checkOrg,
		check: func(_ *tx, o, _ *core.Org) error {
			if o.ID == core.SystemOrgID && (!o.Enabled || o.Name != core.SystemOrg) {
				return core.Errorf(core.Invalid, "the organisation System can be neither renamed nor disabled")
			}
			return nil
		},
		drop: func(_ *tx, o core.Org) error {
			switch {
			case o.ID == core.SystemOrgID:
				return core.Errorf(core.Invalid, "the organisation System cannot be deleted")
			case o.Enabled:
				return core.Errorf(core.Invalid, "organisation %s is enabled: disable it before you delete it", o.Name)
			}
			return nil
		},
	}
}

// OrgKey is the unique word of an organisation: no two names differ in case
// only.
func OrgKey(name string) string { return "name/" + strings.ToLower(name) }

// UserKey is the unique word of a user: names are unique in an organisation,
// whatever their case.
func UserKey(orgID, name string) string { return "name/" + orgID + "/" + strings.ToLower(name) }

func (c *Catalog) userRules() rules[core.User] {
	return rules[core.User]{
		name: "user", noun: "user", prefix: core.UserPrefix,
		label:   func(u core.User) string { return u.Name },
		id:      func(u *core.User) *string { return &u.ID },
		meta:    func(u *core.User) *core.Meta { return &u.Meta },
		parent:  func(u core.User) string { return u.OrgID },
		family:  "org",
		unique:  func(u core.User) []string { return []string{UserKey(u.OrgID, u.Name)} },
		refs:    func(u core.User) []string { return u.RoleIDs },
		prepare: checkUser,
		keep:    func(u *core.User, old core.User) { u.OrgID = old.OrgID },
		check: func(x *tx, u, _ *core.User) error {
			u.RoleIDs = distinct(u.RoleIDs)
			for _, id := range u.RoleIDs {
				if err := c.holdRole(x, id, u.OrgID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// holdRole holds a role in place that a user of that organisation shall have.
func (c *Catalog) holdRole(x *tx, id, orgID string) error {
	e, err := x.get(c.Roles.key(id))
	if err != nil {
		return err
	}
	var r core.Role
	if e.Value != nil {
		if r, err = c.Roles.decode(e); err != nil {
			return err
		}
	}
	if e.Value == nil || r.OrgID != "" && r.OrgID != orgID {
		return core.Errorf(core.Invalid, "role %q does not exist, or belongs to another organisation", id)
	}
	return nil
}

func (c *Catalog) roleRules() rules[core.Role] {
	return rules[core.Role]{
		name: "role", noun: "role", prefix: core.RolePrefix,
		label:   func(r core.Role) string { return r.Name },
		id:      func(r *core.Role) *string { return &r.ID },
		meta:    func(r *core.Role) *core.Meta { return &r.Meta },
		parent:  func(r core.Role) string { return r.OrgID },
		family:  "org",
		refs:    func(r core.Role) []string { return r.RightIDs },
		unique:  func(r core.Role) []string { return []string{"name/" + r.OrgID + "/" + strings.ToLower(r.Name)} },
		prepare: checkRole,
		keep: func(r *core.Role, old core.Role) {
			r.OrgID, r.ReadOnly, r.AllRights = old.OrgID, old.ReadOnly, old.AllRights
		},
		check: func(x *tx, r, old *core.Role) error {
			if old != nil && old.ReadOnly {
				return core.Errorf(core.Invalid, "role %s is built in and cannot be changed", old.Name)
			}
			r.RightIDs = distinct(r.RightIDs)
			for _, id := range r.RightIDs {
				e, err := x.get(c.Rights.key(id))
				if err != nil {
					return err
				}
				if e.Value == nil {
					return core.Errorf(core.Invalid, "right %q does not exist", id)
				}
			}
			return nil
		},
		drop: func(_ *tx, r core.Role) error {
			if r.ReadOnly {
				return core.Errorf(core.Invalid, "role %s is built in and cannot be deleted", r.Name)
			}
			return nil
		},
	}
}

func (c *Catalog) rightRules() rules[core.Right] {
	return rules[core.Right]{
		name: "right", noun: "right", prefix: core.RightPrefix,
		id:      func(r *core.Right) *string { return &r.ID },
		meta:    func(r *core.Right) *core.Meta { return &r.Meta },
		unique:  func(r core.Right) []string { return []string{"name/" + r.Name} },
		prepare: checkRight,
		check: func(_ *tx, r, old *core.Right) error {
			if old != nil && !old.Custom() {
				return core.Errorf(core.Invalid, "right %s is built in and cannot be changed", r.Name)
			}
			return nil
		},
		keep: func(r *core.Right, old core.Right) { r.Name, r.ServiceNamespace = old.Name, old.ServiceNamespace },
		drop: func(_ *tx, r core.Right) error {
			if !r.Custom() {
				return core.Errorf(core.Invalid, "right %s is built in and cannot be deleted", r.Name)
			}
			return nil
		},
	}
}

// checkRight judges the name without the namespace that a custom right's
// name starts with.
func checkRight(_ context.Context, r *core.Right) error {
	name := strings.TrimPrefix(r.Name, "{"+r.ServiceNamespace+"}:")
	switch {
	case name == "" || len(name) > 255 || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl):
		return core.Errorf(core.Invalid, "name %q: a right needs a name of 1 to 255 bytes without control characters and outer spaces", name)
	}
	return cmp.Or(checkText("Description", r.Description), checkText("Category", r.Category), checkText("BundleKey", r.BundleKey))
}

func (c *Catalog) issuerRules() rules[core.Issuer] {
	return rules[core.Issuer]{
		name: "issuer", noun: "OpenID Connect issuer", prefix: core.IssuerPrefix,
		label:  func(i core.Issuer) string { return i.Name },
		id:     func(i *core.Issuer) *string { return &i.ID },
		meta:   func(i *core.Issuer) *core.Meta { return &i.Meta },
		parent: func(i core.Issuer) string { return i.OrgID },
		family: "org",
		unique: func(i core.Issuer) []string { return []string{"url/" + i.URL} },
		refs:   func(i core.Issuer) []string { return i.DefaultRoleIDs },
		prepare: func(_ context.Context, i *core.Issuer) error {
			u, err := url.Parse(i.URL)
			switch {
			case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
				return core.Errorf(core.Invalid, "url %q: the https URL of an OpenID Connect issuer is needed, as its tokens name it", i.URL)
			case i.Audience == "":
				return core.Errorf(core.Invalid, "audience: say what the tokens' aud claim must hold")
			}
			return cmp.Or(checkName("issuer", i.Name), checkText("audience", i.Audience),
				checkText("userClaim", i.UserClaim), checkText("roleClaim", i.RoleClaim), checkAuthorities(i.CA))
		},
		keep: func(i *core.Issuer, old core.Issuer) { i.OrgID = old.OrgID },
		check: func(x *tx, i, _ *core.Issuer) error {
			i.DefaultRoleIDs = distinct(i.DefaultRoleIDs)
			for _, id := range i.DefaultRoleIDs {
				if err := c.holdRole(x, id, i.OrgID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
