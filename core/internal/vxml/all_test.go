package vxml

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestAllGivesTheChildrenOfOneName(t *testing.T) {
	for name, c := range map[string]struct {
		contentType, body string
		count             int // -1: refused
	}{
		"several":                  {"", `<Files><F/><F/><F/></Files>`, 3},
		"none":                     {"", `<Files/>`, 0},
		"links and extensions too": {"", `<Files><VCloudExtension/><Link rel="a"/><F/></Files>`, 1},
		"others":                   {"", `<Files><F/><G/></Files>`, -1},
		"in JSON":                  {"application/json", `{"f":[{},{}],"href":"x"}`, 2},
		"in JSON, others":          {"application/json", `{"f":[{}],"g":1}`, -1},
	} {
		e, err := Parse(c.contentType, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.All("F")
		if c.count < 0 && core.ErrorCode(err) != core.Invalid || c.count >= 0 && (err != nil || len(got) != c.count) {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
	}
}

func TestARootOfAnUnknownNamespaceIsRefused(t *testing.T) {
	for body, ok := range map[string]bool{
		`<a xmlns="` + NamespaceVCloud + `"/>`:        true,
		`<x:a xmlns:x="` + NamespaceExtension + `"/>`: true,
		`<a/>`:                   true,
		`<vmext:a/>`:             true,
		`<a xmlns="urn:other"/>`: false,
		`<x:a xmlns:x="http://elsewhere.example/v1"/>`: false,
	} {
		if _, err := ParseXML([]byte(body)); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAnErrorDoesNotEchoALongText(t *testing.T) {
	w := httptest.NewRecorder()
	WriteError(w, nil, "id", core.Errorf(core.Invalid, "no %s", strings.Repeat("ä", 1<<20)))
	if w.Body.Len() > 4096 || !strings.Contains(w.Body.String(), "[ id ] no ää") {
		t.Errorf("%d bytes: %.100s", w.Body.Len(), w.Body)
	}
}
