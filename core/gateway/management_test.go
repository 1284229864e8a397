package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestOnlyAdministratorsManage is T36 and ruling 35: the check guards the
// prefix, whatever stands below it and whether anything does.
func TestOnlyAdministratorsManage(t *testing.T) {
	h := newHouse(t, nil)
	id := h.service("managed", 50)
	ann, _, _ := h.member("One", "ann")
	made := h.as(h.token, "POST", "/cloudapi/1.0.0/tokens", fmt.Sprintf(`{"name":"x","type":"EXTENSION","extensionId":%q}`, id))
	_, extension, _ := strings.Cut(made.body, `"token":"`)
	extension, _, _ = strings.Cut(extension, `"`)
	uuid := "11111111-1111-4111-8111-111111111111"
	var paths []string
	for _, noun := range []string{
		"1.0.0/externalEndpoints", "1.0.0/apiFilters", "extensions/api", "extensions/modules", "extensions/resourceClasses", "extensions/resourceClassActions",
		"extensions/aclRules", "extensions/serviceResources", "extensions/rights", "extensions/serviceLinks", "extensions/apiDefinitions",
		"extensions/fileDescriptors", "extensions/explain", "extensions/apply", "1.0.0/oidcIssuers", "1.0.0/ssl/trustedCertificates", "nothing", "1.0.0/nothing",
	} {
		paths = append(paths, "/cloudapi/"+noun, "/cloudapi/"+noun+"/"+uuid)
	}
	for _, noun := range []string{"", "/service", "/service/" + uuid, "/service/query", "/apiFilter/" + uuid, "/service/resourceclass/" + uuid, "/nothing"} {
		paths = append(paths, "/api/admin/extension"+noun)
	}
	paths = append(paths, "/cloudapi/extensions/api/"+id)
	for _, path := range paths {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} {
			body := ""
			if method == "POST" || method == "PUT" || method == "PATCH" {
				body = "{}"
			}
			for who, tc := range map[string]struct {
				header []string
				status int
			}{
				"nobody":            {nil, 401},
				"a stranger":        {[]string{"Authorization", "Bearer x"}, 401},
				"a tenant's member": {[]string{"Authorization", "Bearer " + ann}, 403},
				"a service":         {[]string{"Authorization", "Bearer " + extension}, 401},
				"a browser's page":  {[]string{"Cookie", "vcloud_jwt=" + h.token}, 401},
			} {
				if got := h.do(method, path, body, tc.header...); got.status != tc.status {
					t.Errorf("%s %s by %s: %d %s", method, path, who, got.status, got.body)
				}
			}
			if got := h.as(h.token, method, path, body, "Content-Type", "application/json"); got.status == 401 || got.status >= 500 {
				t.Errorf("%s %s by the administrator: %d %s", method, path, got.status, got.body)
			}
		}
	}
}

// TestDocumentsThatCanBeReadInTwoWaysAreRefused is T30 over the wire.
func TestDocumentsThatCanBeReadInTwoWaysAreRefused(t *testing.T) {
	h := newHouse(t, nil)
	const rest = `"vendor":"acme","version":"1.0.0","rootUrl":"https://a.example"`
	for name, body := range map[string]string{
		"a key twice":                  `{"name":"x","enabled":false,"enabled":true,` + rest + `}`,
		"a key in another case":        `{"name":"x","enabled":false,"ENABLED":true,` + rest + `}`,
		"only in another case":         `{"NAME":"x","enabled":true,` + rest + `}`,
		"a key with an escape, twice":  `{"name":"x","n\u0061me":"y","enabled":true,` + rest + `}`,
		"a letter that folds to one":   `{"name":"x","\u017fcope":"y","enabled":true,` + rest + `}`,
		"a key that nobody knows":      `{"name":"x","enabled":true,"colour":"red",` + rest + `}`,
		"a comment":                    `{"name":"x",/* no */"enabled":true,` + rest + `}`,
		"a comment to the line's end":  "{\"name\":\"x\", // no\n\"enabled\":true," + rest + `}`,
		"a comma too many":             `{"name":"x","enabled":true,` + rest + `,}`,
		"two documents":                `{"name":"x","enabled":true,` + rest + `}{}`,
		"rubbish after it":             `{"name":"x","enabled":true,` + rest + `}x`,
		"a list":                       `[{"name":"x","enabled":true,` + rest + `}]`,
		"a text":                       `"x"`,
		"nothing":                      ``,
		"null":                         `null`,
		"a boolean as a text":          `{"name":"x","enabled":"yes",` + rest + `}`,
		"a number as a text":           `{"name":7,"enabled":true,` + rest + `}`,
		"quotes that are none":         `{'name':'x',"enabled":true,` + rest + `}`,
		"a key without quotes":         `{name:"x","enabled":true,` + rest + `}`,
		"not a number":                 `{"name":"x","enabled":true,"priority":NaN,` + rest + `}`,
		"a number beyond all":          `{"name":"x","enabled":true,"priority":1e400,` + rest + `}`,
		"a hexadecimal number":         `{"name":"x","enabled":true,"priority":0x10,` + rest + `}`,
		"half a number":                `{"name":"x","enabled":true,"priority":1.5,` + rest + `}`,
		"a byte that is no UTF-8":      "{\"name\":\"x\xff\",\"enabled\":true," + rest + `}`,
		"half a surrogate":             `{"name":"x\ud800","enabled":true,` + rest + `}`,
		"a control byte in a text":     "{\"name\":\"x\x01\",\"enabled\":true," + rest + `}`,
		"a byte order mark":            "\xef\xbb\xbf" + `{"name":"x","enabled":true,` + rest + `}`,
		"UTF-16":                       "\xff\xfe{\x00}\x00",
		"nesting without end":          strings.Repeat(`{"name":`, 20_000),
		"lists without end":            strings.Repeat(`[`, 50_000),
		"a form":                       `name=x&enabled=true`,
		"a document that breaks off":   `{"name":"x","enabled":tr`,
		"a text that breaks off":       `{"name":"x`,
		"an escape that there is not":  `{"name":"\x41","enabled":true,` + rest + `}`,
		"a NUL after the document":     `{"name":"x","enabled":true,` + rest + "}\x00",
		"a member named like a method": `{"name":"x","enabled":true,"__proto__":{"enabled":false},` + rest + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, h.as(h.token, "POST", "/cloudapi/1.0.0/externalEndpoints", body, "Content-Type", "application/json"), 400, false)
		})
	}
	if got := h.as(h.token, "GET", "/cloudapi/1.0.0/externalEndpoints", ""); !strings.Contains(got.body, `"resultTotal":0`) {
		t.Errorf("something was registered: %s", got.body)
	}
	if got := h.as(h.token, "POST", "/cloudapi/1.0.0/externalEndpoints", `{"name":"x","enabled":true,`+rest+`}`, "Content-Type", "application/x-www-form-urlencoded"); got.status != 415 {
		t.Errorf("a document that calls itself a form: %d", got.status)
	}
}
