package cloudapi

import (
	"context"
	"iter"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// The kinds of users that the gateway knows.
const (
	userLocal = "LOCAL" // logs in with a password
	userOAuth = "OAUTH" // comes with a token of an identity provider
)

// userForm is a user in JSON. Password is never shown. What this gateway does
// not have, quotas and the like, is shown as none and not listened to.
type userForm struct {
	ID           string       `json:"id"`
	Username     *string      `json:"username"`
	FullName     *string      `json:"fullName"`
	Description  *string      `json:"description"`
	Email        *string      `json:"email"`
	Password     *string      `json:"password,omitzero"`
	Enabled      *bool        `json:"enabled"`
	Locked       bool         `json:"locked"`
	Stranded     bool         `json:"stranded"`
	ProviderType string       `json:"providerType"`
	NameInSource *string      `json:"nameInSource"`
	IsGroupRole  bool         `json:"isGroupRole"`
	DeployedVMs  int          `json:"deployedVmQuota"`
	StoredVMs    int          `json:"storedVmQuota"`
	Roles        *[]reference `json:"roleEntityRefs"`
	Org          *reference   `json:"orgEntityRef"`

	hash string // of Password
}

func (a *cloud) users() resource[core.User, userForm] {
	return resource[core.User, userForm]{
		path: usersPath, noun: "user", table: a.Catalog.Users,
		id:      func(u core.User) string { return u.ID },
		meta:    func(u core.User) core.Meta { return u.Meta },
		all:     a.usersOf,
		shows:   showUser,
		permits: a.permitUser,
		attributes: attributes[core.User]{
			"id":                text(func(u core.User) string { return u.ID }),
			"username":          text(func(u core.User) string { return u.Name }),
			"fullName":          text(func(u core.User) string { return u.FullName }),
			"description":       text(func(u core.User) string { return u.Description }),
			"email":             text(func(u core.User) string { return u.Email }),
			"enabled":           truth(func(u core.User) bool { return u.Enabled }),
			"providerType":      text(providerType),
			"orgEntityRef.id":   text(func(u core.User) string { return u.OrgID }),
			"orgEntityRef.name": text(func(u core.User) string { return a.orgRef(u.OrgID).Name }),
		},
		encode:  a.encodeUser,
		prepare: a.hashPassword,
		build:   newUser,
		merge:   mergeUser,
		changed: a.userChanged,
	}
}

// usersOf spares members the users of all other organisations.
func (a *cloud) usersOf(ctx context.Context, by actor) iter.Seq2[core.User, error] {
	if by.org == "" {
		return a.Catalog.Users.All(ctx)
	}
	return a.Catalog.Users.Under(ctx, by.org)
}

// showUser shows every caller themselves, and the others to those who have a
// right to see them.
func showUser(by actor, u core.User) bool {
	return by.within(u.OrgID) && (u.ID == by.UserID || by.may(catalog.RightUserView, catalog.RightUserManage))
}

func (a *cloud) permitUser(by actor, old, next *core.User) error {
	if old != nil && old.ID == by.UserID && (next == nil || !next.Enabled) {
		return core.Errorf(core.Invalid, "you can neither disable nor delete yourself: another administrator has to do it")
	}
	if by.Provider() {
		return nil
	}
	if err := by.needs(catalog.RightUserManage); err != nil {
		return err
	}
	for _, u := range []*core.User{old, next} {
		switch {
		case u == nil:
		case u.OrgID != by.OrgID:
			return core.Errorf(core.Forbidden, "orgEntityRef: you may manage users of your own organisation only")
		case !a.covers(by, u.RoleIDs):
			return core.Errorf(core.Forbidden, "the user has, or would get, a role with rights that you do not hold yourself")
		}
	}
	return nil
}

// providerType follows from whether there is a password.
func providerType(u core.User) string {
	if u.Password == "" {
		return userOAuth
	}
	return userLocal
}

func (a *cloud) encodeUser(u core.User) userForm {
	roles := a.roleRefs(u.RoleIDs)
	return userForm{
		ID: u.ID, Username: &u.Name, FullName: &u.FullName, Description: textOrNull(u.Description), Email: textOrNull(u.Email),
		Enabled: &u.Enabled, ProviderType: providerType(u), NameInSource: &u.Name, Roles: &roles, Org: a.orgRef(u.OrgID),
	}
}

// hashPassword makes of the password what is stored.
func (a *cloud) hashPassword(ctx context.Context, in *userForm) (err error) {
	if in.Password != nil {
		in.hash, err = a.Identity.HashPassword(ctx, *in.Password)
		in.Password = nil
	}
	return err
}

func newUser(by actor, in userForm) (u core.User, err error) {
	if u.OrgID, err = orgFor(by, "orgEntityRef", in.Org); err != nil {
		return u, err
	}
	u.Enabled = true
	if in.ProviderType == "" {
		in.ProviderType = userLocal
	}
	in.Org = nil
	return mergeUser(in, u)
}

// mergeUser puts what a client may decide into u. What a user cannot be
// without stays as it is when it is left out; so do the password and the
// roles.
func mergeUser(in userForm, u core.User) (core.User, error) {
	u.Name = or(in.Username, u.Name)
	u.FullName, u.Description, u.Email = or(in.FullName, ""), or(in.Description, ""), or(in.Email, "")
	u.Enabled = or(in.Enabled, u.Enabled)
	if in.Roles != nil {
		var err error
		if u.RoleIDs, err = idsOf("roleEntityRefs", core.RolePrefix, *in.Roles); err != nil {
			return u, err
		}
	}
	if err := sameOrg("orgEntityRef", in.Org, u.OrgID); err != nil {
		return u, err
	}
	return mergePassword(in, u)
}

func mergePassword(in userForm, u core.User) (core.User, error) {
	if in.hash != "" {
		u.Password = in.hash
	}
	switch in.ProviderType {
	case "":
	case userLocal:
		if u.Password == "" {
			return u, core.Errorf(core.Invalid, "password: a user of providerType LOCAL needs one")
		}
	case userOAuth:
		if in.hash != "" {
			return u, core.Errorf(core.Invalid, "password: a user of providerType OAUTH has none; leave it out, or make the providerType LOCAL")
		}
		u.Password = ""
	default:
		return u, core.Errorf(core.Invalid, "providerType %.30q: LOCAL or OAUTH is needed; this gateway knows no other", in.ProviderType)
	}
	return u, nil
}

// userChanged ends the sessions that were opened with another password.
func (a *cloud) userChanged(ctx context.Context, old, now core.User) error {
	if old.Password == now.Password {
		return nil
	}
	return a.Identity.RevokeUserSessions(ctx, now.ID)
}
