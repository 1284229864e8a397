package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/identity"
)

// The grant types: one gives a registered client its API token, the other
// opens sessions with it.
const (
	grantBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantRefresh = "refresh_token"
)

// clientForm is the registration of a client, which is what an API token is
// here.
type clientForm struct {
	Name       string   `json:"client_name"`
	ID         string   `json:"client_id,omitzero"`
	GrantTypes []string `json:"grant_types,omitzero"`
	AuthMethod string   `json:"token_endpoint_auth_method,omitzero"`
}

// register begins an API token of the caller.
func (s *server) register(c echo.Context, org string) error {
	return api.Authenticate(s.Deps)(func(c echo.Context) error {
		r := c.Request()
		if err := api.RequireType(r.Header, "application/json"); err != nil {
			return err
		}
		body, err := api.ReadBody(c.Response(), r, maxBody)
		if err != nil {
			return err
		}
		var in struct {
			Name string `json:"client_name"`
		}
		if err := api.DecodeJSON(body, &in); err != nil {
			return err
		}
		if strings.TrimSpace(in.Name) == "" {
			return core.Errorf(core.Invalid, "client_name: a name for the API token is missing")
		}
		t, err := s.Identity.RegisterAPIToken(r.Context(), api.Caller(c), org, in.Name)
		if err != nil {
			return err
		}
		return answer(c, http.StatusCreated, clientForm{
			Name: t.Name, ID: strings.TrimPrefix(t.ID, core.TokenPrefix),
			GrantTypes: []string{grantBearer, grantRefresh}, AuthMethod: "none",
		})
	})(c)
}

// grantForm is what whoever logged in gets.
type grantForm struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"` // seconds
	Refresh string `json:"refresh_token"`
}

// token answers both grant types. It takes no other credential than what is in
// the form.
func (s *server) token(c echo.Context, org string) error {
	f, err := readForm(c)
	if err != nil {
		return err
	}
	kind, err := f.need("grant_type")
	if err != nil {
		return err
	}
	var g identity.Grant
	ctx := c.Request().Context()
	switch kind {
	case grantBearer:
		assertion, err1 := f.need("assertion")
		client, err2 := f.need("client_id")
		if err = first(err1, err2); err == nil {
			g, err = s.Identity.ActivateAPIToken(ctx, org, assertion, client)
		}
	case grantRefresh:
		var secret string
		if secret, err = f.need("refresh_token"); err == nil {
			g, err = s.Identity.RefreshAPIToken(ctx, org, secret)
		}
	default:
		err = &core.Error{Code: core.Invalid, Minor: "UNSUPPORTED_GRANT_TYPE", Message: "grant_type: " + grantBearer + " or " + grantRefresh + " is needed"}
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, grantForm{
		Access: g.Token, Type: "Bearer", Expires: int64(g.ExpiresIn / time.Second), Refresh: g.RefreshToken,
	})
}

// form is the body of a request for a token.
type form struct{ values url.Values }

func readForm(c echo.Context) (form, error) {
	r := c.Request()
	if err := api.RequireType(r.Header, "application/x-www-form-urlencoded"); err != nil {
		return form{}, err
	}
	body, err := api.ReadBody(c.Response(), r, maxBody)
	if err != nil {
		return form{}, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return form{}, core.WrapError(core.Invalid, err, "body: it is no form as application/x-www-form-urlencoded writes it: look for a stray '%%' or ';'")
	}
	return form{values}, nil
}

// need returns a field that must be given, once.
func (f form) need(name string) (string, error) {
	switch v := f.values[name]; {
	case len(v) > 1:
		return "", core.Errorf(core.Invalid, "%s: it is given more than once; give it once", name)
	case len(v) == 0 || v[0] == "":
		return "", core.Errorf(core.Invalid, "%s: it is missing in the form", name)
	default:
		return v[0], nil
	}
}

// first returns the first error that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
