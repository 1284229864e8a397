package access

import (
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestDecide(t *testing.T) {
	admin := core.Caller{UserID: "u", OrgID: core.SystemOrgID, Rights: core.AllRights()}
	for name, tc := range map[string]struct {
		sys  core.System
		want bool
	}{
		"anybody may call a system without authorization":               {core.System{Enabled: true}, true},
		"nobody may call a system with authorization and without rules": {core.System{Enabled: true, AuthorizationEnabled: true}, false},
		"being a system administrator is no rule":                       {core.System{AuthorizationEnabled: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := new(Policy).Decide(admin, tc.sys, core.Request{Method: "GET", Path: "/api/x"})
			if d.Allowed != tc.want || d.Reason == "" {
				t.Fatalf("got %+v, want allowed %v and a reason", d, tc.want)
			}
		})
	}
}
