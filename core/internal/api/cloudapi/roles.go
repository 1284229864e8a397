package cloudapi

import (
	"context"
	"iter"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// roleForm is a role in JSON.
type roleForm struct {
	ID          string  `json:"id"`
	Name        *string `json:"name"`
	Description *string `json:"description"`
	BundleKey   *string `json:"bundleKey"`
	ReadOnly    bool    `json:"readOnly"`
}

func (a *cloud) roles() resource[core.Role, roleForm] {
	return resource[core.Role, roleForm]{
		path: rolesPath, noun: "role", table: a.Catalog.Roles,
		id:      func(r core.Role) string { return r.ID },
		meta:    func(r core.Role) core.Meta { return r.Meta },
		shows:   showRole,
		permits: a.permitRole,
		attributes: attributes[core.Role]{
			"id":          text(func(r core.Role) string { return r.ID }),
			"name":        text(func(r core.Role) string { return r.Name }),
			"description": text(func(r core.Role) string { return r.Description }),
			"bundleKey":   text(func(r core.Role) string { return r.BundleKey }),
			"readOnly":    truth(func(r core.Role) bool { return r.ReadOnly }),
		},
		encode: encodeRole,
		build: func(by actor, in roleForm) (core.Role, error) {
			return mergeRole(in, core.Role{OrgID: by.home()})
		},
		merge: mergeRole,
	}
}

// showRole shows callers what they hold, and the other roles of the
// organisation and those known to all to whoever has a right to see them.
func showRole(by actor, r core.Role) bool {
	if r.OrgID != "" && !by.within(r.OrgID) {
		return false
	}
	return by.may(catalog.RightRoleView, catalog.RightRoleManage) ||
		slices.ContainsFunc(by.Roles, func(held core.Ref) bool { return held.ID == r.ID })
}

func (a *cloud) permitRole(by actor, old, next *core.Role) error {
	if by.Provider() {
		return nil
	}
	if err := by.needs(catalog.RightRoleManage); err != nil {
		return err
	}
	for _, r := range []*core.Role{old, next} {
		switch {
		case r == nil:
		case r.OrgID != by.OrgID:
			return core.Errorf(core.Forbidden, "role %s is not of your organisation: only system administrators may change it", r.Name)
		case r.AllRights || !a.holds(by, r.RightIDs):
			return core.Errorf(core.Forbidden, "role %s holds, or would hold, rights that you do not hold yourself", r.Name)
		}
	}
	return nil
}

func encodeRole(r core.Role) roleForm {
	return roleForm{ID: r.ID, Name: &r.Name, Description: textOrNull(r.Description), BundleKey: textOrNull(r.BundleKey), ReadOnly: r.ReadOnly}
}

func mergeRole(in roleForm, r core.Role) (core.Role, error) {
	r.Name = or(in.Name, r.Name)
	r.Description, r.BundleKey = or(in.Description, ""), or(in.BundleKey, "")
	return r, nil
}

// rightForm is a right in JSON. In what a client sends for a role its id or
// its name counts, and nothing else.
type rightForm struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Description *string      `json:"description"`
	BundleKey   *string      `json:"bundleKey"`
	Category    *string      `json:"category"`
	Namespace   *string      `json:"serviceNamespace"`
	Type        string       `json:"rightType"`
	Implied     *[]reference `json:"impliedRights"`
}

func (a *cloud) rights() resource[core.Right, rightForm] {
	return resource[core.Right, rightForm]{
		path: rightsPath, noun: "right", table: a.Catalog.Rights, fixed: true,
		id:   func(r core.Right) string { return r.ID },
		meta: func(r core.Right) core.Meta { return r.Meta },
		shows: func(by actor, r core.Right) bool {
			return by.may(catalog.RightRoleView, catalog.RightRoleManage) || by.Rights.HasID(r.ID)
		},
		attributes: attributes[core.Right]{
			"id":               text(func(r core.Right) string { return r.ID }),
			"name":             text(func(r core.Right) string { return r.Name }),
			"description":      text(func(r core.Right) string { return r.Description }),
			"bundleKey":        text(func(r core.Right) string { return r.BundleKey }),
			"category":         text(func(r core.Right) string { return r.Category }),
			"serviceNamespace": text(func(r core.Right) string { return r.ServiceNamespace }),
			"rightType":        text(rightType),
		},
		encode: encodeRight,
	}
}

