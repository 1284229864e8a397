package cloudapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/identity"
)

// sessionForm is a login in JSON.
type sessionForm struct {
	ID           *string     `json:"id"` // null for a credential that belongs to no session
	User         reference   `json:"user"`
	Org          reference   `json:"org"`
	OperatingOrg reference   `json:"operatingOrg"`
	Location     string      `json:"location"`
	Roles        []string    `json:"roles"`
	RoleRefs     []reference `json:"roleRefs"`
	IdleMinutes  int         `json:"sessionIdleTimeoutMinutes"`
}

func (a *cloud) mountSessions(e *echo.Echo) {
	a.route(e, sessionsPath, verbs{http.MethodPost: a.loginTenant, http.MethodDelete: a.logout})
	a.route(e, sessionsPath+"/provider", verbs{http.MethodPost: a.loginProvider, http.MethodDelete: a.logout})
	a.route(e, sessionsPath+"/current", verbs{http.MethodGet: a.current, http.MethodDelete: a.logout})
	a.route(e, sessionsPath+"/:id", verbs{http.MethodGet: own(a.current), http.MethodDelete: own(a.logout)})
}

// own lets through whoever names the session that the call itself belongs to.
// Others cannot be told from sessions that do not exist.
func own(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if id := api.Caller(c).SessionID; id == "" || itemID(c) != id {
			return missing(core.Errorf(core.NotFound, "there is no session %q", itemID(c)))
		}
		return next(c)
	}
}

func (a *cloud) loginTenant(c echo.Context) error {
	return a.login(c, func(org string) error {
		if strings.EqualFold(org, core.SystemOrg) {
			return core.Errorf(core.Unauthenticated, "members of the organisation %s log in at %s/provider", core.SystemOrg, sessionsPath)
		}
		return nil
	})
}

func (a *cloud) loginProvider(c echo.Context) error {
	return a.login(c, func(org string) error {
		if !strings.EqualFold(org, core.SystemOrg) {
			return core.Errorf(core.Unauthenticated, "only members of the organisation %s log in here; all others at %s", core.SystemOrg, sessionsPath)
		}
		return nil
	})
}

func (a *cloud) login(c echo.Context, admits func(org string) error) error {
	r := c.Request()
	credentials, err := basic(r)
	if err == nil {
		err = admits(credentials.Org)
	}
	var s identity.Session
	if err == nil {
		credentials.Remote = api.EdgeOf(r.Context()).Request.RemoteAddr.Addr()
		s, err = a.Identity.Login(r.Context(), credentials)
	}
	if err != nil {
		return refused(c, err)
	}
	h := c.Response().Header()
	h.Set("X-VMWARE-VCLOUD-ACCESS-TOKEN", s.Token)
	h.Set("X-VMWARE-VCLOUD-TOKEN-TYPE", "Bearer")
	http.SetCookie(c.Response(), cookie(s.Token, s.Record.Expires, 0))
	return answer(c, http.StatusOK, encodeSession(s.Caller, s.Record))
}

// basic reads user@org and the password. The user's name may hold an @ too.
func basic(r *http.Request) (identity.Credentials, error) {
	name, password, ok := r.BasicAuth()
	at := strings.LastIndexByte(name, '@')
	if !ok || at < 1 || at == len(name)-1 || len(r.Header.Values("Authorization")) != 1 {
		return identity.Credentials{}, core.Errorf(core.Unauthenticated, "a login needs the header Authorization: Basic, with <user>@<organisation> and the password in base64")
	}
	return identity.Credentials{User: name[:at], Org: name[at+1:], Password: password}, nil
}

// refused makes 401 of whatever is wrong with a login: it is the only status
// that clients look at, and with any other they would go on without a token.
func refused(c echo.Context, err error) error {
	if outcomeOf(err).status >= http.StatusInternalServerError {
		return err
	}
	c.Response().Header().Set("WWW-Authenticate", `Basic realm="annex"`)
	return core.WrapError(core.Unauthenticated, err, "%s", core.ErrorMessage(err))
}

// cookie carries the token to the pages of extensions.
// A negative maxAge takes it away.
func cookie(token string, expires time.Time, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: identity.Cookie, Value: token, Path: "/", Expires: expires, MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func (a *cloud) logout(c echo.Context) error {
	if err := a.Identity.Logout(c.Request().Context(), api.Caller(c)); err != nil {
		return err
	}
	http.SetCookie(c.Response(), cookie("", time.Unix(1, 0), -1))
	return noContent(c)
}

func (a *cloud) current(c echo.Context) error {
	caller := api.Caller(c)
	var record core.Session
	if caller.SessionID != "" {
		var err error
		record, err = a.Catalog.Sessions.Get(c.Request().Context(), caller.SessionID)
		if core.ErrorCode(err) == core.NotFound {
			return core.WrapError(core.Unauthenticated, err, "the session has ended: log in again")
		} else if err != nil {
			return err
		}
	}
	out := encodeSession(caller, record)
	if by := actorOf(c); by.org != "" {
		out.OperatingOrg = *a.orgRef(by.org)
	}
	return answer(c, http.StatusOK, out)
}

func encodeSession(c core.Caller, s core.Session) sessionForm {
	org := reference{Name: c.OrgName, ID: c.OrgID}
	out := sessionForm{
		ID:   textOrNull(s.ID),
		User: reference{Name: c.UserName, ID: c.UserID},
		Org:  org, OperatingOrg: org, Location: "local",
		IdleMinutes: int(s.Expires.Sub(s.Created).Round(time.Minute) / time.Minute),
	}
	for _, r := range c.Roles {
		out.Roles = append(out.Roles, r.Name)
		out.RoleRefs = append(out.RoleRefs, reference{Name: r.Name, ID: r.ID})
	}
	return out
}
