package match

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/pattern"
)

// Found is a resource class whose URNs have the form that was looked up.
type Found struct {
	Class core.ResourceClass
	ID    string // what the group id of its pattern matched; empty without one
}

// URNs finds resource classes by the URNs of their resources. A copy is a
// picture, as of [cow.Map]. The zero URNs is empty.
type URNs struct {
	byNID cow.Map[string, []urnRule] // by lower-case namespace identifier; slices are never changed
}

type urnRule struct {
	class   core.ResourceClass
	pattern *pattern.Pattern
}

// Set takes in a class that came or changed; one without a URN pattern, or
// whose pattern cannot run, is never found.
func (u *URNs) Set(b *cow.Batch, class core.ResourceClass) {
	if class.NID == "" || class.URNPattern == "" {
		return
	}
	p, err := pattern.Parse(class.URNPattern)
	if err != nil {
		return
	}
	nid := strings.ToLower(class.NID)
	have, _ := u.byNID.Get(nid)
	i, _ := slices.BinarySearchFunc(have, class.ID, func(r urnRule, id string) int { return strings.Compare(r.class.ID, id) })
	u.byNID.Set(b, nid, slices.Insert(slices.Clone(have), i, urnRule{class, p}))
}

// Delete forgets a class, given as it was set.
func (u *URNs) Delete(b *cow.Batch, class core.ResourceClass) {
	nid := strings.ToLower(class.NID)
	have, _ := u.byNID.Get(nid)
	left := slices.DeleteFunc(slices.Clone(have), func(r urnRule) bool { return r.class.ID == class.ID })
	if len(left) == 0 {
		u.byNID.Delete(b, nid)
	} else {
		u.byNID.Set(b, nid, left)
	}
}

// Find returns the classes that urn:<nid>:<nss> may belong to, by class id.
// Anything else is Invalid.
func (u *URNs) Find(urn string) ([]Found, error) {
	nid, nss, err := SplitURN(urn)
	if err != nil {
		return nil, err
	}
	var out []Found
	rules, _ := u.byNID.Get(strings.ToLower(nid))
	for _, r := range rules {
		ok, err := r.pattern.Match(nss)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		id, _, err := r.pattern.Group(nss, "id")
		if err != nil {
			return nil, err
		}
		out = append(out, Found{r.class, id})
	}
	return out, nil
}

// SplitURN takes a URN apart: urn:<nid>:<nss>.
func SplitURN(urn string) (nid, nss string, err error) {
	scheme, rest, ok := strings.Cut(urn, ":")
	nid, nss, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || !strings.EqualFold(scheme, "urn") || nid == "" || nss == "" {
		return "", "", core.Errorf(core.Invalid, "%q is not a URN of the form urn:<nid>:<nss>", urn)
	}
	return nid, nss, nil
}
