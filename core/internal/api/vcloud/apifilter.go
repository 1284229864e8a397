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
		word: "apifilter", parent: "service", lists: []string{"apifilters"},
		root: "ApiFilter", media: "application/vnd.vmware.admin.apiFilter", prefix: core.FilterPrefix,
		id:       func(f core.Filter) string { return f.ID },
		name:     func(core.Filter) string { return "" },
		revision: func(f core.Filter) uint64 { return f.Revision },
		parentOf: func(f core.Filter) string { return f.System },
		decode:   decodeAPIFilter,
		encode: func(e *vxml.Element, f core.Filter) {
			e.Leaf("UrlPattern", f.URLPattern).Leaf("ResponseContentType", f.ResponseContentType)
		},
		records: records.Filters(),
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
	return f, body.Only("UrlPattern", "ResponseContentType")
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
