package vcloud

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const mediaRights = mediaAdmin + "rights"

// rightPath is where each right is, whoever registered it.
const rightPath = "/api/admin/right"

// rights are those of one service, and what adds to them.
func (c *call) rights(uuid string) verbs {
	with := func(f func(core.System) error) func() error {
		return func() error {
			s, err := c.system(uuid)
			if err != nil {
				return err
			}
			return f(s)
		}
	}
	return verbs{
		http.MethodGet:  with(c.listRights),
		http.MethodPut:  with(c.updateRights),
		http.MethodPost: with(c.addRight),
	}
}

func (c *call) listRights(s core.System) error {
	href := c.serviceHref(s) + "/rights"
	e := vxml.Extension("RightRefs").
		Set("href", href).Set("type", mediaRights+"+xml").
		Add(vxml.Links("up", c.serviceHref(s), mediaService, s.Name)...).
		Add(vxml.Links("add", href, vxml.MediaRight, "")...).
		Lists("right")
	var own []core.Right
	for r, err := range c.Catalog.Rights.All(c.ctx()) {
		if err != nil {
			return err
		}
		if r.ServiceNamespace == s.Namespace {
			own = append(own, r)
		}
	}
	slices.SortFunc(own, func(a, b core.Right) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range own {
		e.Add(vxml.VCloud("Right").
			Set("name", r.Name).Set("id", r.ID).Set("href", c.rightHref(r)).Set("type", vxml.MediaRight+"+xml").
			InList("right", ""))
	}
	return c.answer(http.StatusOK, mediaRights, e)
}

func (c *call) rightHref(r core.Right) string {
	return records.AdminHrefs(api.BaseURL(c)).Of(r.ID)
}

// addRight registers a right of the service, or changes several when the body
// says so.
func (c *call) addRight(s core.System) error {
	body, err := c.body("Right", "UpdateRightsParams")
	if err != nil {
		return err
	}
	if body.Is("UpdateRightsParams") && !body.Is("Right") || body.Child("AddRight") != nil || body.Child("RemoveRight") != nil {
		return c.applyRights(s, body)
	}
	r, err := decodeRight(body, s.Namespace)
	if err != nil {
		return err
	}
	r.OperationKey = body.Attr("operationKey")
	if r, err = c.Catalog.Rights.Create(c.ctx(), c.by, r); err != nil {
		return err
	}
	c.Response().Header().Set("Location", c.rightHref(r))
	return c.showRight(http.StatusCreated, r)
}

// decodeRight reads a right of a service. Its name is stored with the
// service's namespace in front of it; the namespace that a body claims counts
// for nothing.
func decodeRight(body *vxml.Element, namespace string) (core.Right, error) {
	name, prefix := strings.TrimSpace(body.Attr("name")), "{"+namespace+"}:"
	r := core.Right{Name: prefix + strings.TrimPrefix(name, prefix), ServiceNamespace: namespace}
	if err := body.Only(rightFields()...); err != nil {
		return r, err
	}
	applyRight(body, &r)
	return r, nil
}

func rightFields() []string {
	return []string{"Description", "Tasks", "Category", "BundleKey", "ServiceNamespace"}
}

func applyRight(body *vxml.Element, r *core.Right) {
	r.Description, r.Category, r.BundleKey = body.Value("Description"), body.Value("Category"), body.Value("BundleKey")
}

func (c *call) updateRights(s core.System) error {
	body, err := c.body("UpdateRightsParams")
	if err != nil {
		return err
	}
	return c.applyRights(s, body)
}

// applyRights adds and removes rights of a service in one commit.
func (c *call) applyRights(s core.System, params *vxml.Element) error {
	err := c.Catalog.Batch(c.ctx(), c.by, func(b *catalog.Batch) error {
		if _, err := c.Catalog.Systems.GetIn(b, s.ID); err != nil {
			return err
		}
		for _, e := range params.Children {
			var err error
			switch e.Name {
			case "AddRight":
				var r core.Right
				if r, err = decodeRight(e, s.Namespace); err == nil {
					_, err = c.Catalog.Rights.CreateIn(b, r)
				}
			case "RemoveRight":
				err = c.removeRight(b, s, strings.TrimSpace(e.Text))
			case "Link":
			default:
				err = core.Errorf(core.Invalid, "element %q is not known in UpdateRightsParams; known are AddRight, RemoveRight", e.Name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.listRights(s)
}

func (c *call) removeRight(b *catalog.Batch, s core.System, name string) error {
	prefix := "{" + s.Namespace + "}:"
	r, err := c.Catalog.Rights.ByUnique(c.ctx(), "name/"+prefix+strings.TrimPrefix(name, prefix))
	if err != nil && core.ErrorCode(err) == core.NotFound {
		return core.Errorf(core.Invalid, "RemoveRight: %s has no right %q", s.Triplet(), name)
	}
	if err != nil {
		return err
	}
	return c.Catalog.Rights.DeleteIn(b, r.ID)
}

// right routes to one right, of a service or built in.
func (c *call) right(id string) error {
	with := func(f func(core.Right) error) func() error {
		return func() error {
			uuid := strings.ToLower(uuidOf(core.RightPrefix, id))
			if !core.IsUUID(uuid) {
				return core.Errorf(core.NotFound, "there is no right %q", id)
			}
			r, err := c.Catalog.Rights.Get(c.ctx(), core.RightPrefix+uuid)
			if err != nil {
				return err
			}
			return f(r)
		}
	}
	return c.only(verbs{
		http.MethodGet: with(func(r core.Right) error { return c.showRight(http.StatusOK, r) }),
		http.MethodPut: with(c.changeRight),
		http.MethodDelete: with(func(r core.Right) error {
			return c.delete(r.Revision, func(ctx context.Context, expect *uint64) error {
				return c.Catalog.Rights.Delete(ctx, r.ID, expect)
			})
		}),
	})
}

func (c *call) changeRight(r core.Right) error {
	expect, err := c.expect(r.Revision)
	if err != nil {
		return err
	}
	body, err := c.body("Right")
	if err != nil {
		return err
	}
	if err := body.Only(rightFields()...); err != nil {
		return err
	}
	r, err = c.Catalog.Rights.Update(c.ctx(), c.by, r.ID, expect, func(old core.Right) (core.Right, error) {
		applyRight(body, &old)
		return old, nil
	})
	if err != nil {
		return err
	}
	return c.showRight(http.StatusOK, r)
}

func (c *call) showRight(status int, r core.Right) error {
	href := c.rightHref(r)
	e := vxml.VCloud("Right").
		Set("name", r.Name).Set("id", r.ID).Set("href", href).Set("type", vxml.MediaRight+"+xml").
		Set("operationKey", r.OperationKey)
	if r.Custom() {
		e.Add(vxml.Link("remove", href, "", "")).Add(vxml.Links("edit", href, vxml.MediaRight, "")...)
	}
	e.Description(r.Description).
		Leaf("Category", r.Category).
		Leaf("BundleKey", r.BundleKey).
		Leaf("ServiceNamespace", r.ServiceNamespace)
	c.Response().Header().Set("ETag", api.ETag(r.Revision))
	return c.answer(status, vxml.MediaRight, e)
}

func (c *call) clearUnusedRights() error {
	if err := c.Catalog.ClearUnusedRights(c.ctx()); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
