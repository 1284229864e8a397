package vxml_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

func TestAcceptHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accept []string
		want   string // of an organisation
	}{
		"none":                      {nil, "+xml;version=39.0"},
		"empty":                     {[]string{""}, "+xml;version=39.0"},
		"anything":                  {[]string{"*/*"}, "+xml;version=39.0"},
		"any XML in a version":      {[]string{"application/*+xml;version=37.0"}, "+xml;version=37.0"},
		"any XML without a version": {[]string{"application/*+xml"}, "+xml;version=39.0"},
		"any type in a version":     {[]string{"application/*;version=37.0"}, "+xml;version=37.0"},
		"two headers, one malformed, of a real one": {[]string{"application/*+xml;version=37.0", "vnd.vmware.vcloud.org+xml;version=37.0"}, "+xml;version=37.0"},
		"two headers at logout":                     {[]string{"application/*+xml;version=37.0", "application/xml;version=37.0"}, "+xml;version=37.0"},
		"the first known version counts":            {[]string{"a/b;version=77.0, a/b;version=38.1, a/b;version=36.0"}, "+xml;version=38.1"},
		"an empty version":                          {[]string{"application/json;version="}, "+json;version=39.0"},
		"any JSON":                                  {[]string{"application/*+json;version=38.1"}, "+json;version=38.1"},
		"plain JSON":                                {[]string{"application/json;version=36.0"}, "+json;version=36.0"},
		"JSON and XML":                              {[]string{"application/*+json;version=38.0, application/*+xml;version=38.0"}, "+xml;version=38.0"},
		"JSON and refused XML":                      {[]string{"application/*+json, application/*+xml;q=0"}, "+json;version=39.0"},
		"refused JSON":                              {[]string{"application/*+json;q=0.0"}, "+xml;version=39.0"},
		"a browser":                                 {[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, "+xml;version=39.0"},
		"the type by name":                          {[]string{"application/vnd.vmware.vcloud.org+json;version=38.0"}, "+json;version=38.0"},
		"upper case and spaces":                     {[]string{" Application/*+JSON ; VERSION = 38.0 "}, "+json;version=38.0"},
		"a quoted version":                          {[]string{`application/*+xml;version="38.0"`}, "+xml;version=38.0"},
		"an alpha suffix":                           {[]string{"application/json;version=39.0.0-alpha"}, "+json;version=39.0.0-alpha"},
		"an alpha suffix with a date":               {[]string{"application/*+xml;version=38.0.0-alpha-1652216327"}, "+xml;version=38.0.0-alpha-1652216327"},
		"an alpha suffix of an unknown version":     {[]string{"application/*+xml;version=40.0.0-alpha"}, "+xml;version=39.0"},
		"the oldest":                                {[]string{"application/*+xml;version=1.5"}, "+xml;version=1.5"},
		"5.1":                                       {[]string{"application/*+xml;version=5.1"}, "+xml;version=5.1"},
		"5.5":                                       {[]string{"application/*+xml;version=5.5"}, "+xml;version=5.5"},
		"9.0":                                       {[]string{"application/*+xml;version=9.0"}, "+xml;version=9.0"},
		"34.0":                                      {[]string{"application/*+xml;version=34.0"}, "+xml;version=34.0"},
		"one that is older still":                   {[]string{"application/*+xml;version=1.0"}, "+xml;version=39.0"},
		"one between listed ones":                   {[]string{"application/*+xml;version=37.2"}, "+xml;version=39.0"},
		"one of the successor product":              {[]string{"application/*+xml;version=40.0"}, "+xml;version=39.0"},
		"no number":                                 {[]string{"application/*+xml;version=latest"}, "+xml;version=39.0"},
		"a version that would break the header":     {[]string{"application/*+xml;version=38.0\r\nX: y"}, "+xml;version=39.0"},
		"a suffix that would break the header":      {[]string{"application/*+xml;version=38.0-alpha\"x"}, "+xml;version=39.0"},
		"nothing but separators":                    {[]string{";,;,=;;", ",,,"}, "+xml;version=39.0"},
		"what comes after very many types is ignored": {[]string{fmt.Sprintf("%0*d", 5000, 0), manyRanges(100) + "application/json;version=36.0"}, "+xml;version=39.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := vxml.Choose(c.accept).ContentType(vxml.MediaOrg); got != vxml.MediaOrg+c.want {
				t.Fatalf("%q is answered with %q, want %q", c.accept, got, vxml.MediaOrg+c.want)
			}
		})
	}
}

func manyRanges(n int) (s string) {
	for range n {
		s += "a/b,"
	}
	return s
}

func TestErrorsHaveTheFormThatClientsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		minor  string
		text   string
	}{
		"invalid":           {core.Errorf(core.Invalid, "bad \"thing\" <&>"), 400, "BAD_REQUEST", `bad "thing" <&>`},
		"unauthenticated":   {core.Errorf(core.Unauthenticated, "who?"), 401, "UNAUTHORIZED", "who?"},
		"forbidden":         {core.Errorf(core.Forbidden, "no"), 403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "no"},
		"not found":         {core.Errorf(core.NotFound, "no"), 404, "RESOURCE_NOT_FOUND", "no"},
		"not allowed":       {vxml.NotAllowed("PUT", "/api/org", "GET", "HEAD"), 405, "METHOD_NOT_ALLOWED", "PUT is not possible on /api/org; it takes GET, HEAD"},
		"conflict":          {core.Errorf(core.Conflict, "no"), 409, "CONFLICT", "no"},
		"stale":             {core.Errorf(core.Stale, "no"), 412, "PRECONDITION_FAILED", "no"},
		"too large":         {core.Errorf(core.TooLarge, "no"), 413, "REQUEST_TOO_LARGE", "no"},
		"too long":          {core.Errorf(core.TooLong, "no"), 414, "URI_TOO_LONG", "no"},
		"unsupported":       {core.Errorf(core.UnsupportedMedia, "no"), 415, "UNSUPPORTED_MEDIA_TYPE", "no"},
		"too many":          {core.Errorf(core.TooMany, "no"), 429, "TOO_MANY_REQUESTS", "no"},
		"unavailable":       {core.Errorf(core.Unavailable, "no"), 503, "SERVICE_UNAVAILABLE", "no"},
		"timeout":           {core.Errorf(core.Timeout, "no"), 504, "GATEWAY_TIMEOUT", "no"},
		"a deadline":        {context.DeadlineExceeded, 504, "GATEWAY_TIMEOUT", "the time limit of the call has passed"},
		"bad upstream":      {core.Errorf(core.BadUpstream, "no"), 503, "BAD_UPSTREAM", "no"},
		"read only":         {core.Errorf(core.ReadOnly, "no"), 503, "INSUFFICIENT_STORAGE", "no"},
		"a foreign error":   {errors.New("secret"), 500, "INTERNAL_SERVER_ERROR", "internal error; the gateway's log has the details under the request id"},
		"an unknown code":   {core.Errorf("new", "no"), 500, "INTERNAL_SERVER_ERROR", "no"},
		"a word of its own": {&core.Error{Code: core.Timeout, Message: "no", Minor: "OWN"}, 504, "OWN", "no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			message := "[ id-1 ] " + c.text

			w := httptest.NewRecorder()
			vxml.WriteError(w, []string{"application/*+xml;version=37.0"}, "id-1", c.err)
			var x struct {
				XMLName xml.Name `xml:"http://www.vmware.com/vcloud/v1.5 Error"`
				Message string   `xml:"message,attr"`
				Major   int      `xml:"majorErrorCode,attr"`
				Minor   string   `xml:"minorErrorCode,attr"`
			}
			if err := xml.Unmarshal(w.Body.Bytes(), &x); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			if w.Code != c.status || x.Major != c.status || x.Minor != c.minor || x.Message != message {
				t.Fatalf("status %d and %+v", w.Code, x)
			}
			checkHeaders(t, w, "application/vnd.vmware.vcloud.error+xml;version=37.0")

			w = httptest.NewRecorder()
			vxml.WriteError(w, []string{"application/*+json;version=37.0"}, "id-1", c.err)
			var j struct {
				Message string `json:"message"`
				Major   int    `json:"majorErrorCode"`
				Minor   string `json:"minorErrorCode"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &j); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			if w.Code != c.status || j.Major != c.status || j.Minor != c.minor || j.Message != message {
				t.Fatalf("status %d and %+v", w.Code, j)
			}
			checkHeaders(t, w, "application/vnd.vmware.vcloud.error+json;version=37.0")
			if allow := w.Header().Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (allow == "GET, HEAD") {
				t.Fatalf("Allow: %q", allow)
			}
		})
	}
}

func checkHeaders(t *testing.T, w *httptest.ResponseRecorder, contentType string) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != contentType {
		t.Fatalf("Content-Type %q, want %q", got, contentType)
	}
	if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
		t.Fatalf("Content-Length %s for %d bytes", got, w.Body.Len())
	}
}

func TestTheTwinsSayTheSame(t *testing.T) {
	t.Parallel()
	e := vxml.Extension("ApiDefinition").
		Set("name", "n & <m>").Set("empty", "").SetInt("size", 3).SetBool("on", true).
		Set("type", "application/vnd.vmware.admin.apiDefinition+xml").
		Add(vxml.Links("up", "https://h/a?b=c&d", "application/vnd.vmware.admin.service", "s")...).
		Description("two\nlines").
		Leaf("EntryPoint", "{baseUri}/x").Leaf("Namespace", "").
		LeafInt("Number", 7).LeafBool("Enabled", false).
		Add(vxml.Extension("Files")).
		Lists("link", "other")
	const wantXML = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<vmext:ApiDefinition xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" name="n &amp; &lt;m&gt;" size="3" on="true" type="application/vnd.vmware.admin.apiDefinition+xml">
    <Link rel="up" href="https://h/a?b=c&amp;d" type="application/vnd.vmware.admin.service+xml" name="s"/>
    <Link rel="up" href="https://h/a?b=c&amp;d" type="application/vnd.vmware.admin.service+json" name="s"/>
    <Description>two&#xA;lines</Description>
    <vmext:EntryPoint>{baseUri}/x</vmext:EntryPoint>
    <vmext:Number>7</vmext:Number>
    <vmext:Enabled>false</vmext:Enabled>
    <vmext:Files/>
</vmext:ApiDefinition>
`
	const wantJSON = `{"name":"n & <m>","size":3,"on":true,"type":"application/vnd.vmware.admin.apiDefinition+json",` +
		`"link":[{"rel":"up","href":"https://h/a?b=c&d","type":"application/vnd.vmware.admin.service+xml","name":"s"},` +
		`{"rel":"up","href":"https://h/a?b=c&d","type":"application/vnd.vmware.admin.service+json","name":"s"}],` +
		`"description":"two\nlines","entryPoint":"{baseUri}/x","number":7,"enabled":false,"files":{},"other":[]}` + "\n"
	if got := string(vxml.EncodeXML(e)); got != wantXML {
		t.Errorf("XML is\n%s\nwant\n%s", got, wantXML)
	}
	if got := string(vxml.EncodeJSON(e)); got != wantJSON {
		t.Errorf("JSON is\n%s\nwant\n%s", got, wantJSON)
	}
}
