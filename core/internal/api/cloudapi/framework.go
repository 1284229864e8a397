package cloudapi

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// mountFramework serves, in JSON, what the XML API has of authorization and
// discovery: the same catalog, in forms of ours.
func (a *cloud) mountFramework(e *echo.Echo) {
	mount(a, e, a.customRights())
	mount(a, e, a.classes())
	mount(a, e, a.actions())
	mount(a, e, a.rules())
	mount(a, e, a.serviceResources())
	mount(a, e, a.serviceLinks())
	mount(a, e, a.definitions())
	mount(a, e, a.files())
}

// parentID gives the id in a reference to what a new entity belongs to.
func parentID(field, prefix string, to *reference) (string, error) {
	if to == nil || to.ID == "" {
		return "", core.Errorf(core.Invalid, `%s: what it belongs to is missing: {"%s":{"id":"%s…"}}`, field, field, prefix)
	}
	return to.ID, nil
}

// stays refuses to move an entity to another parent.
func stays(field string, to *reference, id string) error {
	if to != nil && to.ID != "" && to.ID != id {
		return core.Errorf(core.Invalid, "%s: it cannot be changed; make a new one there", field)
	}
	return nil
}

// serviceRef names a service as people do.
func (a *cloud) serviceRef(id string) *reference {
	e, ok := a.Live.View().System(id)
	if !ok {
		return &reference{Name: systemOf(id).Triplet(), ID: id}
	}
	if e.System.Kind == core.KindAMQP {
		return &reference{Name: e.System.Name, ID: id}
	}
	return &reference{Name: e.System.Triplet(), ID: id}
}

// nameIt fills in the name of an entity of that table; what is gone has none.
func nameIt[E any](ctx context.Context, t *catalog.Table[E], to *reference, name func(E) string) error {
	if to == nil || to.ID == "" {
		return nil
	}
	e, err := t.Get(ctx, to.ID)
	if core.ErrorCode(err) == core.NotFound {
		return nil
	}
	if err == nil {
		to.Name = name(e)
	}
	return err
}

func (a *cloud) nameClass(ctx context.Context, to *reference) error {
	return nameIt(ctx, a.Catalog.Classes, to, func(k core.ResourceClass) string { return k.Name })
}

// customRightForm is a right, and the service that it is registered for.
type customRightForm struct {
	rightForm
	Service *reference `json:"service,omitzero"`
}

func (a *cloud) customRights() resource[core.Right, customRightForm] {
	rights := a.rights()
	return resource[core.Right, customRightForm]{
		path: customPath, noun: "right", table: a.Catalog.Rights, id: rights.id, meta: rights.meta, attributes: rights.attributes,
		encode: func(r core.Right) customRightForm { return customRightForm{rightForm: encodeRight(r)} },
		build:  a.newRight,
		merge: func(in customRightForm, r core.Right) (core.Right, error) {
			if !r.Custom() {
				return r, core.Errorf(core.Invalid, "right %s is built in and cannot be changed", r.Name)
			}
			return mergeRight(in, r), nil
		},
	}
}

// newRight makes the right of a service, named "{namespace}:name".
func (a *cloud) newRight(_ actor, in customRightForm) (r core.Right, err error) {
	id, err := parentID("service", core.ServicePrefix, in.Service)
	if err != nil {
		return r, err
	}
	e, ok := a.Live.View().System(id)
	switch {
	case !ok || e.System.IsEndpoint():
		return r, core.Errorf(core.Invalid, "service: there is no external service %q", id)
	case in.Name == "":
		return r, core.Errorf(core.Invalid, "name: a right needs one")
	}
	return mergeRight(in, customRight(e.System.Namespace, in.Name)), nil
}

func customRight(namespace, name string) core.Right {
	return core.Right{Name: "{" + namespace + "}:" + name, ServiceNamespace: namespace}
}

func mergeRight(in customRightForm, r core.Right) core.Right {
	r.Description, r.Category, r.BundleKey = or(in.Description, ""), or(in.Category, ""), or(in.BundleKey, "")
	return r
}

