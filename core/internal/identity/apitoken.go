package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Grant is what whoever logs in with an API token gets: a session, and the
// secret to open the next one with, which stays the same.
type Grant struct {
	Session
	RefreshToken string
	ExpiresIn    time.Duration
}

// registrationTTL is how long a registered API token waits for its secret to
// be fetched. Until then it opens nothing; after that it is swept away.
const registrationTTL = 24 * time.Hour

// RegisterAPIToken begins an API token of the caller: a token of type REFRESH
// without a secret. Org must be the caller's own organisation.
func (m *Identity) RegisterAPIToken(ctx context.Context, c core.Caller, org, name string) (core.Token, error) {
	switch {
	case !c.Known():
		return core.Token{}, refuse(noCredential)
	case !strings.EqualFold(org, c.OrgName):
		return core.Token{}, core.Errorf(core.Forbidden, "you are a member of the organisation %s: register API tokens there", c.OrgName)
	case c.TokenID != "":
		return core.Token{}, core.Errorf(core.Forbidden, noTokenByToken)
	}
	if err := m.roomForToken(ctx, c.UserID); err != nil {
		return core.Token{}, err
	}
	return m.cat.Tokens.Create(ctx, c.UserID, core.Token{
		Name: name, Type: core.TokenRefresh, UserID: c.UserID, Expires: m.opts.Now().Add(registrationTTL).UTC(),
	})
}

// roomForToken refuses one API token too many.
func (m *Identity) roomForToken(ctx context.Context, userID string) error {
	n := 0
	for _, err := range m.cat.Tokens.Under(ctx, userID) {
		if err != nil {
			return err
		}
		if n++; n >= m.opts.TokensPerUser {
			return core.Errorf(core.Conflict, "you have %d API tokens, and that is how many one user may have: delete one that is not needed", n)
		}
	}
	return nil
}

// ActivateAPIToken gives a registered API token its secret, once, and a first
// session. The assertion is a token of the same user's login: neither one that
// a service was lent for a call nor one that an API token opened can make a
// lasting credential. A credential that is no good is Unauthenticated, a
// client that is none, or has its secret already, Invalid.
func (m *Identity) ActivateAPIToken(ctx context.Context, org, assertion, clientID string) (Grant, error) {
	caller, login, err := m.holderAnd(ctx, assertion)
	switch {
	case err != nil:
		return Grant{}, err
	case !strings.EqualFold(org, caller.OrgName):
		return Grant{}, refuse(badGrant)
	case !login || caller.TokenID != "":
		return Grant{}, core.Errorf(core.Forbidden, noTokenByToken)
	case !core.IsUUID(clientID):
		return Grant{}, noClient(clientID)
	}
	id := core.TokenPrefix + clientID
	pending, err := m.cat.Tokens.Get(ctx, id)
	if err == nil {
		err = canActivate(pending, caller, clientID, m.opts.Now())
	}
	if core.ErrorCode(err) == core.NotFound {
		return Grant{}, noClient(clientID)
	} else if err != nil {
		return Grant{}, err
	}
	// The session comes first: a secret that is stored and not handed over
	// would make the client useless.
	s, err := m.openFor(ctx, caller.UserID, id, func(*live.Directory) bool { return true })
	if err != nil {
		return Grant{}, err
	}
	secret := base64.RawURLEncoding.EncodeToString(randomBytes(secretBytes))
	hash := sha256.Sum256([]byte(secret))
	_, err = m.cat.Tokens.Update(ctx, caller.UserID, id, nil, func(t core.Token) (core.Token, error) {
		if err := canActivate(t, caller, clientID, m.opts.Now()); err != nil {
			return t, err
		}
		t.SecretHash, t.Expires = hash[:], time.Time{}
		return t, nil
	})
	if err != nil {
		if core.ErrorCode(err) == core.NotFound {
			err = noClient(clientID)
		}
		return Grant{}, errors.Join(err, m.endSession(ctx, s.Record.ID))
	}
	return m.grant(s, secret), nil
}

// canActivate returns why a token cannot be given its secret, or nil.
func canActivate(t core.Token, c core.Caller, clientID string, now time.Time) error {
	switch {
	case t.Type != core.TokenRefresh || t.UserID != c.UserID:
		return noClient(clientID)
	case len(t.SecretHash) > 0:
		return core.Errorf(core.Invalid, "client_id %q: its refresh token has been given out already, and is shown only once; register another client", clientID)
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return core.Errorf(core.Invalid, "client_id %q: it was registered too long ago; register another client", clientID)
	}
	return nil
}

// noClient says the same of a client that does not exist and of another
// user's.
func noClient(clientID string) error {
	return core.Errorf(core.Invalid, "client_id %.64q: you have registered no such client", clientID)
}

// RefreshAPIToken opens a session with the secret of an API token. The session
// ends with the token. It fails with Unauthenticated, always with the same
// text, unless the secret is that of a user of the organisation and both are
// enabled.
func (m *Identity) RefreshAPIToken(ctx context.Context, org, secret string) (Grant, error) {
	if secret == "" || len(secret) > maxSecret {
		return Grant{}, refuse(badGrant)
	}
	hash := sha256.Sum256([]byte(secret))
	usable := func(d *live.Directory) (core.Token, bool) {
		t, ok := d.TokenBySecret(hash[:], m.opts.Now())
		return t, ok && t.Type == core.TokenRefresh && subtle.ConstantTimeCompare(t.SecretHash, hash[:]) == 1
	}
	d := m.view().Directory
	t, ok := usable(d)
	if !ok {
		return Grant{}, refuse(badGrant)
	}
	if c, ok := d.Caller(t.UserID); !ok || !strings.EqualFold(org, c.OrgName) {
		return Grant{}, refuse(badGrant)
	}
	s, err := m.openFor(ctx, t.UserID, t.ID, func(d *live.Directory) bool {
		now, ok := usable(d)
		return ok && now.ID == t.ID
	})
	if core.ErrorCode(err) == core.Unauthenticated {
		return Grant{}, errors.Join(refuse(badGrant), err)
	} else if err != nil {
		return Grant{}, err
	}
	return m.grant(s, secret), nil
}

func (m *Identity) grant(s Session, secret string) Grant {
	return Grant{Session: s, RefreshToken: secret, ExpiresIn: s.Record.Expires.Sub(m.opts.Now())}
}

// sweepTokens deletes API tokens whose secret nobody fetched in time.
func (m *Identity) sweepTokens(ctx context.Context) error {
	var late []core.Token
	now := m.opts.Now()
	for t, err := range m.cat.Tokens.All(ctx) {
		if err != nil {
			return err
		}
		if t.Type == core.TokenRefresh && !t.Expires.IsZero() && !now.Before(t.Expires) {
			late = append(late, t)
		}
	}
	for _, t := range late {
		// One that was activated meanwhile has another revision and stays.
		err := m.cat.Tokens.Delete(ctx, t.ID, &t.Revision)
		if code := core.ErrorCode(err); err != nil && code != core.NotFound && code != core.Stale {
			return err
		}
	}
	return nil
}
