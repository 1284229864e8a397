package core

import (
	"iter"
	"slices"
)

// SystemOrg is the name of the organisation of the system administrators.
const SystemOrg = "System"

// SystemOrgID is its id. Clients of the vendor's product know it by heart.
const SystemOrgID = "urn:vcloud:org:a93c9db9-7471-3192-8d09-a8f7eeda85f9"

// Caller is who makes a call. The zero Caller is nobody.
type Caller struct {
	UserID    string // urn:vcloud:user:<uuid>
	UserName  string
	OrgID     string // urn:vcloud:org:<uuid>
	OrgName   string
	Roles     []Ref // not to be changed
	Rights    Rights
	SessionID string // the session the credential belongs to; empty for none
	TokenID   string // the API token the credential came from; empty for none
}

// Known reports whether there is a caller at all.
func (c Caller) Known() bool { return c.UserID != "" }

// Provider reports whether the caller is a member of the System organisation:
// a system administrator.
func (c Caller) Provider() bool { return c.Known() && c.OrgID == SystemOrgID }

// Equal reports whether both are the same in everything, rights included.
func (c Caller) Equal(o Caller) bool {
	return c.UserID == o.UserID && c.UserName == o.UserName && c.OrgID == o.OrgID && c.OrgName == o.OrgName &&
		c.SessionID == o.SessionID && c.TokenID == o.TokenID && slices.Equal(c.Roles, o.Roles) && c.Rights.Equal(o.Rights)
}

// Ref names an entity.
type Ref struct{ ID, Name string }

// Rights is the set of rights that a caller holds through roles. It never
// changes. The zero Rights is empty.
type Rights struct {
	all   bool
	names []string // sorted
	ids   []string // sorted
}

// AllRights is the set that holds every right, present and future.
func AllRights() Rights { return Rights{all: true} }

// RightsOf is the set of the given rights.
func RightsOf(refs ...Ref) Rights {
	r := Rights{}
	for _, ref := range refs {
		r.names = append(r.names, ref.Name)
		r.ids = append(r.ids, ref.ID)
	}
	slices.Sort(r.names)
	slices.Sort(r.ids)
	r.names, r.ids = slices.Compact(r.names), slices.Compact(r.ids)
	return r
}

// Equal reports whether both are the same set.
func (r Rights) Equal(o Rights) bool {
	return r.all == o.all && slices.Equal(r.names, o.names) && slices.Equal(r.ids, o.ids)
}

// Has reports whether the right of that name is held.
func (r Rights) Has(name string) bool {
	if r.all {
		return true
	}
	_, ok := slices.BinarySearch(r.names, name)
	return ok
}

// HasID reports whether the right with that id is held.
func (r Rights) HasID(id string) bool {
	if r.all {
		return true
	}
	_, ok := slices.BinarySearch(r.ids, id)
	return ok
}

// All reports whether every right is held.
func (r Rights) All() bool { return r.all }

// Names returns the names held, sorted; nil for AllRights, which cannot be
// listed from here.
func (r Rights) Names() []string { return slices.Clone(r.names) }

// IDs yields the ids of the rights held; nothing for AllRights.
func (r Rights) IDs() iter.Seq[string] { return slices.Values(r.ids) }
