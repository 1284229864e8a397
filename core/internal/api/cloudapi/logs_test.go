package cloudapi_test

import (
	"strings"
	"testing"
)

func TestWhatAnExtensionWroteIsRead(t *testing.T) {
	h := newHouse(t)
	const services = "/cloudapi/extensions/api"
	id, _ := h.post(services, `{"name":"guest","version":"1.0.0","vendor":"acme"}`).want(201)["id"].(string)
	for query, last := range map[string]string{"": "false", "?follow=true": "true", "?follow=false": "false"} {
		r := h.get(services + "/" + id + "/logs" + query)
		want := `{"time":"1970-01-01T00:00:01Z","level":"WARN","requestId":"call-1","text":"one <of> ` + id + `"}` + "\n" +
			`{"time":"1970-01-01T00:00:01Z","level":"WARN","requestId":"call-1","text":"` + last + `"}` + "\n"
		if got := string(r.body); r.StatusCode != 200 || got != want || r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%q: got %d %q %v", query, r.StatusCode, got, r.Header)
		}
	}
	h.get(services+"/"+id+"/logs?follow=perhaps").wantError(400, "BAD_REQUEST", "follow")
	h.get(services+"/urn:vcloud:extension-api:no:body:1.0.0/logs").wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "may not see it")
	if r := h.post(services+"/"+id+"/logs", `{}`); r.StatusCode != 405 || !strings.Contains(r.Header.Get("Allow"), "GET") {
		t.Errorf("POST: got %d", r.StatusCode)
	}
}
