package catalog

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage/memory"
)

// backup is a service of the older flavour.
func backup(namespace, key string) core.System {
	return core.System{
		Kind: core.KindAMQP, Vendor: "Acme, Inc.", Name: "Backup service", Namespace: namespace, Priority: 50,
		Settings: core.EncodeSettings(core.AMQPSettings{Exchange: "x", RoutingKey: key}),
	}
}

func TestServicesOnAMQPAreKeptByAGatewayWithoutABroker(t *testing.T) {
	c := open(t, memory.New())
	s := mustCreate(t, c.Systems, backup("com.acme.backup", "k"))
	if s.ID != core.ServicePrefix+"com.acme.backup" || s.Triplet() != "com.acme.backup" {
		t.Errorf("made %+v", s)
	}
	mustCreate(t, c.Filters, core.Filter{System: s.ID, Scope: core.ScopeAPI, URLPattern: "/api/backup"})
	mustCreate(t, c.Filters, core.Filter{System: s.ID, ResponseContentType: "text/plain"})
	if _, err := c.Filters.Create(t.Context(), "", core.Filter{System: s.ID, Stage: core.OnAuthorize, Scope: core.ScopeAPI, URLPattern: "/x"}); core.ErrorCode(err) != core.Invalid {
		t.Errorf("a stage that it cannot serve: %v", err)
	}

	// Vendor and name are texts and may change; the namespace stays.
	got, err := c.Systems.Update(t.Context(), "", s.ID, nil, func(s core.System) (core.System, error) {
		s.Vendor, s.Name, s.Namespace = "Other", "Renamed", "com.other"
		return s, nil
	})
	if err != nil || got.Vendor != "Other" || got.Name != "Renamed" || got.Namespace != "com.acme.backup" || got.ID != s.ID {
		t.Errorf("changed to %+v, %v", got, err)
	}

	for name, tc := range map[string]struct {
		sys  core.System
		code core.Code
		want string
	}{
		"the same namespace":      {backup("com.acme.backup", "other"), core.Conflict, "exists"},
		"the same routing key":    {backup("com.acme.other", "k"), core.Conflict, "RoutingKey"},
		"no routing key":          {backup("com.acme.other", ""), core.Invalid, "RoutingKey"},
		"a routing key too long":  {backup("com.acme.other", strings.Repeat("k", 256)), core.Invalid, "RoutingKey"},
		"no namespace":            {backup("", "other"), core.Invalid, "namespace"},
		"a namespace of the core": {backup("com.vmware.vcloud", "other"), core.Invalid, "reserved"},
		"a namespace with colons": {backup("a:b", "other"), core.Invalid, "namespace"},
		"a kind that nobody has":  {core.System{Kind: "smoke", Vendor: "a", Name: "b", Version: "1.0.0"}, core.Invalid, "smoke"},
	} {
		if _, err := c.Systems.Create(t.Context(), "", tc.sys); core.ErrorCode(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
