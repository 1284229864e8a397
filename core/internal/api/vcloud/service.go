package vcloud

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const (
	mediaService  = mediaAdmin + "service"
	mediaServices = mediaAdmin + "extensionServices"
)

// vmwExtension is where clients start that look for the registrations.
func (c *call) vmwExtension() error {
	href := c.hrefs.To(extensionPath)
	return c.answer(http.StatusOK, vxml.MediaVMWExtension, vxml.Extension("VMWExtension").
		Set("href", href).
		Set("type", vxml.MediaVMWExtension+"+xml").
		Add(vxml.Links("down", c.hrefs.To(servicePath), mediaServices, "")...))
}

func (c *call) extensionServices() error {
	href := c.hrefs.To(servicePath)
	return c.answer(http.StatusOK, mediaServices, vxml.Extension("ExtensionServices").
		Set("href", href).
		Set("type", mediaServices+"+xml").
		Add(vxml.Links("up", c.hrefs.To(extensionPath), vxml.MediaVMWExtension, "")...).
		Add(vxml.Links("add", href, mediaService, "")...).
		Add(vxml.Links("down:services", href+"/query", records.Formats()[0].Media, "")...))
}

// services lists the services of all kinds.
func (c *call) services() error {
	of := records.AdminServices()
	return c.list(of.Type, rowsOf(c.allServices(), of.Row), false)
}

