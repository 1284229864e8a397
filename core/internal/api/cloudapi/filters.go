package cloudapi

import (
	"github.com/annex-gateway/annex/core"
)

// filterForm is an API filter in JSON. Stage is a member of ours, shown for
// the filters of WASM modules only.
type filterForm struct {
	ID                  string     `json:"id"`
	ExternalSystem      *reference `json:"externalSystem"`
	URLMatcher          *matcher   `json:"urlMatcher"`
	ResponseContentType *string    `json:"responseContentType"`
	Stage               string     `json:"stage,omitzero"`
}

type matcher struct {
	URLPattern string `json:"urlPattern"`
	URLScope   string `json:"urlScope"`
}

func (a *cloud) filters() resource[core.Filter, filterForm] {
	build := func(_ actor, in filterForm) (core.Filter, error) { return mergeFilter(in, core.Filter{}) }
	return resource[core.Filter, filterForm]{
		path: filtersPath, noun: "API filter", table: a.Catalog.Filters,
		id:   func(f core.Filter) string { return f.ID },
		meta: func(f core.Filter) core.Meta { return f.Meta },
		attributes: attributes[core.Filter]{
			"id":                    text(func(f core.Filter) string { return f.ID }),
			"externalSystem.id":     text(func(f core.Filter) string { return f.System }),
			"externalSystem.name":   text(func(f core.Filter) string { return systemOf(f.System).Name }),
			"urlMatcher.urlPattern": text(func(f core.Filter) string { return f.URLPattern }),
			"urlMatcher.urlScope":   text(func(f core.Filter) string { return string(f.Scope) }),
			"responseContentType":   text(func(f core.Filter) string { return f.ResponseContentType }),
			"stage":                 text(func(f core.Filter) string { return string(f.Stage) }),
		},
		encode: a.encodeFilter,
		build:  build,
		merge:  mergeFilter,
	}
}

func (a *cloud) encodeFilter(f core.Filter) filterForm {
	out := filterForm{
		ID:                  f.ID,
		ExternalSystem:      &reference{Name: systemOf(f.System).Name, ID: f.System},
		ResponseContentType: textOrNull(f.ResponseContentType),
	}
	if f.ByURL() {
		out.URLMatcher = &matcher{URLPattern: f.URLPattern, URLScope: string(f.Scope)}
	}
	if e, ok := a.Live.View().System(f.System); ok && e.System.Kind == core.KindWASM {
		out.Stage = string(f.Stage)
	}
	return out
}

// mergeFilter makes a filter of what a client sends, which replaces the old
// one. The stage alone, of which most clients know nothing, stays where it was
// as long as it still can.
func mergeFilter(in filterForm, old core.Filter) (core.Filter, error) {
	f := core.Filter{Stage: core.Stage(in.Stage)}
	if in.ExternalSystem == nil || in.ExternalSystem.ID == "" {
		return f, core.Errorf(core.Invalid, "externalSystem: the id of an external service or endpoint is missing: {\"externalSystem\":{\"id\":\"urn:vcloud:…\"}}")
	}
	f.System = in.ExternalSystem.ID
	if in.URLMatcher != nil {
		f.URLPattern, f.Scope = in.URLMatcher.URLPattern, core.Scope(in.URLMatcher.URLScope)
		if f.URLPattern == "" {
			return f, core.Errorf(core.Invalid, "urlMatcher.urlPattern: it is missing; leave urlMatcher out to match responses")
		}
	}
	f.ResponseContentType = or(in.ResponseContentType, "")
	if f.Stage == "" && f.System == old.System && f.ByURL() == old.ByURL() {
		f.Stage = old.Stage
	}
	return f, nil
}
