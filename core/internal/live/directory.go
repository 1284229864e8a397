package live

import (
	"strings"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/cow"
)

// Directory is who there is: organisations, users, roles, rights, sessions,
// tokens and signing keys, as of one moment. It never changes.
type Directory struct {
	people   *people
	sessions cow.Map[string, core.Session]
	tokens   cow.Map[string, core.Token]
	bySecret cow.Map[string, string] // secret hash → token id
	keys     map[string]core.SigningKey
	issuers  map[string]core.Issuer // by URL
}

// callerCache holds callers that were worked out: user id → core.Caller
// without a session.
type callerCache struct{ sync.Map }

// Org returns the organisation with that id.
func (d *Directory) Org(id string) (core.Org, bool) {
	return d.people.orgs.Get(id)
}

// OrgByName returns the organisation of that name, whatever its case.
func (d *Directory) OrgByName(name string) (core.Org, bool) {
	return d.people.orgNames.Get(strings.ToLower(name))
}

// Orgs returns all organisations, in no order.
func (d *Directory) Orgs() []core.Org {
	out := make([]core.Org, 0, d.people.orgs.Len())
	for _, o := range d.people.orgs.All() {
		out = append(out, o)
	}
	return out
}

// User returns the user with that id.
func (d *Directory) User(id string) (core.User, bool) { return d.people.users.Get(id) }

// UserByName returns an organisation's user of that name, whatever its case.
func (d *Directory) UserByName(orgID, name string) (core.User, bool) {
	return d.people.userNames.Get(userName(orgID, name))
}

func userName(orgID, name string) string { return orgID + "/" + strings.ToLower(name) }

// Role returns the role with that id.
func (d *Directory) Role(id string) (core.Role, bool) {
	return d.people.roles.Get(id)
}

// Right returns the right with that id.
func (d *Directory) Right(id string) (core.Right, bool) { return d.people.rights.Get(id) }

// Rights calls f with every right, in no order.
func (d *Directory) Rights(f func(core.Right)) {
	for _, r := range d.people.rights.All() {
		f(r)
	}
}

// Members tells how many users the organisation has.
func (d *Directory) Members(orgID string) int {
	n, _ := d.people.members.Get(orgID)
	return n
}

// Session returns the session with that id, unless it has expired at now.
func (d *Directory) Session(id string, now time.Time) (core.Session, bool) {
	s, ok := d.sessions.Get(id)
	return s, ok && now.Before(s.Expires)
}

// Token returns the stored token with that id, unless it has expired at now.
func (d *Directory) Token(id string, now time.Time) (core.Token, bool) {
	t, ok := d.tokens.Get(id)
	return t, ok && (t.Expires.IsZero() || now.Before(t.Expires))
}

// TokenBySecret returns the stored token whose secret has that SHA-256. The
// hash of a secret of 128 random bits tells nothing, so looking it up in a
// map gives no timing to learn from.
func (d *Directory) TokenBySecret(hash []byte, now time.Time) (core.Token, bool) {
	id, ok := d.bySecret.Get(string(hash))
	if !ok {
		return core.Token{}, false
	}
	return d.Token(id, now)
}

// Key returns the signing key with that kid.
func (d *Directory) Key(kid string) (core.SigningKey, bool) {
	k, ok := d.keys[kid]
	return k, ok
}

// Keys returns all signing keys, in no order.
func (d *Directory) Keys() []core.SigningKey {
	out := make([]core.SigningKey, 0, len(d.keys))
	for _, k := range d.keys {
		out = append(out, k)
	}
	return out
}

// IssuerByURL returns the OpenID Connect issuer that calls itself url.
func (d *Directory) IssuerByURL(url string) (core.Issuer, bool) {
	i, ok := d.issuers[url]
	return i, ok
}

// Caller returns the user as a caller. It is false for a user that does not
// exist, is disabled, or whose organisation is.
func (d *Directory) Caller(userID string) (core.Caller, bool) {
	if c, ok := d.people.callers.Load(userID); ok {
		return c.(core.Caller), true
	}
	c, ok := d.people.caller(userID)
	if ok {
		d.people.callers.Store(userID, c)
	}
	return c, ok
}
