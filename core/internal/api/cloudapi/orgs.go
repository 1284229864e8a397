package cloudapi

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/query"
)

// orgForm is an organisation in JSON. What this gateway does not have, data
// centres and the like, is shown as none and not listened to.
type orgForm struct {
	ID               string     `json:"id"`
	Name             *string    `json:"name"`
	DisplayName      *string    `json:"displayName"`
	Description      *string    `json:"description"`
	Enabled          *bool      `json:"isEnabled"`
	CanManageOrgs    bool       `json:"canManageOrgs"`
	CanPublish       bool       `json:"canPublish"`
	MaskedEventUser  *string    `json:"maskedEventTaskUsername"`
	VDCs             int        `json:"orgVdcCount"`
	Catalogs         int        `json:"catalogCount"`
	VApps            int        `json:"vappCount"`
	RunningVMs       int        `json:"runningVMCount"`
	Users            int        `json:"userCount"`
	Disks            int        `json:"diskCount"`
	ManagedBy        *reference `json:"managedBy"`
	DirectlyManaging int        `json:"directlyManagedOrgCount"`
}

func (a *cloud) orgs() resource[core.Org, orgForm] {
	return resource[core.Org, orgForm]{
		path: orgsPath, noun: "organisation", table: a.Catalog.Orgs,
		id:      func(o core.Org) string { return o.ID },
		meta:    func(o core.Org) core.Meta { return o.Meta },
		shows:   func(by actor, o core.Org) bool { return by.within(o.ID) },
		permits: permitOrg,
		attributes: attributes[core.Org]{
			"id":          text(func(o core.Org) string { return o.ID }),
			"name":        text(func(o core.Org) string { return o.Name }),
			"displayName": text(func(o core.Org) string { return o.DisplayName }),
			"description": text(func(o core.Org) string { return o.Description }),
			"isEnabled":   truth(func(o core.Org) bool { return o.Enabled }),
		},
		encode: a.encodeOrg,
		build: func(_ actor, in orgForm) (core.Org, error) {
			return mergeOrg(in, core.Org{Enabled: true})
		},
		merge:    mergeOrg,
		removing: a.removingOrg,
	}
}

// permitOrg lets members with the right edit what their organisation shows of
// itself.
func permitOrg(by actor, old, next *core.Org) error {
	switch {
	case by.Provider():
		return nil
	case old == nil || next == nil || old.Name != next.Name || old.Enabled != next.Enabled:
		return core.Errorf(core.Forbidden, "only system administrators may make, rename, enable, disable and delete organisations")
	}
	return by.needs(catalog.RightOrgEdit)
}

func (a *cloud) encodeOrg(o core.Org) orgForm {
	return orgForm{
		ID: o.ID, Name: &o.Name, DisplayName: &o.DisplayName, Description: textOrNull(o.Description), Enabled: &o.Enabled,
		CanManageOrgs: o.ID == core.SystemOrgID, Users: a.Live.View().Directory.Members(o.ID), ManagedBy: a.orgRef(core.SystemOrgID),
	}
}

// mergeOrg puts what a client may decide into o. What an organisation cannot
// be without stays as it is when it is left out.
func mergeOrg(in orgForm, o core.Org) (core.Org, error) {
	o.Name = or(in.Name, o.Name)
	o.DisplayName = or(in.DisplayName, o.DisplayName)
	o.Description = or(in.Description, "")
	o.Enabled = or(in.Enabled, o.Enabled)
	if strings.TrimSpace(o.DisplayName) == "" {
		return o, core.Errorf(core.Invalid, "displayName: an organisation needs one")
	}
	return o, nil
}

// removingOrg lets an organisation with members go only when the caller says
// so. Force is for clients that always send it: nothing depends on it here.
func (a *cloud) removingOrg(c echo.Context, o core.Org) error {
	q, err := query.Parse(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	recursive, err := yes(q, "recursive")
	if err != nil {
		return err
	}
	if _, err := yes(q, "force"); err != nil {
		return err
	}
	if !recursive && !o.Enabled && a.Live.View().Directory.Members(o.ID) > 0 {
		return core.Errorf(core.Conflict, "organisation %s has users: delete them first, or delete all together with ?force=true&recursive=true", o.Name)
	}
	return nil
}

// yes reads a parameter that is true or false; false when it is left out.
func yes(q query.Query, name string) (bool, error) {
	value, err := q.One(name)
	switch {
	case err != nil:
		return false, err
	case strings.EqualFold(value, "true"):
		return true, nil
	case value == "" || strings.EqualFold(value, "false"):
		return false, nil
	}
	return false, core.Errorf(core.Invalid, "query: %s=%q: true or false is needed", name, value)
}
