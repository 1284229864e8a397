package cloudapi

import (
	"github.com/annex-gateway/annex/core"
)

// issuerForm is an OpenID Connect issuer in JSON; the entity is one of ours.
type issuerForm struct {
	ID           string       `json:"id"`
	Name         *string      `json:"name"`
	Org          *reference   `json:"orgEntityRef"`
	URL          *string      `json:"url"`
	Audience     *string      `json:"audience"`
	UserClaim    *string      `json:"userClaim"`
	RoleClaim    *string      `json:"roleClaim"`
	DefaultRoles *[]reference `json:"defaultRoleEntityRefs"`
	AutoCreate   *bool        `json:"autoCreate"`
	Enabled      *bool        `json:"enabled"`
	CA           *string      `json:"ca"` // PEM
}

func (a *cloud) issuers() resource[core.Issuer, issuerForm] {
	return resource[core.Issuer, issuerForm]{
		path: issuersPath, noun: "OpenID Connect issuer", table: a.Catalog.Issuers,
		id:    func(i core.Issuer) string { return i.ID },
		meta:  func(i core.Issuer) core.Meta { return i.Meta },
		shows: func(by actor, i core.Issuer) bool { return by.within(i.OrgID) },
		attributes: attributes[core.Issuer]{
			"id":                text(func(i core.Issuer) string { return i.ID }),
			"name":              text(func(i core.Issuer) string { return i.Name }),
			"url":               text(func(i core.Issuer) string { return i.URL }),
			"audience":          text(func(i core.Issuer) string { return i.Audience }),
			"enabled":           truth(func(i core.Issuer) bool { return i.Enabled }),
			"orgEntityRef.id":   text(func(i core.Issuer) string { return i.OrgID }),
			"orgEntityRef.name": text(func(i core.Issuer) string { return a.orgRef(i.OrgID).Name }),
		},
		encode: a.encodeIssuer,
		build:  newIssuer,
		merge:  mergeIssuer,
	}
}

func (a *cloud) encodeIssuer(i core.Issuer) issuerForm {
	roles := a.roleRefs(i.DefaultRoleIDs)
	return issuerForm{
		ID: i.ID, Name: &i.Name, Org: a.orgRef(i.OrgID), URL: &i.URL, Audience: &i.Audience,
		UserClaim: textOrNull(i.UserClaim), RoleClaim: textOrNull(i.RoleClaim), DefaultRoles: &roles,
		AutoCreate: &i.AutoCreate, Enabled: &i.Enabled, CA: textOrNull(i.CA),
	}
}

// newIssuer wants the organisation named: whoever speaks for the users of
// System speaks for its administrators.
func newIssuer(by actor, in issuerForm) (i core.Issuer, err error) {
	if in.Org == nil && by.org == "" {
		return i, core.Errorf(core.Invalid, "orgEntityRef: say whose users the issuer names: {\"orgEntityRef\":{\"id\":\"%s<uuid>\"}}", core.OrgPrefix)
	}
	if i.OrgID, err = orgFor(by, "orgEntityRef", in.Org); err != nil {
		return i, err
	}
	i.Enabled = true
	in.Org = nil
	return mergeIssuer(in, i)
}

// mergeIssuer puts what a client may decide into i. What an issuer cannot be
// without stays as it is when it is left out.
func mergeIssuer(in issuerForm, i core.Issuer) (core.Issuer, error) {
	i.Name, i.URL, i.Audience = or(in.Name, i.Name), or(in.URL, i.URL), or(in.Audience, i.Audience)
	i.UserClaim, i.RoleClaim, i.CA = or(in.UserClaim, ""), or(in.RoleClaim, ""), or(in.CA, "")
	i.AutoCreate, i.Enabled = or(in.AutoCreate, i.AutoCreate), or(in.Enabled, i.Enabled)
	if in.DefaultRoles != nil {
		var err error
		if i.DefaultRoleIDs, err = idsOf("defaultRoleEntityRefs", core.RolePrefix, *in.DefaultRoles); err != nil {
			return i, err
		}
	}
	return i, sameOrg("orgEntityRef", in.Org, i.OrgID)
}
