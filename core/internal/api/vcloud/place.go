package vcloud

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
)

// place is an item that others belong to.
type place struct {
	id          string // as the catalog knows it
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
	s, err := c.Catalog.Systems.Get(c.ctx(), id)
	switch {
	case err != nil:
		return place{}, err
	case s.IsEndpoint():
		return place{}, core.Errorf(core.NotFound, "%s is no external service", id)
	}
	return c.placeOf(s), nil
}

func (c *call) placeOf(s core.System) place {
	return place{id: s.ID, href: c.serviceHref(s), media: mediaService, name: s.Name}
}

func (c *call) serviceHref(s core.System) string { return c.hrefs.To(servicePath, s.UUID()) }

// system finds a service by the uuid in its address. Clients that know it by a
// URN, that of this API or that of the JSON API, may put that there.
func (c *call) system(id string) (core.System, error) {
	var s core.System
	var err error
	switch uuid := strings.ToLower(uuidOf(records.ServiceURN, id)); {
	case core.IsUUID(uuid):
		s, err = c.Catalog.Systems.ByUnique(c.ctx(), "uuid/"+uuid)
	case strings.HasPrefix(id, core.ServicePrefix):
		s, err = c.Catalog.Systems.Get(c.ctx(), id)
	default:
		err = core.Errorf(core.NotFound, "%q is no uuid", id)
	}
	if err != nil && core.ErrorCode(err) == core.NotFound {
		err = core.Errorf(core.NotFound, "there is no external service %q", id)
	}
	return s, err
}
