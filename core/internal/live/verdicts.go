package live

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/match"
)

// Verdicts tells, for every filter there is, whether it matches a call to
// rest below scope, or a response of that content type, and why not. The
// answer is that of the index itself, asked about one filter at a time.
func (v *View) Verdicts(scope core.Scope, rest, contentType string) []core.FilterVerdict {
	var out []core.FilterVerdict
	for _, f := range v.filters.All() {
		reason := v.verdict(f, scope, rest, contentType)
		out = append(out, core.FilterVerdict{Filter: f.filter, Matched: reason == "", Reason: reason})
	}
	slices.SortFunc(out, func(a, b core.FilterVerdict) int { return strings.Compare(a.Filter.ID, b.Filter.ID) })
	return out
}

// verdict tells why a filter does not match; empty when it does.
func (v *View) verdict(f compiled, scope core.Scope, rest, contentType string) string {
	var alone match.Table
	alone = alone.With(f.rule)
	e, ok := v.systems.Get(f.filter.System)
	switch {
	case !ok:
		return "its system is gone"
	case !e.System.Enabled:
		return "its system is disabled"
	case !f.filter.ByURL() && contentType == "":
		return "it looks at the content type of responses, and none was given"
	case !f.filter.ByURL():
		if len(alone.ByContentType(nil, f.filter.Stage, contentType)) == 0 {
			return "its content type is another"
		}
		return ""
	case f.filter.Scope != scope:
		return "its scope is " + string(f.filter.Scope) + ", and the path lies below " + string(scope)
	}
	hits, err := alone.ByURL(nil, f.filter.Stage, scope, rest)
	switch {
	case err != nil:
		return core.ErrorMessage(err)
	case len(hits) == 0:
		return "its pattern does not match the whole path"
	}
	return ""
}
