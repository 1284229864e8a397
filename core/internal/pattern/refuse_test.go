package pattern

import (
	"testing"

	"github.com/annex-gateway/annex/core"
)

// TestGroupsWhoseTextIsUncertainAreRefused holds patterns that Java accepts
// and whose named group may hold different texts in different engines, beside
// close ones that are accepted.
func TestGroupsWhoseTextIsUncertainAreRefused(t *testing.T) {
	for pattern, accepted := range map[string]bool{
		"(?<id>a*)*":                         false,
		"(?<id>a+)*":                         true,
		"(?:(?<id>a)|b*)*":                   false,
		"(?:(?<id>a)|b)*":                    true,
		"(?:/(?<id>a))*":                     false,
		"(?:/(?<id>a))?":                     true,
		"(?:/(?<id>a)){0,1}":                 false,
		"(?:/(?<id>a)(?<!b{1,2}c))+":         false,
		"(?:/(?<id>a+))*":                    true,
		"(?<id>a)*":                          true,
		"(?=(?<id>a))a":                      false,
		"(?=(a))a":                           true,
		`(?=(a))a\1`:                         false,
		"(?>(?<id>a))":                       false,
		"(?<id>a)*+":                         false,
		"(?>a*)b":                            true,
		"(?>(?:a?)*)b":                       false,
		"(?:a?)*+b":                          false,
		"/(?<id>[-,a-g,0-9]+)(?:/[^/]*)*":    true,
		"(?:/api/(?<id>[^/]+)|/ext)(?:/.*)?": true,
	} {
		_, err := Compile(pattern)
		if (err == nil) != accepted || err != nil && core.ErrorCode(err) != core.Invalid {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
