package vcloud

import (
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// Whatever stands in a body, reading it ends in an entity or in an error that
// a client may see.
func FuzzBodiesAreReadOrRefused(f *testing.F) {
	for _, body := range []string{
		bodyFilter, bodyLink, bodyClass, bodyAction, bodyDefinition, bodyFile, bodyService("a", "b", bodyNested),
		bodyRule(core.RightPrefix + core.NewUUID()), bodyResource(core.SystemOrgID),
	} {
		f.Add("application/xml", body)
	}
	f.Add("application/json", `{"name":"a","org":{"href":"x"},"file":{"href":"/"},"organizationAccess":{"access":"Entity","entity":{"id":"urn:vcloud:org:1"}}}`)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		e, err := vxml.Parse(contentType, []byte(body))
		if err != nil {
			return
		}
		_, filter := decodeAPIFilter(e, "s")
		_, definition := decodeDefinition(e, "s")
		_, file := decodeFile(e, "d")
		_, rule := decodeRule(e, "a")
		_, resource := serviceResources().decode(e, "c")
		_, right := decodeRight(e, "ns")
		_, service := applyService(e, core.System{Kind: core.KindAMQP})
		for _, err := range []error{filter, definition, file, rule, resource, right, service} {
			if err != nil && core.ErrorCode(err) != core.Invalid {
				t.Errorf("refused by %v", err)
			}
		}
	})
}

func FuzzPathsOfChecksAreCanonical(f *testing.F) {
	for _, url := range []string{"/api/x", "api/x", "x?y", "https://h/api/%41", "/../x", "%zz", ""} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		path, err := pathOf(url)
		if err == nil && (path == "" || path[0] != '/') || err != nil && core.ErrorCode(err) != core.Invalid {
			t.Errorf("%q gives %q, %v", url, path, err)
		}
	})
}
