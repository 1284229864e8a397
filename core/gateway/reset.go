package gateway

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/storage"
)

// Reset is the outcome of ResetPassword.
type Reset struct {
	Password string // the new one
	Enabled  bool   // whether the user may log in with it
}

// ResetPassword gives a user of a store that no gateway has open a password,
// or a generated one when password is empty, and ends the user's sessions.
func ResetPassword(ctx context.Context, store storage.Store, user, org, password string) (r Reset, err error) {
	cat, err := catalog.Open(ctx, store, catalog.Options{})
	if err != nil {
		return r, err
	}
	// Passwords and sessions are looked up in the store: there is no view.
	id := identity.New(cat, func() *live.View { return nil }, identity.Options{})
	defer id.Close()
	o, err := cat.Orgs.ByUnique(ctx, catalog.OrgKey(org))
	if err != nil {
		return r, nobody(err, "organisation", org)
	}
	u, err := cat.Users.ByUnique(ctx, catalog.UserKey(o.ID, user))
	if err != nil {
		return r, nobody(err, "user", user+"@"+org)
	}
	if r.Password = password; password == "" {
		r.Password = rand.Text()
	}
	r.Enabled = u.Enabled && o.Enabled
	return r, id.SetPassword(ctx, u.ID, r.Password)
}

func nobody(err error, noun, name string) error {
	var ours *core.Error
	if errors.As(err, &ours) && ours.Code == core.NotFound {
		return core.Errorf(core.NotFound, "there is no %s %q in this store", noun, name)
	}
	return err
}