func rightType(r core.Right) string {
	if r.ViewOnly {
		return "VIEW"
	}
	return "MODIFY"
}

func encodeRight(r core.Right) rightForm {
	return rightForm{
		ID: r.ID, Name: r.Name, Description: textOrNull(r.Description), BundleKey: textOrNull(r.BundleKey),
		Category: textOrNull(r.Category), Namespace: textOrNull(r.ServiceNamespace), Type: rightType(r), Implied: &[]reference{},
	}
}

// rightsForm is what a client wants a role to hold. It may be a page as this
// API shows it, of which only the values count.
type rightsForm struct {
	Values       []rightForm    `json:"values"`
	ResultTotal  int            `json:"resultTotal"`
	PageCount    int            `json:"pageCount"`
	Page         int            `json:"page"`
	PageSize     int            `json:"pageSize"`
	Associations jsontext.Value `json:"associations"`
}

// mountRoleRights serves what roles hold. A caller who sees a role sees that.
func (a *cloud) mountRoleRights(e *echo.Echo) {
	roles, rights := handler[core.Role, roleForm]{a, a.roles()}, handler[core.Right, rightForm]{a, a.rights()}
	rights.shows = nil
	h := roleRights{roles, rights}
	a.route(e, rolesPath+"/:id/rights", verbs{
		http.MethodGet:  h.get,
		http.MethodPost: h.change(func(held, given []string) []string { return slices.Concat(held, given) }),
		http.MethodPut:  h.change(func(_, given []string) []string { return given }),
	})
}

type roleRights struct {
	roles  handler[core.Role, roleForm]
	rights handler[core.Right, rightForm]
}

func (h roleRights) get(c echo.Context) error {
	id := itemID(c)
	r, err := h.roles.find(c.Request().Context(), actorOf(c), id)
	if err != nil {
		return h.roles.missing(err, id)
	}
	return h.answer(c, r)
}

// change gives a role the rights that next makes of those it holds and those
// that are given.
func (h roleRights) change(next func(held, given []string) []string) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := itemID(c)
		expect, err := h.roles.expect(c, id)
		if err != nil {
			return err
		}
		in, err := decode[rightsForm](h.roles.cloud, c)
		if err != nil {
			return err
		}
		given, err := h.idsOf(c.Request().Context(), in)
		if err != nil {
			return err
		}
		r, err := h.roles.update(c, id, expect, func(old core.Role) (core.Role, error) {
			r := old
			r.RightIDs = next(old.RightIDs, given)
			return r, nil
		})
		if err != nil {
			return err
		}
		return h.answer(c, r)
	}
}

// idsOf gives the ids of the rights that a client names, by id or else by
// name.
func (h roleRights) idsOf(ctx context.Context, in rightsForm) ([]string, error) {
	if in.Values == nil {
		return nil, core.Errorf(core.Invalid, `values: the rights are missing: {"values":[{"id":"%s<uuid>"}]}`, core.RightPrefix)
	}
	ids := make([]string, 0, len(in.Values))
	for _, v := range in.Values {
		if v.ID == "" && v.Name != "" {
			r, err := h.rights.table.ByUnique(ctx, "name/"+v.Name)
			if core.ErrorCode(err) == core.NotFound {
				return nil, core.WrapError(core.Invalid, err, "values: there is no right named %.130q", v.Name)
			} else if err != nil {
				return nil, err
			}
			v.ID = r.ID
		}
		if err := checkID("values", core.RightPrefix, v.ID); err != nil {
			return nil, err
		}
		ids = append(ids, v.ID)
	}
	return ids, nil
}

// answer shows the page of the role's rights that the query asks for, with the
// tag of the role.
func (h roleRights) answer(c echo.Context, r core.Role) error {
	ctx := c.Request().Context()
	all := h.rights.table.All(ctx)
	if !r.AllRights {
		all = h.held(ctx, r)
	}
	c.Response().Header().Set("ETag", api.ETag(r.Revision))
	return h.rights.answerPage(c, rolesPath+"/"+r.ID+"/rights", all)
}

func (h roleRights) held(ctx context.Context, r core.Role) iter.Seq2[core.Right, error] {
	return func(yield func(core.Right, error) bool) {
		for _, id := range r.RightIDs {
			right, err := h.rights.table.Get(ctx, id)
			if core.ErrorCode(err) == core.NotFound {
				continue // gone since
			}
			if !yield(right, err) || err != nil {
				return
			}
		}
	}
}
