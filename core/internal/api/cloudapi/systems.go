package cloudapi

import (
	"maps"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// systemAttributes are those that services and endpoints share.
func systemAttributes() attributes[core.System] {
	return attributes[core.System]{
		"id":          text(func(s core.System) string { return s.ID }),
		"name":        text(func(s core.System) string { return s.Name }),
		"version":     text(func(s core.System) string { return s.Version }),
		"vendor":      text(func(s core.System) string { return s.Vendor }),
		"description": text(func(s core.System) string { return s.Description }),
		"enabled":     truth(func(s core.System) bool { return s.Enabled }),
		"priority":    number(func(s core.System) int { return s.Priority }),
	}
}

// withAttributes adds more to as.
func withAttributes[E any](as, more attributes[E]) attributes[E] {
	maps.Copy(as, more)
	return as
}

// systemOf tells what the id of a system says about it, so that naming a
// system takes no look at the store: vendor, name and version hold no colons.
func systemOf(id string) core.System {
	s := core.System{ID: id}
	rest := strings.TrimPrefix(strings.TrimPrefix(id, core.ServicePrefix), core.EndpointPrefix)
	if parts := strings.Split(rest, ":"); len(parts) == 3 {
		s.Vendor, s.Name, s.Version = parts[0], parts[1], parts[2]
	}
	return s
}
