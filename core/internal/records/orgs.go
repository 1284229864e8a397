package records

import (
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// Orgs are the organisations.
func Orgs() Of[core.Org] {
	o := typeOf("organization", adminMedia+"organization",
		func(o core.Org) string { return o.ID }, func(o core.Org) string { return o.Name },
		text("name", func(o core.Org) string { return o.Name }),
		text("displayName", func(o core.Org) string { return o.DisplayName }),
		truth("isEnabled", func(o core.Org) bool { return o.Enabled }),
	)
	o.Element = "Org"
	return o
}

// VDC is the virtual data centre that every organisation has: clients look for
// one when they set themselves up. There is nothing in it.
type VDC struct{ Org core.Org }

// VDCPrefix is the URN prefix of virtual data centres.
const VDCPrefix = "urn:vcloud:vdc:"

// ID is the URN. It follows from the organisation.
func (v VDC) ID() string { return VDCPrefix + core.System{ID: "vdc of " + v.Org.ID}.UUID() }

// Name is that of the organisation.
func (v VDC) Name() string { return v.Org.Name }

// AdminVDCs are virtual data centres as administrators see them.
func AdminVDCs() Of[VDC] { return vdcs("adminOrgVdc", "AdminVdc") }

// VDCs are virtual data centres as members of their organisations see them.
func VDCs() Of[VDC] { return vdcs("orgVdc", "OrgVdc") }

func vdcs(typ, element string) Of[VDC] {
	o := typeOf(typ, vxml.MediaVDC, VDC.ID, VDC.Name,
		text("name", VDC.Name),
		urn("org", func(v VDC) string { return v.Org.ID }),
		text("orgName", func(v VDC) string { return v.Org.Name }),
		truth("isEnabled", func(v VDC) bool { return v.Org.Enabled }),
	)
	o.Element = element
	return o
}