func (c *call) allServices() iter.Seq2[core.System, error] {
	return func(yield func(core.System, error) bool) {
		for s, err := range c.Catalog.Systems.All(c.ctx()) {
			if err == nil && s.IsEndpoint() {
				continue
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// serviceItem is what can be done with one service, of whatever kind.
func (c *call) serviceItem(uuid string) verbs {
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
		http.MethodGet: with(func(s core.System) error { return c.showService(http.StatusOK, s) }),
		http.MethodPut: with(c.changeService),
		http.MethodDelete: with(func(s core.System) error {
			return c.delete(s.Revision, func(ctx context.Context, expect *uint64) error {
				return c.Catalog.Systems.Delete(ctx, s.ID, expect)
			})
		}),
	}
}

// serviceFields are a service's own children, in the order of the schema.
func serviceFields() []string {
	return []string{
		"Description", "Tasks", "Namespace", "Enabled", "AuthorizationEnabled", "RoutingKey", "Priority", "Exchange", "Vendor",
	}
}

// serviceBody reads a service. What hangs below it may stand in it.
func (c *call) serviceBody() (*vxml.Element, error) {
	body, err := c.body("Service")
	if err != nil {
		return nil, err
	}
	known := serviceFields()
	for _, child := range c.children("service") {
		known = append(known, child.holder())
	}
	return body, body.Only(known...)
}

// createService registers a service of the older flavour, which listens on
// AMQP, with all that stands in it.
func (c *call) createService() error {
	body, err := c.serviceBody()
	if err != nil {
		return err
	}
	s := core.System{Kind: core.KindAMQP, Namespace: body.Value("Namespace"), Priority: core.DefaultPriority}
	s.OperationKey = body.Attr("operationKey")
	if s, err = applyService(body, s); err != nil {
		return err
	}
	var made core.System
	err = c.Catalog.Batch(c.ctx(), c.by, func(b *catalog.Batch) error {
		if made, err = c.Catalog.Systems.CreateIn(b, s); err != nil || made.Revision != 0 {
			return err
		}
		return c.createNested(b, c.children("service"), body, made.ID)
	})
	if err != nil {
		return err
	}
	if made, err = c.Catalog.Systems.Get(c.ctx(), made.ID); err != nil {
		return err
	}
	c.Response().Header().Set("Location", c.serviceHref(made))
	return c.showService(http.StatusCreated, made)
}

// changeService replaces what stands in the body. What is left out stays, and
// so do filters, links and all else that hangs below the service.
func (c *call) changeService(s core.System) error {
	expect, err := c.expect(s.Revision)
	if err != nil {
		return err
	}
	body, err := c.serviceBody()
	if err != nil {
		return err
	}
	s, err = c.Catalog.Systems.Update(c.ctx(), c.by, s.ID, expect, func(old core.System) (core.System, error) {
		if n := body.Value("Namespace"); n != "" && n != old.Namespace {
			return old, core.Errorf(core.Invalid, "Namespace %s: that of a service cannot be changed, and this one has %s", n, old.Namespace)
		}
		return applyService(body, old)
	})
	if err != nil {
		return err
	}
	return c.showService(http.StatusOK, s)
}

// applyService puts what stands in the body into s.
func applyService(body *vxml.Element, s core.System) (core.System, error) {
	if body.Child("Description") != nil {
		s.Description = body.Value("Description")
	}
	for name, into := range map[string]*bool{"Enabled": &s.Enabled, "AuthorizationEnabled": &s.AuthorizationEnabled} {
		if err := boolean(body, name, into); err != nil {
			return s, err
		}
	}
	if text := body.Value("Priority"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return s, core.Errorf(core.Invalid, "Priority %q: a number from 0 (last) to 100 (first) is needed", text)
		}
		s.Priority = n
	}
	exchange, key := body.Value("Exchange"), body.Value("RoutingKey")
	if s.Kind != core.KindAMQP {
		if exchange != "" || key != "" {
			return s, core.Errorf(core.Invalid, "Exchange and RoutingKey belong to services on AMQP, and %s is of kind %s", s.Triplet(), s.Kind)
		}
		return s, nil // its name and its vendor are part of what it is
	}
	set, err := core.DecodeSettings[core.AMQPSettings](s)
	if err != nil {
		return s, err
	}
	replace(&set.Exchange, exchange)
	replace(&set.RoutingKey, key)
	replace(&s.Vendor, body.Value("Vendor"))
	replace(&s.Name, strings.TrimSpace(body.Attr("name")))
	s.Settings = core.EncodeSettings(set)
	return s, nil
}

func replace(old *string, text string) {
	if text != "" {
		*old = text
	}
}

// boolean reads a child that is true or false, if it is there.
func boolean(body *vxml.Element, name string, into *bool) error {
	switch text := strings.ToLower(body.Value(name)); text {
	case "":
	case "true", "1":
		*into = true
	case "false", "0":
		*into = false
	default:
		return core.Errorf(core.Invalid, "%s %q: true or false is needed", name, text)
	}
	return nil
}

func (c *call) showService(status int, s core.System) error {
	var amqp core.AMQPSettings
	var err error
	if s.Kind == core.KindAMQP {
		if amqp, err = core.DecodeSettings[core.AMQPSettings](s); err != nil {
			return err
		}
	}
	href := c.serviceHref(s)
	e := vxml.Extension("Service").
		Set("name", s.Name).Set("id", records.ServiceID(s.ID)).Set("href", href).Set("type", mediaService+"+xml").
		Set("operationKey", s.OperationKey).
		Add(vxml.Link("remove", href, "", "")).
		Add(vxml.Links("edit", href, mediaService, "")...).
		Add(vxml.Links("up", c.hrefs.To(servicePath), mediaServices, "")...).
		Add(vxml.Links("rights", href+"/rights", mediaRights, "")...)
	for _, child := range c.children("service") {
		e.Add(child.links(href)...)
	}
	e.Description(s.Description).
		Leaf("Namespace", s.Namespace).
		LeafBool("Enabled", s.Enabled).
		LeafBool("AuthorizationEnabled", s.AuthorizationEnabled).
		Leaf("RoutingKey", amqp.RoutingKey).
		LeafInt("Priority", s.Priority).
		Leaf("Exchange", amqp.Exchange).
		Leaf("Vendor", s.Vendor)
	c.Response().Header().Set("ETag", api.ETag(s.Revision))
	return c.answer(status, mediaService, e)
}
