package cloudapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// tokenForm is a stored token in JSON. Token, the secret, is shown once: in
// the answer to the POST.
type tokenForm struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Token       *string    `json:"token"`
	Expires     *string    `json:"expirationTimeUtc"`
	Owner       *reference `json:"owner"`
	Org         *reference `json:"org"`
	Type        string     `json:"type"`
	ExtensionID string     `json:"extensionId,omitzero"` // in a POST only
}

// ownerPrefix is the URN prefix of services as owners of tokens.
const ownerPrefix = "urn:vcloud:externalService:"

func (a *cloud) tokens() resource[core.Token, tokenForm] {
	return resource[core.Token, tokenForm]{
		path: tokensPath, noun: "token", table: a.Catalog.Tokens,
		id:    func(t core.Token) string { return t.ID },
		meta:  func(t core.Token) core.Meta { return t.Meta },
		shows: a.showToken,
		// Whoever sees a token may end it; who may make one is judged when it is
		// known of which type.
		permits: func(_ actor, _, _ *core.Token) error { return nil },
		attributes: attributes[core.Token]{
			"id":         text(func(t core.Token) string { return t.ID }),
			"name":       text(func(t core.Token) string { return t.Name }),
			"type":       text(func(t core.Token) string { return string(t.Type) }),
			"owner.name": text(func(t core.Token) string { return a.owner(t).Name }),
			"owner.id":   text(func(t core.Token) string { return a.owner(t).ID }),
			"org.name":   text(func(t core.Token) string { return a.orgOf(t).Name }),
			"org.id":     text(func(t core.Token) string { return a.orgOf(t).ID }),
		},
		encode: a.encodeToken,
		create: a.createToken,
	}
}

// showToken shows callers their own API tokens, and all of the organisation to
// those who have a right to manage them.
func (a *cloud) showToken(by actor, t core.Token) bool {
	if !by.within(a.orgOf(t).ID) {
		return false
	}
	return by.Provider() || t.Type == core.TokenRefresh && (t.UserID == by.UserID || by.may(catalog.RightTokenManage))
}

// owner is who a token stands for: a service, by its triplet, or a user.
func (a *cloud) owner(t core.Token) reference {
	if t.Type == core.TokenExtension {
		s := systemOf(t.System)
		return reference{Name: s.Triplet(), ID: ownerPrefix + s.UUID()}
	}
	u, _ := a.Live.View().Directory.User(t.UserID)
	return reference{Name: u.Name, ID: t.UserID}
}

func (a *cloud) orgOf(t core.Token) reference {
	d := a.Live.View().Directory
	if u, ok := d.User(t.UserID); ok && t.Type != core.TokenExtension {
		o, _ := d.Org(u.OrgID)
		return reference{Name: o.Name, ID: u.OrgID}
	}
	return reference{Name: core.SystemOrg, ID: core.SystemOrgID}
}

func (a *cloud) encodeToken(t core.Token) tokenForm {
	owner, org := a.owner(t), a.orgOf(t)
	out := tokenForm{ID: t.ID, Name: t.Name, Owner: &owner, Org: &org, Type: string(t.Type)}
	if !t.Expires.IsZero() {
		at := t.Expires.UTC().Format(time.RFC3339)
		out.Expires = &at
	}
	return out
}

func (a *cloud) createToken(c echo.Context) (t core.Token, out tokenForm, err error) {
	in, err := decode[tokenForm](a, c)
	if err != nil {
		return t, out, err
	}
	caller := api.Caller(c)
	switch {
	case in.Type == string(core.TokenRefresh):
		return t, out, core.Errorf(core.Invalid, "type REFRESH: such tokens are not made here but with POST /oauth/provider/register or /oauth/tenant/<organisation>/register")
	case in.Type != string(core.TokenExtension):
		return t, out, core.Errorf(core.Invalid, "type %q: EXTENSION is needed", in.Type)
	case !caller.Provider():
		return t, out, core.Errorf(core.Forbidden, "only system administrators may make tokens of type EXTENSION")
	case in.ExtensionID == "":
		return t, out, core.Errorf(core.Invalid, "extensionId: the id of the external service is missing: \"urn:vcloud:extension-api:<vendor>:<name>:<version>\"")
	}
	t, secret, err := a.Identity.IssueExtensionToken(c.Request().Context(), caller.UserID, in.Name, in.ExtensionID)
	if err != nil {
		return t, out, err
	}
	out = a.encodeToken(t)
	out.Token = &secret
	return t, out, nil
}
