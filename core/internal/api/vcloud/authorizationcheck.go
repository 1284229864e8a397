package vcloud

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/access"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/target"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const mediaCheckResponse = mediaAdmin + "authorizationCheckResponse"

// check is the question whether a user may make a call.
type check struct {
	view         *live.View
	caller       core.Caller
	known        bool // the user can make calls at all
	method, path string
}

// checkAll answers for all services with authorization whose filters match the
// URL: each of them must allow the call. Where there is none, nothing refuses.
func (c *call) checkAll() error {
	q, err := c.readCheck()
	if err != nil {
		return err
	}
	stops, err := q.view.ByURL(core.OnDispatch, core.ScopeAPI, q.path)
	if err != nil {
		return err
	}
	allowed := q.known
	for _, s := range stops {
		allowed = allowed && q.allowed(s.Entry.System)
	}
	return c.answerCheck(allowed)
}

// checkOne answers for one service, by its rules alone.
func (c *call) checkOne(uuid string) error {
	s, err := c.system(uuid)
	if err != nil {
		return err
	}
	q, err := c.readCheck()
	if err != nil {
		return err
	}
	e, ok := q.view.System(s.ID)
	if !ok {
		return core.Errorf(core.NotFound, "there is no external service %q", uuid)
	}
	return c.answerCheck(q.known && q.allowed(e.System))
}

// allowed asks what the road asks.
func (q check) allowed(s core.System) bool {
	return q.view.Policy.Decide(access.Query{
		Caller: q.caller, System: s, Method: q.method, Path: q.path, Orgs: q.view.Directory,
	}).Allowed
}

func (c *call) answerCheck(allowed bool) error {
	return c.answer(http.StatusOK, mediaCheckResponse, vxml.Extension("AuthorizationCheckResponse").LeafBool("IsAuthorized", allowed))
}

func (c *call) readCheck() (check, error) {
	q := check{view: c.Live.View()}
	body, err := c.body("AuthorizationCheckParams")
	if err != nil {
		return q, err
	}
	if err := body.Only("User", "HttpMethod", "URL", "Url"); err != nil {
		return q, err
	}
	id, err := refer("User", body.Child("User"), core.UserPrefix)
	if err != nil {
		return q, err
	}
	if _, ok := q.view.Directory.User(id); !ok {
		return q, core.Errorf(core.Invalid, "User: there is no user %q", id)
	}
	q.caller, q.known = q.view.Directory.Caller(id)
	if q.method = strings.ToUpper(body.Value("HttpMethod")); q.method == "" {
		return q, core.Errorf(core.Invalid, "HttpMethod: say which, such as GET")
	}
	q.path, err = pathOf(cmp.Or(body.Value("URL"), body.Value("Url"))) // url in JSON
	return q, err
}

// pathOf is the canonical path of a URL, which may be relative to the gateway
// or to its API.
func pathOf(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return "", core.Errorf(core.Invalid, "URL %q: the URL of a call is needed, such as /api/org/1/currentTime", text)
	}
	path := u.EscapedPath()
	switch {
	case strings.HasPrefix(path, "/"):
	case strings.HasPrefix(path, "api/"):
		path = "/" + path
	default:
		path = "/api/" + path
	}
	t, err := target.Parse(path, "")
	if err != nil {
		return "", core.WrapError(core.Invalid, err, "URL: %s", core.ErrorMessage(err))
	}
	return t.Path, nil
}
