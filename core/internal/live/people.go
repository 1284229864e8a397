package live

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/cow"
)

// people is the part of a Directory that callers are made of.
type people struct {
	owner            *cow.Batch
	orgs, orgNames   cow.Map[string, core.Org]  // by id; by lower-case name
	users, userNames cow.Map[string, core.User] // by id; by org id and lower-case name
	members          cow.Map[string, int]       // how many users, by org id
	roles            cow.Map[string, core.Role]
	rights           cow.Map[string, core.Right]
	callers          callerCache
}

// applyPeople makes new people, once a batch: nothing that a view shows
// changes in place, and callers are worked out anew.
func (s *state) applyPeople(c catalog.Change) {
	if s.dir.people.owner != s.batch {
		old := s.dir.people
		s.dir.people = &people{
			owner: s.batch, orgs: old.orgs, orgNames: old.orgNames,
			users: old.users, userNames: old.userNames, members: old.members, roles: old.roles, rights: old.rights,
		}
	}
	p := s.dir.people
	switch c.Table {
	case "org":
		p.applyOrg(s.batch, c)
	case "user":
		p.applyUser(s.batch, c)
	case "role":
		replace(&p.roles, s.batch, c)
	case "right":
		replace(&p.rights, s.batch, c)
	}
}

func replace[E any](m *cow.Map[string, E], b *cow.Batch, c catalog.Change) {
	if c.Entity == nil {
		m.Delete(b, c.ID)
	} else {
		m.Set(b, c.ID, c.Entity.(E))
	}
}

func (p *people) applyOrg(b *cow.Batch, c catalog.Change) {
	if old, had := p.orgs.Get(c.ID); had {
		p.orgNames.Delete(b, strings.ToLower(old.Name))
	}
	replace(&p.orgs, b, c)
	if o, ok := p.orgs.Get(c.ID); ok {
		p.orgNames.Set(b, strings.ToLower(o.Name), o)
	}
}

func (p *people) applyUser(b *cow.Batch, c catalog.Change) {
	if old, had := p.users.Get(c.ID); had {
		p.userNames.Delete(b, userName(old.OrgID, old.Name))
		p.count(b, old.OrgID, -1)
	}
	replace(&p.users, b, c)
	if u, ok := p.users.Get(c.ID); ok {
		p.userNames.Set(b, userName(u.OrgID, u.Name), u)
		p.count(b, u.OrgID, 1)
	}
}

func (p *people) count(b *cow.Batch, orgID string, more int) {
	n, _ := p.members.Get(orgID)
	if n += more; n == 0 {
		p.members.Delete(b, orgID)
	} else {
		p.members.Set(b, orgID, n)
	}
}

func (p *people) caller(userID string) (core.Caller, bool) {
	u, ok := p.users.Get(userID)
	if !ok || !u.Enabled {
		return core.Caller{}, false
	}
	o, ok := p.orgs.Get(u.OrgID)
	if !ok || !o.Enabled {
		return core.Caller{}, false
	}
	c := core.Caller{UserID: u.ID, UserName: u.Name, OrgID: o.ID, OrgName: o.Name}
	var held []core.Ref
	for _, id := range u.RoleIDs {
		r, ok := p.roles.Get(id)
		if !ok {
			continue
		}
		c.Roles = append(c.Roles, core.Ref{ID: r.ID, Name: r.Name})
		if r.AllRights {
			c.Rights = core.AllRights()
		}
		for _, id := range r.RightIDs {
			if right, ok := p.rights.Get(id); ok {
				held = append(held, core.Ref{ID: right.ID, Name: right.Name})
			}
		}
	}
	if !c.Rights.All() {
		c.Rights = core.RightsOf(held...)
	}
	return c, true
}
