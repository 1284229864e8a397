package vcloud

import (
	"net/http"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const (
	mediaService  = "application/vnd.vmware.admin.service"
	mediaServices = "application/vnd.vmware.admin.extensionServices"

	// serviceURN starts the id of a service in this API, which knows it by its
	// uuid; the id of the JSON API is made of vendor, name and version.
	serviceURN = "urn:vcloud:externalService:"
)

// place is an item that others belong to.
type place struct {
	id, urn     string // as the catalog knows it; as this API does
	href, media string
	name        string
}

// place finds an item by what stands in its address.
func (c *call) place(word, uuid string) (place, error) {
	if word != "service" {
		return c.resources[word].place(c, uuid)
	}
	s, err := c.system(uuid)
	if err != nil {
		return place{}, err
	}
	return c.placeOf(s), nil
}

// placeByID finds an item by its id in the catalog.
func (c *call) placeByID(word, id string) (place, error) {
	if word != "service" {
		return c.resources[word].place(c, id[strings.LastIndexByte(id, ':')+1:])
	}
	s, err := c.Catalog.Systems.Get(c.Request().Context(), id)
	switch {
	case err != nil:
		return place{}, err
	case s.IsEndpoint():
		return place{}, core.Errorf(core.NotFound, "%s is no external service", id)
	}
	return c.placeOf(s), nil
}

func (c *call) placeOf(s core.System) place {
	return place{id: s.ID, urn: serviceURN + s.UUID(), href: c.hrefs.To(servicePath, s.UUID()), media: mediaService, name: s.Name}
}

func (c *call) system(uuid string) (core.System, error) {
	err := error(core.Errorf(core.NotFound, "there is no external service %q", uuid))
	if !core.IsUUID(uuid) {
		return core.System{}, err
	}
	s, found := c.Catalog.Systems.ByUnique(c.Request().Context(), "uuid/"+strings.ToLower(uuid))
	if found != nil && core.ErrorCode(found) != core.NotFound {
		err = found
	}
	if found != nil {
		return core.System{}, err
	}
	return s, nil
}

// vmwExtension is where clients start that look for the registrations.
func (c *call) vmwExtension() error {
	href := c.hrefs.To(extensionPath)
	return c.answer(http.StatusOK, vxml.MediaVMWExtension, vxml.Extension("VMWExtension").
		Set("href", href).
		Set("type", vxml.MediaVMWExtension+"+xml").
		Add(vxml.Links("down", c.hrefs.To(servicePath), mediaServices, "")...))
}

func (c *call) extensionServices() error {
	return c.answer(http.StatusOK, mediaServices, vxml.Extension("ExtensionServices").
		Set("href", c.hrefs.To(servicePath)).
		Set("type", mediaServices+"+xml").
		Add(vxml.Links("up", c.hrefs.To(extensionPath), vxml.MediaVMWExtension, "")...))
}

// service shows one service, of whatever kind.
func (c *call) service(uuid string) error {
	s, err := c.system(uuid)
	if err != nil {
		return err
	}
	var amqp core.AMQPSettings
	if s.Kind == core.KindAMQP {
		if amqp, err = core.DecodeSettings[core.AMQPSettings](s); err != nil {
			return err
		}
	}
	p := c.placeOf(s)
	e := vxml.Extension("Service").
		Set("name", s.Name).Set("id", p.urn).Set("href", p.href).Set("type", mediaService+"+xml").
		Add(vxml.Links("up", c.hrefs.To(servicePath), mediaServices, "")...)
	for _, child := range c.children("service") {
		e.Add(child.links(p.href)...)
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
	return c.answer(http.StatusOK, mediaService, e)
}
