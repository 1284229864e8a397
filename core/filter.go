package core

import (
	"slices"
	"strings"
)

// Stage is a hook point of the road: where the system of a filter stands.
type Stage string

// The stages, in the order of the road.
const (
	OnArrival      Stage = "arrival"      // before the caller is known
	OnAuthenticate Stage = "authenticate" // may name the caller
	OnAuthorize    Stage = "authorize"    // may refuse
	OnDispatch     Stage = "dispatch"     // may change or answer the request
	OnResponse     Stage = "response"     // sees the answer and may change it
	OnLog          Stage = "log"          // sees what happened, changes nothing
)

// Stages returns all stages in the order of the road.
func Stages() []Stage {
	return []Stage{OnArrival, OnAuthenticate, OnAuthorize, OnDispatch, OnResponse, OnLog}
}

// Scope says below which part of the URL space a pattern matches.
type Scope string

// The scopes. A pattern of ScopeAPI matches the whole path; the others match
// what follows their own prefix.
const (
	ScopeAPI      Scope = "API"             // any path that is not reserved and not below the other three
	ScopeExtAPI   Scope = "EXT_API"         // /ext-api
	ScopeProvider Scope = "EXT_UI_PROVIDER" // /ext-ui/provider
	ScopeTenant   Scope = "EXT_UI_TENANT"   // /ext-ui/tenant/<organisation>
)

// Scopes returns all scopes.
func Scopes() []Scope { return []Scope{ScopeAPI, ScopeExtAPI, ScopeProvider, ScopeTenant} }

// FilterPrefix is the URN prefix of filters.
const FilterPrefix = "urn:vcloud:apiFilter:"

// MaxPattern is the greatest length of a URL pattern, in characters.
const MaxPattern = 1024

// Filter is the rule for which messages go to which system: by the URL of the
// request or by the content type of the response, never both.
type Filter struct {
	Meta
	ID, System          string // System is the system's id
	Stage               Stage
	Scope               Scope  // of URLPattern
	URLPattern          string // a java.util.regex pattern, matched against the whole path
	ResponseContentType string
}

// ByURL reports whether the filter matches the URL, not the response.
func (f Filter) ByURL() bool { return f.ResponseContentType == "" }

// Validate checks what a filter can be judged by alone. That its pattern can
// be run, and that its system exists and may stand at its stage, is checked
// where filters are registered.
func (f Filter) Validate() error {
	switch {
	case f.URLPattern != "" && f.ResponseContentType != "":
		return Errorf(Invalid, "urlPattern and responseContentType exclude each other: give one of them")
	case f.URLPattern == "" && f.ResponseContentType == "":
		return Errorf(Invalid, "a filter needs a urlPattern or a responseContentType")
	case len([]rune(f.URLPattern)) > MaxPattern:
		return Errorf(Invalid, "urlPattern: at most %d characters are allowed", MaxPattern)
	case len(f.ResponseContentType) > 255:
		return Errorf(Invalid, "responseContentType: at most 255 characters are allowed")
	case f.ByURL() && !slices.Contains(Scopes(), f.Scope):
		return Errorf(Invalid, "urlScope %q: one of API, EXT_API, EXT_UI_PROVIDER, EXT_UI_TENANT is needed", f.Scope)
	case !f.ByURL() && f.Scope != "":
		return Errorf(Invalid, "urlScope goes with a urlPattern, not with a responseContentType")
	case !slices.Contains(Stages(), f.Stage):
		return Errorf(Invalid, "stage %q is none of the stages of the road", f.Stage)
	case f.ByURL() == (f.Stage == OnResponse):
		return Errorf(Invalid, "stage %q: a responseContentType belongs to stage %q and a urlPattern to any other", f.Stage, OnResponse)
	}
	return f.validContentType()
}

func (f Filter) validContentType() error {
	if f.ByURL() {
		return nil
	}
	kind, sub, ok := strings.Cut(strings.TrimSpace(strings.SplitN(f.ResponseContentType, ";", 2)[0]), "/")
	if !ok || kind == "" || sub == "" || strings.ContainsAny(kind+sub, " \t\r\n,") {
		return Errorf(Invalid, "responseContentType %q is not a MIME type such as application/json;version=38.0", f.ResponseContentType)
	}
	return nil
}
