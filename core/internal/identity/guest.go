package identity

import (
	"context"
	"strings"
	"unicode"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/identity/oidc"
	"github.com/annex-gateway/annex/core/internal/live"
)

// guest is a token of an identity provider that was checked before.
type guest struct {
	url, issuer string
	revision    uint64 // of the issuer's registration
	user        string // by name: whom the name stands for is looked up each time
	receipt     oidc.Receipt
}

// guestCacheShare is which part of CacheSize counts for tokens of identity
// providers, which may be long.
const guestCacheShare = 4

// guest tells whom a token of a registered identity provider stands for. It is
// not ok for tokens that name no such provider.
func (m *Identity) guest(ctx context.Context, d *live.Directory, token string) (c core.Caller, ok bool, err error) {
	if g, ok := m.guests.get(token); ok {
		if c, ok := m.currentGuest(d, g); ok {
			return c, true, nil
		}
	}
	url := oidc.IssuerOf(token)
	if url == "" || url == m.opts.Issuer {
		return c, false, nil
	}
	is, ok := d.IssuerByURL(url)
	if !ok || !is.Enabled {
		return c, false, nil
	}
	c, err = m.receive(ctx, is, token)
	return c, true, err
}

// currentGuest tells whom a token stands for at this moment, if nothing has to
// be found out for it.
func (m *Identity) currentGuest(d *live.Directory, g *guest) (core.Caller, bool) {
	is, ok := d.IssuerByURL(g.url)
	if !ok || !is.Enabled || is.ID != g.issuer || is.Revision != g.revision || !m.providers.Current(is, g.receipt) {
		return core.Caller{}, false
	}
	u, ok := d.UserByName(is.OrgID, g.user)
	if !ok {
		return core.Caller{}, false
	}
	return d.Caller(u.ID)
}

// receive checks a token of a registered identity provider.
func (m *Identity) receive(ctx context.Context, is core.Issuer, token string) (core.Caller, error) {
	t, err := m.providers.Verify(ctx, is, token)
	if err != nil {
		return core.Caller{}, err
	}
	name := userNameIn(is, t.Claims)
	if name == "" || len(name) > maxName {
		return core.Caller{}, refuse("the identity provider's token names no user, or one whose name cannot be used here")
	}
	// Getting the keys may have taken its time.
	d := m.view().Directory
	if now, ok := d.IssuerByURL(is.URL); !ok || !now.Enabled || now.ID != is.ID || now.Revision != is.Revision {
		return core.Caller{}, refuse(badToken)
	}
	if _, known := d.UserByName(is.OrgID, name); !known && is.AutoCreate {
		if err := m.welcome(ctx, is, name, t.Claims); err != nil {
			return core.Caller{}, err
		}
		d = m.view().Directory
	}
	u, _ := d.UserByName(is.OrgID, name)
	c, ok := d.Caller(u.ID)
	if !ok {
		return core.Caller{}, refuse("the identity provider's token names a user whom the gateway does not know, or who is disabled")
	}
	m.guests.put(strings.Clone(token), &guest{
		url: is.URL, issuer: is.ID, revision: is.Revision, user: strings.Clone(name), receipt: t.Receipt(),
	})
	return c, nil
}

// userNameIn gives the name of the user that the claims are about, or "". An
// address that the provider says it has not verified names nobody.
func userNameIn(is core.Issuer, c oidc.Claims) string {
	const email = "email"
	names := []string{"preferred_username", email, "sub"}
	if is.UserClaim != "" {
		names = []string{is.UserClaim}
	}
	for _, claim := range names {
		if claim == email && c.False("email_verified") {
			continue
		}
		if name := c.Text(claim); name != "" {
			return name
		}
	}
	return ""
}

// welcome makes a user who is seen for the first time. One is made at a time,
// so that many calls at once make one user.
func (m *Identity) welcome(ctx context.Context, is core.Issuer, name string, c oidc.Claims) error {
	const later = "the user that the identity provider's token names is just being made: try again in a moment"
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case m.creating <- struct{}{}:
		defer func() { <-m.creating }()
	case <-ctx.Done():
		return core.WrapError(core.Unavailable, ctx.Err(), later)
	}
	d := m.view().Directory
	if _, known := d.UserByName(is.OrgID, name); known {
		return nil
	}
	if o, ok := d.Org(is.OrgID); !ok || !o.Enabled {
		return refuse(badToken)
	}
	roles, err := m.rolesIn(ctx, is, c)
	if err != nil {
		return err
	}
	u, err := m.cat.Users.Create(ctx, "", core.User{
		Name: name, FullName: short(c.Text("name")), Email: short(c.Text("email")),
		OrgID: is.OrgID, RoleIDs: roles, Enabled: true,
	})
	switch core.ErrorCode(err) {
	case core.Conflict:
		return core.WrapError(core.Unavailable, err, later) // another node was first
	case core.Invalid:
		return core.WrapError(core.Unauthenticated, err, "the user that the identity provider's token names cannot be made here: %s", core.ErrorMessage(err))
	}
	if err == nil {
		m.opts.Log.Info("a user was made on first sight", "user", u.ID, "name", u.Name, "issuer", is.ID)
	}
	return err
}

// rolesIn gives the roles that the claims name, or else those that the issuer
// was registered with.
func (m *Identity) rolesIn(ctx context.Context, is core.Issuer, c oidc.Claims) ([]string, error) {
	const most = 100
	var ids []string
	if is.RoleClaim != "" {
		names := c.Texts(is.RoleClaim)
		for _, name := range names[:min(len(names), most)] {
			id, err := m.roleByName(ctx, is.OrgID, name)
			if err != nil {
				return nil, err
			}
			if id != "" {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return is.DefaultRoleIDs, nil
	}
	return ids, nil
}

// roleByName gives the id of an organisation's own role of that name, or else
// of one known to all, or "".
func (m *Identity) roleByName(ctx context.Context, orgID, name string) (string, error) {
	if name == "" || len(name) > maxName {
		return "", nil
	}
	for _, owner := range []string{orgID, ""} {
		r, err := m.cat.Roles.ByUnique(ctx, "name/"+owner+"/"+strings.ToLower(name))
		switch {
		case err == nil && r.OrgID == owner:
			return r.ID, nil
		case err != nil && core.ErrorCode(err) != core.NotFound:
			return "", err
		}
	}
	return "", nil
}

// short gives a text that is to be shown, or "" if it is none.
func short(s string) string {
	const most = 256 // bytes
	if len(s) > most || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return strings.Clone(s)
}
