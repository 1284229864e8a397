package cloudapi

import (
	"context"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

// actor is who makes a call, and the organisation that it is about.
type actor struct {
	core.Caller
	// org is the id of the organisation that the call is limited to: the one of
	// the tenant context, or the caller's own. It is empty for a system
	// administrator who names none, and who sees all.
	org string
}

type actorKey struct{}

// actorOf returns who makes the call; nobody on the way in to log in.
func actorOf(c echo.Context) actor {
	by, _ := c.Request().Context().Value(actorKey{}).(actor)
	return by
}

// within reports whether the call may be about what belongs to that
// organisation.
func (by actor) within(orgID string) bool { return by.org == "" || by.org == orgID }

// home is the organisation of what the caller makes without naming one.
func (by actor) home() string {
	if by.org == "" {
		return by.OrgID
	}
	return by.org
}

// may reports whether the caller holds one of the rights.
func (by actor) may(rights ...string) bool {
	if by.Provider() {
		return true
	}
	for _, r := range rights {
		if by.Rights.Has(r) {
			return true
		}
	}
	return false
}

// needs is the error of a caller without a right.
func (by actor) needs(right string) error {
	if by.may(right) {
		return nil
	}
	return core.Errorf(core.Forbidden, "this needs the right %q: ask an administrator of your organisation", right)
}

// tenantContext is the header in which a call names the organisation that it
// is about.
const tenantContext = "X-VMWARE-VCLOUD-TENANT-CONTEXT"

// inContext reads the tenant context. Only system administrators may name
// another organisation than their own.
func (a *cloud) inContext(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		by := actor{Caller: api.Caller(c)}
		if !by.Provider() {
			by.org = by.OrgID
		}
		named, err := namedOrg(r.Header.Values(tenantContext))
		if err != nil {
			return err
		}
		if named != "" {
			// One text for organisations that exist and those that do not.
			if _, known := a.Live.View().Directory.Org(named); !known || !by.within(named) {
				return core.Errorf(core.Forbidden, "header %s: there is no organisation %q, or you may not act on it", tenantContext, named)
			}
			by.org = named
		}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), actorKey{}, by)))
		return next(c)
	}
}

// namedOrg gives the id in the tenant context: a bare uuid or a URN.
func namedOrg(values []string) (string, error) {
	id := ""
	for _, v := range values {
		uuid := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(v), core.OrgPrefix))
		switch {
		case uuid == "":
		case !core.IsUUID(uuid), id != "" && id != core.OrgPrefix+uuid:
			return "", core.Errorf(core.Invalid, "header %s: the id of one organisation is needed", tenantContext)
		default:
			id = core.OrgPrefix + uuid
		}
	}
	return id, nil
}

// covers reports whether the caller holds all that the roles hold. Nobody can
// give, or take over, more than that. Roles of other organisations are for the
// catalog to refuse, as if they did not exist.
func (a *cloud) covers(by actor, roleIDs []string) bool {
	d := a.Live.View().Directory
	for _, id := range roleIDs {
		r, ok := d.Role(id)
		if !ok || r.OrgID != "" && r.OrgID != by.OrgID {
			continue
		}
		if r.AllRights && !by.Rights.All() || !a.holds(by, r.RightIDs) {
			return false
		}
	}
	return true
}

// holds reports whether the caller holds the rights; those that do not exist
// are no matter.
func (a *cloud) holds(by actor, rightIDs []string) bool {
	d := a.Live.View().Directory
	for _, id := range rightIDs {
		if _, ok := d.Right(id); ok && !by.Rights.HasID(id) {
			return false
		}
	}
	return true
}

// checkID refuses what cannot be the id of an entity.
func checkID(field, prefix, id string) error {
	if !strings.HasPrefix(id, prefix) || !core.IsUUID(id[len(prefix):]) {
		return core.Errorf(core.Invalid, "%s: the id %.100q is none; %s<uuid> is needed", field, id, prefix)
	}
	return nil
}

// idsOf gives the ids of references, each of that kind.
func idsOf(field, prefix string, refs []reference) ([]string, error) {
	ids := make([]string, 0, len(refs))
	for _, r := range refs {
		if err := checkID(field, prefix, r.ID); err != nil {
			return nil, err
		}
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// orgFor is the organisation of what is made: the one that the form names,
// else that of the call.
func orgFor(by actor, field string, named *reference) (string, error) {
	if named == nil {
		return by.home(), nil
	}
	return named.ID, checkID(field, core.OrgPrefix, named.ID)
}

// sameOrg refuses to move what belongs to an organisation.
func sameOrg(field string, named *reference, id string) error {
	if named != nil && named.ID != id {
		return core.Errorf(core.Invalid, "%s: it cannot be changed; make a new one in the other organisation", field)
	}
	return nil
}

// orgRef names an organisation.
func (a *cloud) orgRef(id string) *reference {
	o, _ := a.Live.View().Directory.Org(id)
	return &reference{Name: o.Name, ID: id}
}

// roleRefs names roles. Those that are gone are left out.
func (a *cloud) roleRefs(ids []string) []reference {
	out := make([]reference, 0, len(ids))
	d := a.Live.View().Directory
	for _, id := range ids {
		if r, ok := d.Role(id); ok {
			out = append(out, reference{Name: r.Name, ID: id})
		}
	}
	return out
}
