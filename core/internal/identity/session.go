package identity

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/annex-gateway/annex/core"
)

// Logout ends the caller's session. A caller without one, or whose session
// has ended already, is logged out as well.
func (m *Identity) Logout(ctx context.Context, c core.Caller) error {
	if c.SessionID == "" {
		return nil
	}
	return m.endSession(ctx, c.SessionID)
}

func (m *Identity) endSession(ctx context.Context, id string) error {
	err := m.cat.Sessions.Delete(ctx, id, nil)
	if core.ErrorCode(err) == core.NotFound {
		return nil
	}
	return err
}

// RevokeUserSessions ends all sessions of a user.
func (m *Identity) RevokeUserSessions(ctx context.Context, userID string) error {
	return m.endSessions(ctx, m.cat.Sessions.Under(ctx, userID), func(core.Session) bool { return true })
}

func (m *Identity) endSessions(ctx context.Context, list iter.Seq2[core.Session, error], end func(core.Session) bool) error {
	var ids []string
	for s, err := range list {
		if err != nil {
			return err
		}
		if end(s) {
			ids = append(ids, s.ID)
		}
	}
	for _, id := range ids {
		if err := m.endSession(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom ends a user's oldest sessions so that one more is not too many.
// Whoever logs in again and again without logging out fills no memory.
func (m *Identity) makeRoom(ctx context.Context, userID string) error {
	var all []core.Session
	for s, err := range m.cat.Sessions.Under(ctx, userID) {
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	if len(all) < m.opts.SessionsPerUser {
		return nil
	}
	slices.SortFunc(all, func(a, b core.Session) int { return a.Expires.Compare(b.Expires) })
	for _, s := range all[:len(all)-m.opts.SessionsPerUser+1] {
		if err := m.endSession(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// Sweep deletes sessions that have expired, keys whose last token has, and API
// tokens whose secret nobody fetched; and it makes a new signing key when the
// present one has served for its time. The gateway calls it from time to time;
// nothing else depends on how often.
func (m *Identity) Sweep(ctx context.Context) error {
	now := m.opts.Now()
	errs := []error{
		m.endSessions(ctx, m.cat.Sessions.All(ctx), func(s core.Session) bool { return !now.Before(s.Expires) }),
		m.sweepTokens(ctx),
		m.rotateDueKey(ctx, now),
		m.sweepKeys(ctx, now),
	}
	d := m.view().Directory
	m.keys.keep(func(kid string) bool { _, ok := d.Key(kid); return ok })
	m.providers.Keep(func(id, url string) bool {
		is, ok := d.IssuerByURL(url)
		return ok && is.ID == id && is.Enabled
	})
	return errors.Join(errs...)
}
