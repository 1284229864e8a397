package catalog

import (
	"context"
	"net/url"
	"slices"
	"strings"

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

func (c *Catalog) orgRules() rules[core.Org] {
	return rules[core.Org]{
		name: "org", noun: "organisation", prefix: core.OrgPrefix,
		id:     func(o *core.Org) *string { return &o.ID },
		meta:   func(o *core.Org) *core.Meta { return &o.Meta },
		unique: func(o core.Org) []string { return []string{"name/" + strings.ToLower(o.Name)} },
		prepare: func(_ context.Context, o *core.Org) error {
			if strings.Contains(o.Name, "@") {
				return core.Errorf(core.Invalid, "name %q: an organisation's name holds no '@'", o.Name)
			}
			return checkName("organisation", o.Name)
		},
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

// UserKey is the unique word of a user: names are unique in an organisation,
// whatever their case.
func UserKey(orgID, name string) string { return "name/" + orgID + "/" + strings.ToLower(name) }

func (c *Catalog) userRules() rules[core.User] {
	return rules[core.User]{
		name: "user", noun: "user", prefix: core.UserPrefix,
		id:      func(u *core.User) *string { return &u.ID },
		meta:    func(u *core.User) *core.Meta { return &u.Meta },
		parent:  func(u core.User) string { return u.OrgID },
		family:  "org",
		unique:  func(u core.User) []string { return []string{UserKey(u.OrgID, u.Name)} },
		refs:    func(u core.User) []string { return u.RoleIDs },
		prepare: func(_ context.Context, u *core.User) error { return checkName("user", u.Name) },
		keep:    func(u *core.User, old core.User) { u.OrgID = old.OrgID },
		check: func(x *tx, u, _ *core.User) error {
			slices.Sort(u.RoleIDs)
			u.RoleIDs = slices.Compact(u.RoleIDs)
			for _, id := range u.RoleIDs {
				if err := c.checkRole(x, id, u.OrgID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// checkRole holds a role in place that a user of that organisation shall have.
func (c *Catalog) checkRole(x *tx, id, orgID string) error {
	e, err := x.get(c.Roles.key(id))
	if err != nil {
		return err
	}
	if e.Value == nil {
		return core.Errorf(core.Invalid, "role %q does not exist", id)
	}
	r, err := c.Roles.decode(e)
	if err != nil {
		return err
	}
	if r.OrgID != "" && r.OrgID != orgID {
		return core.Errorf(core.Invalid, "role %q belongs to another organisation", r.Name)
	}
	return nil
}

func (c *Catalog) roleRules() rules[core.Role] {
	return rules[core.Role]{
		name: "role", noun: "role", prefix: core.RolePrefix,
		id:      func(r *core.Role) *string { return &r.ID },
		meta:    func(r *core.Role) *core.Meta { return &r.Meta },
		parent:  func(r core.Role) string { return r.OrgID },
		family:  "org",
		refs:    func(r core.Role) []string { return r.RightIDs },
		unique:  func(r core.Role) []string { return []string{"name/" + r.OrgID + "/" + strings.ToLower(r.Name)} },
		prepare: func(_ context.Context, r *core.Role) error { return checkName("role", r.Name) },
		keep: func(r *core.Role, old core.Role) {
			r.OrgID, r.ReadOnly, r.AllRights = old.OrgID, old.ReadOnly, old.AllRights
		},
		check: func(x *tx, r, old *core.Role) error {
			if old != nil && old.ReadOnly {
				return core.Errorf(core.Invalid, "role %s is built in and cannot be changed", old.Name)
			}
			slices.Sort(r.RightIDs)
			r.RightIDs = slices.Compact(r.RightIDs)
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
		prepare: func(_ context.Context, r *core.Right) error { return checkName("right", r.Name) },
		keep:    func(r *core.Right, old core.Right) { r.Name, r.ServiceNamespace = old.Name, old.ServiceNamespace },
	}
}

func (c *Catalog) issuerRules() rules[core.Issuer] {
	return rules[core.Issuer]{
		name: "issuer", noun: "OpenID Connect issuer", prefix: core.IssuerPrefix,
		id:     func(i *core.Issuer) *string { return &i.ID },
		meta:   func(i *core.Issuer) *core.Meta { return &i.Meta },
		parent: func(i core.Issuer) string { return i.OrgID },
		family: "org",
		unique: func(i core.Issuer) []string { return []string{"url/" + i.URL} },
		prepare: func(_ context.Context, i *core.Issuer) error {
			u, err := url.Parse(i.URL)
			switch {
			case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
				return core.Errorf(core.Invalid, "url %q: the https URL of an OpenID Connect issuer is needed, as its tokens name it", i.URL)
			case i.Audience == "":
				return core.Errorf(core.Invalid, "audience: say what the tokens' aud claim must hold")
			}
			return checkName("issuer", i.Name)
		},
		keep: func(i *core.Issuer, old core.Issuer) { i.OrgID = old.OrgID },
		check: func(x *tx, i, _ *core.Issuer) error {
			for _, id := range i.DefaultRoleIDs {
				if err := c.checkRole(x, id, i.OrgID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
