package vcloud

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// versions lists the API versions, for everybody. Clients send their login to
// the address that stands there.
func (s *server) versions(ec echo.Context) error {
	c := s.call(ec)
	return c.only(verbs{http.MethodGet: func() error {
		login := c.hrefs.To("/cloudapi/1.0.0/sessions")
		e := vxml.Versions("SupportedVersions")
		for _, v := range vxml.ListedVersions() {
			e.Add(vxml.Versions("VersionInfo").
				SetBool("deprecated", false).
				Leaf("Version", v).
				Leaf("LoginUrl", login).
				Leaf("ProviderLoginUrl", login+"/provider").
				InList("versionInfo", ""))
		}
		return c.answer(http.StatusOK, "", e)
	}})
}

// login is the way in for clients from before version 33.
func (s *server) login(ec echo.Context) error {
	c := s.call(ec)
	return c.only(verbs{http.MethodPost: func() error {
		credentials, err := basic(c.Request())
		if err != nil {
			c.Response().Header().Set("WWW-Authenticate", `Basic realm="annex"`)
			return err
		}
		session, err := s.Identity.Login(c.Request().Context(), credentials)
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("X-Vcloud-Authorization", session.Token)
		h.Set("X-Vmware-Vcloud-Access-Token", session.Token)
		h.Set("X-Vmware-Vcloud-Token-Type", "Bearer")
		http.SetCookie(c.Response(), cookie(session.Token, session.Record.Expires))
		return c.answer(http.StatusOK, vxml.MediaSession, vxml.Session(api.BaseURL(ec), session.Caller))
	}})
}

// basic reads user@organisation and the password. The user's name may hold an
// '@' too.
func basic(r *http.Request) (identity.Credentials, error) {
	user, password, ok := r.BasicAuth()
	at := strings.LastIndexByte(user, '@')
	if !ok || at < 1 || len(r.Header.Values("Authorization")) != 1 {
		return identity.Credentials{}, core.Errorf(core.Unauthenticated, "a login needs the header Authorization: Basic, with user@organisation and the password")
	}
	return identity.Credentials{
		User: user[:at], Org: user[at+1:], Password: password,
		Remote: api.EdgeOf(r.Context()).Request.RemoteAddr.Addr(),
	}, nil
}

func (s *server) logout(c echo.Context) error {
	if err := s.Identity.Logout(c.Request().Context(), api.Caller(c)); err != nil {
		return err
	}
	http.SetCookie(c.Response(), cookie("", time.Unix(1, 0)))
	return c.NoContent(http.StatusNoContent)
}

// cookie carries a session's token for the pages below /ext-ui.
func cookie(token string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: identity.Cookie, Value: token, Path: "/", Expires: expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
