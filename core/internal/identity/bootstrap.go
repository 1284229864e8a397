package identity

import (
	"context"
	"crypto/rand"

	"github.com/annex-gateway/annex/core"
)

// Names of what a gateway starts with.
const (
	AdministratorName       = "administrator"
	RoleSystemAdministrator = "System Administrator"
	RoleOrgAdministrator    = "Organization Administrator"
)

// Bootstrap makes sure that the gateway has what it cannot be without: the
// organisation System, the predefined roles, a system administrator and a
// signing key. A user "administrator" is made only when System has no user at
// all, with adminPassword or, when that is empty, with a generated password,
// which is returned. It is "" when nobody needs to be told.
func (m *Identity) Bootstrap(ctx context.Context, adminPassword string) (generated string, err error) {
	_, err = m.cat.Orgs.Create(ctx, "", core.Org{ID: core.SystemOrgID, Name: core.SystemOrg, DisplayName: core.SystemOrg, Enabled: true})
	if err := unlessThere(err); err != nil {
		return "", err
	}
	roles := []core.Role{
		{
			Name: RoleSystemAdministrator, Description: "Built in: holds every right", OrgID: core.SystemOrgID,
			ReadOnly: true, AllRights: true,
		},
		{Name: RoleOrgAdministrator, Description: "Built in: administers one organisation"},
	}
	for _, r := range roles {
		if err := m.ensureRole(ctx, r); err != nil {
			return "", err
		}
	}
	if _, ok := newest(m.view().Directory.Keys()); !ok {
		if err := m.createKey(ctx, ""); err != nil {
			return "", err
		}
	}
	return m.ensureAdministrator(ctx, adminPassword)
}

func unlessThere(err error) error {
	if core.ErrorCode(err) == core.Conflict {
		return nil
	}
	return err
}

func (m *Identity) ensureRole(ctx context.Context, r core.Role) error {
	_, err := m.cat.Roles.Create(ctx, "", r)
	return unlessThere(err)
}

func (m *Identity) ensureAdministrator(ctx context.Context, password string) (generated string, err error) {
	for _, err := range m.cat.Users.Under(ctx, core.SystemOrgID) {
		return "", err
	}
	role, err := m.systemRole(ctx)
	if err != nil {
		return "", err
	}
	if password == "" {
		generated = rand.Text()
		password = generated
	}
	hash, err := m.HashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	_, err = m.cat.Users.Create(ctx, "", core.User{
		Name: AdministratorName, FullName: "System Administrator", OrgID: core.SystemOrgID,
		RoleIDs: []string{role}, Enabled: true, Password: hash,
	})
	if core.ErrorCode(err) == core.Conflict {
		return "", nil // another node was first
	}
	return generated, err
}

// systemRole finds the id of the system administrator's role.
func (m *Identity) systemRole(ctx context.Context) (string, error) {
	for r, err := range m.cat.Roles.Under(ctx, core.SystemOrgID) {
		if err != nil {
			return "", err
		}
		if r.Name == RoleSystemAdministrator && r.AllRights {
			return r.ID, nil
		}
	}
	return "", core.Errorf(core.Internal, "the role %s is not stored", RoleSystemAdministrator)
}
