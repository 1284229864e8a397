package match

import "github.com/annex-gateway/annex/core"

// Has reports whether there may be rules of that stage. It is false only when
// there is none.
func (t Table) Has(stage core.Stage) bool {
	for _, l := range t.lanes {
		if l.stage == stage && (l.urls != nil || l.types != nil) {
			return true
		}
	}
	return false
}
