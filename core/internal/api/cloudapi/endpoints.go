package cloudapi

import (
	"github.com/annex-gateway/annex/core"
)

// endpointForm is an external endpoint in JSON. Priority, which clients of the
// vendor's product do not know, is shown only where it is not the default.
type endpointForm struct {
	Name        string  `json:"name"`
	ID          string  `json:"id"`
	Version     string  `json:"version"`
	Vendor      string  `json:"vendor"`
	Enabled     *bool   `json:"enabled"`
	Description *string `json:"description"`
	RootURL     *string `json:"rootUrl"`
	Priority    *int    `json:"priority,omitzero"`
}

func (a *cloud) endpoints() resource[core.System, endpointForm] {
	build := func(_ actor, in endpointForm) (core.System, error) {
		return applyEndpoint(in, core.System{
			Kind: core.KindHTTPS, Vendor: in.Vendor, Name: in.Name, Version: in.Version, Priority: core.DefaultPriority,
		})
	}
	return resource[core.System, endpointForm]{
		path: endpointsPath, noun: "external endpoint", table: a.Catalog.Systems,
		id:    func(s core.System) string { return s.ID },
		meta:  func(s core.System) core.Meta { return s.Meta },
		shows: func(_ actor, s core.System) bool { return s.IsEndpoint() },
		attributes: withAttributes(systemAttributes(), attributes[core.System]{
			"rootUrl": text(rootURL),
		}),
		encode: encodeEndpoint,
		build:  build,
		merge:  applyEndpoint,
	}
}

func rootURL(s core.System) string {
	set, _ := core.DecodeSettings[core.HTTPSSettings](s) // what is stored was checked
	return set.RootURL
}

func encodeEndpoint(s core.System) endpointForm {
	url := rootURL(s)
	out := endpointForm{
		Name: s.Name, ID: s.ID, Version: s.Version, Vendor: s.Vendor,
		Enabled: &s.Enabled, Description: textOrNull(s.Description), RootURL: &url,
	}
	if s.Priority != core.DefaultPriority {
		out.Priority = &s.Priority
	}
	return out
}

// applyEndpoint puts what a client may decide into s. What is left out stays
// as it is, but for the description: clients leave out an empty one.
func applyEndpoint(in endpointForm, s core.System) (core.System, error) {
	s.Enabled = or(in.Enabled, s.Enabled)
	s.Priority = or(in.Priority, s.Priority)
	s.Description = or(in.Description, "")
	s.Settings = core.EncodeSettings(core.HTTPSSettings{RootURL: or(in.RootURL, rootURL(s))})
	return s, nil
}
