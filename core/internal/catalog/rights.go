package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// The names of the built-in rights: what members of an organisation can be
// allowed to do there. System administrators may do all of it everywhere.
const (
	RightOrgEdit     = "Organization: Edit Properties"
	RightUserView    = "User: View"
	RightUserManage  = "User: Manage"
	RightRoleView    = "Role: View"
	RightRoleManage  = "Role: Manage"
	RightTokenManage = "Token: Manage"
)

// BuiltInRights are the rights that every gateway knows.
func BuiltInRights() []core.Right {
	return []core.Right{
		{Name: RightOrgEdit, Category: "Organization", Description: "Change the display name and the description of the own organization"},
		{Name: RightUserView, Category: "Users and Roles", Description: "See the users of the own organization", ViewOnly: true},
		{Name: RightUserManage, Category: "Users and Roles", Description: "Create, change and delete users of the own organization"},
		{Name: RightRoleView, Category: "Users and Roles", Description: "See roles and the rights that they can hold", ViewOnly: true},
		{Name: RightRoleManage, Category: "Users and Roles", Description: "Create, change and delete roles of the own organization"},
		{Name: RightTokenManage, Category: "Users and Roles", Description: "See and delete the API tokens of all users of the own organization"},
	}
}

// SeedRights makes sure that the built-in rights exist. Those that are new are
// given, in the same commit, to the role of that name which every organisation
// knows: what an administrator takes away from it later stays away.
func (c *Catalog) SeedRights(ctx context.Context, role string) error {
	now := c.opts.Now().UTC()
	_, err := c.change(ctx, func(x *tx) error {
		var added []string
		for _, r := range BuiltInRights() {
			have, err := x.get(unique + c.Rights.name + "/" + c.Rights.unique(r)[0])
			if err != nil {
				return err
			}
			if have.Value != nil {
				continue
			}
			r.ID, r.Meta = core.RightPrefix+core.NewUUID(), core.Meta{Created: now, Modified: now}
			if err := c.Rights.write(x, &r, nil); err != nil {
				return err
			}
			added = append(added, r.ID)
		}
		if len(added) == 0 {
			return nil
		}
		return c.grant(x, role, added)
	})
	return err
}

// grant adds rights to a role that every organisation knows, if there is one
// of that name.
func (c *Catalog) grant(x *tx, role string, rights []string) error {
	e, err := x.get(unique + c.Roles.name + "/name//" + strings.ToLower(role))
	if err != nil || e.Value == nil {
		return err
	}
	old, err := c.Roles.current(x, string(e.Value), nil)
	if err != nil {
		return err
	}
	r := old
	r.RightIDs = slices.Concat(old.RightIDs, rights)
	r.Modified = c.opts.Now().UTC()
	return c.Roles.write(x, &r, &old)
}
