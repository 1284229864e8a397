package version_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core/internal/api/version"
)

func TestNegotiateGivesWhatWasAskedForOrTheHighest(t *testing.T) {
	tests := []struct {
		name   string
		accept []string
		want   string
	}{
		{"no Accept", nil, "39.0"},
		{"an empty Accept", []string{""}, "39.0"},
		{"any type in a version", []string{"application/*;version=37.0"}, "37.0"},
		{"blanks and capitals", []string{"application/json ; Version = 36.0"}, "36.0"},
		{"a quoted version", []string{`application/json;version="38.1"`}, "38.1"},
		{"an empty version", []string{"application/json;version="}, "39.0"},
		{"no version", []string{"application/json"}, "39.0"},
		{"a version that is not listed", []string{"application/json;version=34.0"}, "39.0"},
		{"a version of the future", []string{"application/json;version=40.0"}, "39.0"},
		{"an alpha version", []string{"application/json;version=39.0.0-alpha"}, "39.0.0-alpha"},
		{"a numbered alpha version", []string{"application/json;version=39.0.0-alpha-1723"}, "39.0.0-alpha-1723"},
		{"a short alpha version", []string{"application/json;version=38.1-alpha"}, "38.1-alpha"},
		{"an alpha version that is not listed", []string{"application/json;version=41.0.0-alpha"}, "39.0"},
		{"another suffix", []string{"application/json;version=39.0.0-beta"}, "39.0"},
		{"two headers", []string{"application/*+xml;version=37.0", "vnd.vmware.vcloud.org+xml;version=37.0"}, "37.0"},
		{"the first that is listed", []string{"a/b;version=1.0,a/c;version=38.0", "a/d;version=36.0"}, "38.0"},
		{"nonsense", []string{";;=,,version", "%"}, "39.0"},
		{"a version to split headers with", []string{"a/b;version=38.0\r\nX: y"}, "39.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := version.Negotiate(tt.accept); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Real clients break on a list without 37.0, with less than 38.1 at its top,
// with 40.0 in it, or without 35.0 and 36.0.
func TestListIsOneThatAllClientsCanUse(t *testing.T) {
	list := version.List()
	for _, v := range []string{"35.0", "36.0", "37.0", "38.1"} {
		if !slices.Contains(list, v) {
			t.Errorf("%v has no %s", list, v)
		}
	}
	if !slices.IsSorted(list) || list[len(list)-1] != version.Highest || strings.HasPrefix(version.Highest, "4") {
		t.Errorf("%v is not ascending to %s", list, version.Highest)
	}
}

func FuzzNegotiateGivesWhatMayStandInAHeader(f *testing.F) {
	f.Add("application/json;version=39.0.0-alpha")
	f.Fuzz(func(t *testing.T, accept string) {
		if v := version.Negotiate([]string{accept}); v == "" || len(v) > 32 || strings.ContainsAny(v, "\r\n\";, ") {
			t.Errorf("%q gives %q", accept, v)
		}
	})
}
