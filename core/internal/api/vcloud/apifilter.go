package vcloud

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// apiFilters are the filters of services. Posting one adds one; none can be
// changed.
func apiFilters() spec[core.Filter] {
	return spec[core.Filter]{
		word: "apifilter", parent: "service", lists: []string{"apifilters"}, container: "ApiFilters",
		root: "ApiFilter", media: mediaAdmin + "apiFilter", prefix: core.FilterPrefix,
		fields:   []string{"UrlPattern", "ResponseContentType"},
		id:       func(f core.Filter) string { return f.ID },
		meta:     func(f *core.Filter) *core.Meta { return &f.Meta },
		parentOf: func(f core.Filter) string { return f.System },
		decode:   decodeAPIFilter,
		encode: func(_ *call, e *vxml.Element, f core.Filter) error {
			e.Leaf("UrlPattern", f.URLPattern).Leaf("ResponseContentType", f.ResponseContentType)
			return nil
		},
		rows: alone(records.Filters()),
	}
}

func decodeAPIFilter(body *vxml.Element, service string) (core.Filter, error) {
	f := core.Filter{
		System:              service,
		URLPattern:          onOneLine(body.Value("UrlPattern")),
		ResponseContentType: body.Value("ResponseContentType"),
	}
	if f.URLPattern != "" {
		f.Scope = core.ScopeAPI
	}
	return f, nil
}

// onOneLine joins the lines of a pattern that was copied out of a document,
// where it was broken to fit the page: no URL holds a line break.
func onOneLine(pattern string) string {
	if !strings.ContainsAny(pattern, "\r\n") {
		return pattern
	}
	var b strings.Builder
	for line := range strings.FieldsFuncSeq(pattern, func(r rune) bool { return r == '\r' || r == '\n' }) {
		b.WriteString(strings.TrimSpace(line))
	}
	return b.String()
}