// classForm is a resource class in JSON.
type classForm struct {
	ID          string     `json:"id"`
	Service     *reference `json:"service"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	MimeType    string     `json:"mimeType"`
	URLTemplate *string    `json:"urlTemplate"`
	NID         *string    `json:"nid"`
	URNPattern  *string    `json:"urnPattern"`
}

func (a *cloud) classes() resource[core.ResourceClass, classForm] {
	return resource[core.ResourceClass, classForm]{
		path: classesPath, noun: "resource class", table: a.Catalog.Classes,
		id:   func(k core.ResourceClass) string { return k.ID },
		meta: func(k core.ResourceClass) core.Meta { return k.Meta },
		attributes: attributes[core.ResourceClass]{
			"id":         text(func(k core.ResourceClass) string { return k.ID }),
			"name":       text(func(k core.ResourceClass) string { return k.Name }),
			"service.id": text(func(k core.ResourceClass) string { return k.System }),
			"mimeType":   text(func(k core.ResourceClass) string { return k.MimeType }),
			"nid":        text(func(k core.ResourceClass) string { return k.NID }),
		},
		encode: func(k core.ResourceClass) classForm {
			return classForm{
				ID: k.ID, Service: a.serviceRef(k.System), Name: k.Name, Description: textOrNull(k.Description), MimeType: k.MimeType,
				URLTemplate: textOrNull(k.URLTemplate), NID: textOrNull(k.NID), URNPattern: textOrNull(k.URNPattern),
			}
		},
		build: func(_ actor, in classForm) (k core.ResourceClass, err error) {
			if k.System, err = parentID("service", core.ServicePrefix, in.Service); err != nil {
				return k, err
			}
			return mergeClass(in, k)
		},
		merge: mergeClass,
	}
}

func mergeClass(in classForm, k core.ResourceClass) (core.ResourceClass, error) {
	k.Name, k.Description, k.MimeType = in.Name, or(in.Description, ""), in.MimeType
	k.URLTemplate, k.NID, k.URNPattern = or(in.URLTemplate, ""), or(in.NID, ""), or(in.URNPattern, "")
	return k, stays("service", in.Service, k.System)
}

// actionForm is a resource class action in JSON.
type actionForm struct {
	ID          string     `json:"id"`
	Class       *reference `json:"resourceClass"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	Method      string     `json:"httpMethod"`
	URLPattern  string     `json:"urlPattern"`
}

func (a *cloud) actions() resource[core.ResourceClassAction, actionForm] {
	return resource[core.ResourceClassAction, actionForm]{
		path: actionsPath, noun: "resource class action", table: a.Catalog.Actions,
		id:   func(x core.ResourceClassAction) string { return x.ID },
		meta: func(x core.ResourceClassAction) core.Meta { return x.Meta },
		attributes: attributes[core.ResourceClassAction]{
			"id":               text(func(x core.ResourceClassAction) string { return x.ID }),
			"name":             text(func(x core.ResourceClassAction) string { return x.Name }),
			"resourceClass.id": text(func(x core.ResourceClassAction) string { return x.Class }),
			"httpMethod":       text(func(x core.ResourceClassAction) string { return x.HTTPMethod }),
		},
		encode: func(x core.ResourceClassAction) actionForm {
			return actionForm{
				ID: x.ID, Class: &reference{ID: x.Class}, Name: x.Name, Description: textOrNull(x.Description),
				Method: x.HTTPMethod, URLPattern: x.URLPattern,
			}
		},
		names: func(ctx context.Context, out *actionForm) error { return a.nameClass(ctx, out.Class) },
		build: func(_ actor, in actionForm) (x core.ResourceClassAction, err error) {
			if x.Class, err = parentID("resourceClass", core.ClassPrefix, in.Class); err != nil {
				return x, err
			}
			return mergeAction(in, x)
		},
		merge: mergeAction,
	}
}

func mergeAction(in actionForm, x core.ResourceClassAction) (core.ResourceClassAction, error) {
	x.Name, x.Description, x.HTTPMethod, x.URLPattern = in.Name, or(in.Description, ""), in.Method, in.URLPattern
	return x, stays("resourceClass", in.Class, x.Class)
}
