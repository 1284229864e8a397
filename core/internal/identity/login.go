package identity

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
)

// Credentials are what a user logs in with. Remote is the user's address.
type Credentials struct {
	User, Org, Password string
	Remote              netip.Addr
}

// Session is a login that succeeded. Token is the credential for the calls
// that follow.
type Session struct {
	Token  string
	Record core.Session
	Caller core.Caller
}

// maxName bounds the names that can exist; see the catalog.
const maxName = 128

// Login opens a session. It fails with Unauthenticated, always with the same
// text, unless user, organisation and password belong together and are
// enabled; with TooMany after too many failures of that user from that
// address; and with Unavailable or TooMany while too many others log in.
func (m *Identity) Login(ctx context.Context, c Credentials) (Session, error) {
	if c.User == "" || len(c.User) > maxName || len(c.Org) > maxName || c.Password == "" || len(c.Password) > maxPassword {
		return Session{}, refuse(wrongLogin)
	}
	local := atTheMachine(c)
	src := sourceOf(c)
	if !local {
		if wait := m.failures.begin(src); wait > 0 {
			return Session{}, core.Errorf(core.TooMany, "too many failed logins of this user from this address: try again in %.0f seconds", math.Ceil(wait.Seconds()))
		}
	}
	user, err := m.checkPassword(ctx, c, local)
	if core.ErrorCode(err) == core.Unauthenticated {
		m.opts.Log.Info("a login failed", "user", c.User, "org", c.Org, "remote", c.Remote)
		return Session{}, err
	}
	if err != nil {
		m.failures.undo(src)
		return Session{}, err
	}
	m.failures.forget(src)
	return m.open(ctx, user)
}

// atTheMachine reports whether a system administrator logs in from the
// gateway's own machine. No failures, whoever made them, lock that door.
func atTheMachine(c Credentials) bool {
	return c.Remote.Unmap().IsLoopback() && strings.EqualFold(c.Org, core.SystemOrg)
}

// checkPassword gives the user who may log in. It takes the same work whether
// there is such a user or not.
func (m *Identity) checkPassword(ctx context.Context, c Credentials, reserved bool) (user core.User, err error) {
	d := m.view().Directory
	org, known := d.OrgByName(c.Org)
	if known {
		user, known = d.UserByName(org.ID, c.User)
	}
	fits, err := m.passwords.check(ctx, c.Password, user.Password, reserved)
	if err != nil {
		return user, err
	}
	if !fits || !known || !user.Enabled || !org.Enabled {
		return user, refuse(wrongLogin)
	}
	return user, nil
}

// open starts a session of a user whose password was right.
func (m *Identity) open(ctx context.Context, user core.User) (Session, error) {
	// Whoever changes the password or disables the user ends the sessions that
	// there are. This one may have come just after that.
	s, err := m.openFor(ctx, user.ID, "", func(d *live.Directory) bool {
		current, _ := d.User(user.ID)
		return current.Password == user.Password
	})
	if core.ErrorCode(err) == core.Unauthenticated {
		return Session{}, errors.Join(refuse(wrongLogin), err)
	}
	return s, err
}

// openFor starts a session of the user, bound to the API token with that id
// if there is one. Still tells, once the session is stored, whether there is
// reason for it yet; if not, it is ended and the error is Unauthenticated.
func (m *Identity) openFor(ctx context.Context, userID, tokenID string, still func(*live.Directory) bool) (Session, error) {
	if err := m.makeRoom(ctx, userID); err != nil {
		return Session{}, err
	}
	now := m.opts.Now()
	record, err := m.cat.Sessions.Create(ctx, userID, core.Session{UserID: userID, Expires: now.Add(m.opts.SessionTTL).UTC()})
	if core.ErrorCode(err) == core.Invalid {
		return Session{}, refuse(endedSession) // deleted meanwhile
	}
	if err != nil {
		return Session{}, err
	}
	d := m.view().Directory
	caller, ok := d.Caller(userID)
	if !ok || !still(d) {
		return Session{}, errors.Join(refuse(endedSession), m.endSession(ctx, record.ID))
	}
	caller.SessionID, caller.TokenID = record.ID, tokenID
	token, _, err := m.sign(d, m.claimsFor(forSession, caller, now, record.Expires))
	return Session{Token: token, Record: record, Caller: caller}, err
}

// Resolve gives the caller whom a module of the authenticate stage named. It
// fails with Unauthenticated unless there is such a user and both the user and
// the organisation are enabled.
func (m *Identity) Resolve(_ context.Context, c core.Claim) (core.Caller, error) {
	d := m.view().Directory
	if org, ok := d.OrgByName(c.Org); ok {
		if user, ok := d.UserByName(org.ID, c.User); ok {
			if caller, ok := d.Caller(user.ID); ok {
				return caller, nil
			}
		}
	}
	return core.Caller{}, refuse("the call was claimed for a user who does not exist or is disabled")
}
