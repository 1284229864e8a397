package cloudapi

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/query"
	"github.com/annex-gateway/annex/core/internal/target"
)

// explainForm asks where a call would go.
type explainForm struct {
	Method      string `json:"method"`      // GET by default
	URL         string `json:"url"`         // a path with or without a query, or a whole address
	User        string `json:"user"`        // user@organisation or a URN; the caller by default
	ContentType string `json:"contentType"` // of a response
}

// explanation is where a call would go and why.
type explanation struct {
	Method string    `json:"method"`
	Path   string    `json:"path"` // the canonical one, that patterns look at
	User   reference `json:"user"`
	// ContentType is what was asked about. It leads to who would process such
	// a response; of a request it decides nothing.
	ContentType *string   `json:"contentType"`
	Scope       string    `json:"scope"`
	Tenant      *string   `json:"tenant"`
	Allowed     bool      `json:"allowed"`
	Refusal     *string   `json:"refusal"`
	Before      []place   `json:"before"`
	Dispatch    []place   `json:"dispatch"`
	Native      bool      `json:"native"`
	Response    []place   `json:"response"`
	Checks      []check   `json:"checks"`
	Filters     []verdict `json:"filters"`
}

type place struct {
	System   string `json:"system"`
	Filter   string `json:"filter"`
	Stage    string `json:"stage"`
	Priority int    `json:"priority"`
}

type check struct {
	System  string          `json:"system"`
	Allowed bool            `json:"allowed"`
	Reason  string          `json:"reason"`
	Actions []actionVerdict `json:"actions"`
}

type actionVerdict struct {
	Action   string  `json:"action"`
	Resource *string `json:"resource"`
	Owner    *string `json:"owner"`
	Rule     *string `json:"rule"`
	Reason   *string `json:"reason"`
}

type verdict struct {
	Filter              string  `json:"filter"`
	System              string  `json:"system"`
	Stage               string  `json:"stage"`
	URLScope            *string `json:"urlScope"`
	URLPattern          *string `json:"urlPattern"`
	ResponseContentType *string `json:"responseContentType"`
	Matched             bool    `json:"matched"`
	Reason              *string `json:"reason"`
}

// mountExplain serves what tells where calls go, if there is somebody who
// knows.
func (a *cloud) mountExplain(e *echo.Echo) {
	if a.Explain == nil {
		return
	}
	a.route(e, explainPath, verbs{
		http.MethodGet: func(c echo.Context) error {
			q, err := query.Parse(c.Request().URL.RawQuery)
			if err != nil {
				return err
			}
			var in explainForm
			for name, field := range map[string]*string{"method": &in.Method, "url": &in.URL, "user": &in.User, "contentType": &in.ContentType} {
				if *field, err = q.One(name); err != nil {
					return err
				}
			}
			return a.explain(c, in)
		},
		http.MethodPost: func(c echo.Context) error {
			in, err := decode[explainForm](a, c)
			if err != nil {
				return err
			}
			return a.explain(c, in)
		},
	})
}

func (a *cloud) explain(c echo.Context, in explainForm) error {
	q, err := a.explainQuery(c, in)
	if err != nil {
		return err
	}
	x := a.Explain(c.Request().Context(), q)
	out := explanation{
		Method: q.Request.Method, Path: q.Request.Path, User: reference{Name: q.Caller.UserName + "@" + q.Caller.OrgName, ID: q.Caller.UserID},
		ContentType: textOrNull(q.ContentType), Scope: string(x.Scope), Tenant: textOrNull(x.Tenant), Allowed: x.Allowed, Refusal: textOrNull(x.Refusal), Native: x.Native,
		Before: places(x.Before), Dispatch: places(x.Dispatch), Response: places(x.Response), Checks: []check{}, Filters: []verdict{},
	}
	for _, k := range x.Checks {
		out.Checks = append(out.Checks, checkForm(k))
	}
	for _, v := range x.Filters {
		out.Filters = append(out.Filters, verdict{
			Filter: v.Filter.ID, System: v.Filter.System, Stage: string(v.Filter.Stage), URLScope: textOrNull(string(v.Filter.Scope)),
			URLPattern: textOrNull(v.Filter.URLPattern), ResponseContentType: textOrNull(v.Filter.ResponseContentType),
			Matched: v.Matched, Reason: textOrNull(v.Reason),
		})
	}
	return answer(c, http.StatusOK, out)
}

func places(all []core.Place) []place {
	out := []place{}
	for _, p := range all {
		out = append(out, place{System: p.System, Filter: p.Filter, Stage: string(p.Stage), Priority: p.Priority})
	}
	return out
}

func checkForm(k core.AccessVerdict) check {
	out := check{System: k.System, Allowed: k.Allowed, Reason: k.Reason, Actions: []actionVerdict{}}
	for _, v := range k.Actions {
		out.Actions = append(out.Actions, actionVerdict{
			Action: v.Action, Resource: textOrNull(v.Resource), Owner: textOrNull(v.Owner), Rule: textOrNull(v.Rule), Reason: textOrNull(v.Reason),
		})
	}
	return out
}

// explainQuery reads the form as the edge would read such a call.
func (a *cloud) explainQuery(c echo.Context, in explainForm) (core.ExplainQuery, error) {
	q := core.ExplainQuery{Caller: api.Caller(c), ContentType: in.ContentType}
	q.Request = core.Request{Method: in.Method, Header: core.NewHeader("Accept", "*/*")}
	if in.Method == "" {
		q.Request.Method = http.MethodGet
	}
	if err := target.CheckMethod(q.Request.Method); err != nil {
		return q, err
	}
	if in.URL == "" {
		return q, core.Errorf(core.Invalid, "url: the path or the address of the call is missing, such as /api/org")
	}
	_, host, _ := strings.Cut(in.URL, "://")
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	t, err := target.Parse(in.URL, host)
	if err != nil {
		return q, core.WrapError(core.ErrorCode(err), err, "url: %s", core.ErrorMessage(err))
	}
	q.Request.Path, q.Request.RawPath, q.Request.RawQuery = t.Path, t.RawPath, t.RawQuery
	if in.User != "" {
		q.Caller, err = a.callerNamed(in.User)
	}
	return q, err
}

// callerNamed finds a user by URN or by name and organisation.
func (a *cloud) callerNamed(user string) (core.Caller, error) {
	directory, id := a.Live.View().Directory, user
	if !strings.HasPrefix(user, core.UserPrefix) {
		at := strings.LastIndexByte(user, '@')
		if at < 0 {
			return core.Caller{}, core.Errorf(core.Invalid, "user %q: give user@organisation, or the user's URN", user)
		}
		org, ok := directory.OrgByName(user[at+1:])
		if !ok {
			return core.Caller{}, core.Errorf(core.Invalid, "user %q: there is no organisation %q", user, user[at+1:])
		}
		u, _ := directory.UserByName(org.ID, user[:at])
		id = u.ID
	}
	caller, ok := directory.Caller(id)
	if !ok {
		return caller, core.Errorf(core.Invalid, "user %q: there is no such user, or the user or the organisation is disabled", user)
	}
	return caller, nil
}
