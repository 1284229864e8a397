package api_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

type sample struct {
	Name     string         `json:"name"`
	Enabled  *bool          `json:"enabled"`
	Priority *int           `json:"priority"`
	Inner    *inner         `json:"inner"`
	Tags     []string       `json:"tags"`
	Config   jsontext.Value `json:"config,omitzero"`
}

type inner struct {
	ID string `json:"id"`
}

func TestDecodeJSONRefusesWhatIsAmbiguous(t *testing.T) {
	deep := strings.Repeat(`[`, 80) + strings.Repeat(`]`, 80)
	tests := []struct{ name, body, want string }{
		{"an empty body", ``, "empty"},
		{"blanks only", "  \n", "empty"},
		{"null", `null`, "null is given"},
		{"an array", `[]`, "an array is given"},
		{"a string", `"x"`, "a string is given"},
		{"a number", `7`, "a number is given"},
		{"a boolean", `true`, "a boolean is given"},
		{"a key given twice", `{"enabled":false,"enabled":true}`, "/enabled is given twice"},
		{"a key given twice with an escape", `{"enabled":false,"en\u0061bled":true}`, "/enabled is given twice"},
		{"a case variant beside the key", `{"enabled":false,"ENABLED":true}`, `"ENABLED" at /ENABLED is not known here; the nearest key is "enabled"`},
		{"a case variant alone", `{"Enabled":true}`, `the nearest key is "enabled"`},
		{"a case variant in an inner object", `{"inner":{"Id":"x"}}`, `"Id" at /inner/Id is not known here; the nearest key is "id"`},
		{"an unknown key", `{"prioritty":1}`, `the nearest key is "priority"`},
		{"an unknown key far from all", `{"zzzzzzzzzzzz":1}`, "not known"},
		{"an unknown key with a slash", `{"a/b":1}`, `"a/b" at /a~1b`},
		{"a key given twice in an inner object", `{"inner":{"id":"1","id":"2"}}`, "/inner/id is given twice"},
		{"a key given twice in free JSON", `{"config":{"a":1,"a":2}}`, "/config/a is given twice"},
		{"trailing data", `{"name":"x"} {"name":"y"}`, "more data"},
		{"a trailing word", `{"name":"x"} x`, "not JSON"},
		{"a trailing comma", `{"name":"x",}`, "not JSON"},
		{"a comment", `{"name":"x" /* y */}`, "not JSON"},
		{"a line comment", "{\"name\":\"x\", // y\n\"enabled\":true}", "not JSON"},
		{"single quotes", `{'name':'x'}`, "not JSON"},
		{"a key without quotes", `{name:"x"}`, "not JSON"},
		{"an object that ends early", `{"name":"x"`, "ends early"},
		{"a string that ends early", `{"name":"x`, "ends early"},
		{"a string for a boolean", `{"enabled":"true"}`, "at /enabled a string is given and true or false is needed"},
		{"a number for a string", `{"name":7}`, "at /name a number is given and a string is needed"},
		{"a fraction for a whole number", `{"priority":1.5}`, "at /priority a whole number"},
		{"a number out of range", `{"priority":99999999999999999999}`, "at /priority a whole number"},
		{"a string for a number", `{"priority":"5"}`, "at /priority a string is given and a whole number is needed"},
		{"an array for an object", `{"inner":[]}`, "at /inner an array is given and an object is needed"},
		{"an object for a list", `{"tags":{}}`, "at /tags an object is given and an array is needed"},
		{"a number in a list of strings", `{"tags":["a",1]}`, "at /tags/1 a number is given"},
		{"bytes that are not UTF-8", "{\"name\":\"\xff\"}", "not JSON"},
		{"half a surrogate pair", `{"name":"\ud800"}`, "not JSON"},
		{"a control character in a string", "{\"name\":\"a\nb\"}", "not JSON"},
		{"a byte order mark", "\ufeff{}", "not JSON"},
		{"infinity", `{"priority":Infinity}`, "not JSON"},
		{"nesting without end", `{"config":` + deep + `}`, "levels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s sample
			err := api.DecodeJSON([]byte(tt.body), &s)
			if core.ErrorCode(err) != core.Invalid || err == nil {
				t.Fatalf("code %v of %v, want Invalid", core.ErrorCode(err), err)
			}
			if got := core.ErrorMessage(err); !strings.Contains(got, tt.want) {
				t.Errorf("message %q, want it to hold %q", got, tt.want)
			}
			for _, foreign := range []string{"json:", "jsontext", "Go ", "api_test"} {
				if strings.Contains(core.ErrorMessage(err), foreign) {
					t.Errorf("message %q shows the decoder's own words %q", core.ErrorMessage(err), foreign)
				}
			}
		})
	}
}

func TestDecodeJSONReadsWhatIsClear(t *testing.T) {
	var s sample
	err := api.DecodeJSON([]byte(" {\"name\":\"x\",\"enabled\":true,\"priority\":7,\"inner\":null,\"tags\":[],\"config\":{\"A\":1,\"a\":2}}\r\n"), &s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "x" || !*s.Enabled || *s.Priority != 7 || s.Inner != nil || string(s.Config) != `{"A":1,"a":2}` {
		t.Errorf("read %+v", s)
	}
}

func FuzzDecodeJSONNeverPanicsAndSaysWhy(f *testing.F) {
	f.Add([]byte(`{"name":"x","inner":{"id":"y"}}`))
	f.Add([]byte(`{"a":[[[[`))
	f.Add([]byte(`{"enabled":1e999}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s sample
		if err := api.DecodeJSON(b, &s); err != nil && (core.ErrorCode(err) != core.Invalid || len(core.ErrorMessage(err)) > 2000+len(b)) {
			t.Errorf("%q gives %v", b, err)
		}
	})
}
