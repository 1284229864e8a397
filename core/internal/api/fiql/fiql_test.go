package fiql_test

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api/fiql"
)

func known() fiql.Attributes {
	return fiql.Attributes{
		"name": fiql.Text, "vendor": fiql.Text, "version": fiql.Text, "type": fiql.Text, "owner.name": fiql.Text,
		"externalSystem.id": fiql.Text, "priority": fiql.Number, "enabled": fiql.Truth, "description": fiql.Text,
	}
}

func object() map[string]any {
	return map[string]any{
		"name": "clip", "vendor": "acme", "version": "1.0.0", "type": "REFRESH", "owner.name": "administrator",
		"externalSystem.id": "urn:vcloud:extensionEndpoint:acme:clip:1.0.1", "priority": 50, "enabled": true,
		"description": nil,
	}
}

func TestMatchFollowsTheExpression(t *testing.T) {
	tests := []struct {
		filter string
		want   bool
	}{
		{"", true},
		{"vendor==acme;name==clip;version==1.0.0", true},
		{"vendor==acme;name==clip;version==1.0.1", false},
		{"externalSystem.id==urn:vcloud:extensionEndpoint:acme:clip:1.0.1", true},
		{"externalSystem.id==urn:vcloud:extensionEndpoint:acme:clip:1.0.2", false},
		{"(name==clip;owner.name==administrator;(type==PROXY,type==REFRESH))", true},
		{"(name==clip;owner.name==administrator;(type==PROXY,type==OTHER))", false},
		{"name==x,vendor==acme", true},
		{"name==x,vendor==y", false},
		{"name==clip,name==x;vendor==y", true},
		{"(name==clip,name==x);vendor==y", false},
		{"((((name==clip))))", true},
		{"name!=clip", false},
		{"name!=x", true},
		{"name==CLIP", false},
		{"name==cl*", true},
		{"name==*ip", true},
		{"name==*li*", true},
		{"name==*", true},
		{"name==**", true},
		{"name!=*li*", false},
		{"name==li*", false},
		{`name==cl\*`, false},
		{`name==\c\l\i\p`, true},
		{"name==c*p", false},
		{"priority==50", true},
		{"priority=ge=50;priority=le=50", true},
		{"priority=gt=50,priority=lt=50", false},
		{"priority=gt=9", true},
		{"priority!=7", true},
		{"enabled==true", true},
		{"enabled==TRUE", true},
		{"enabled!=true", false},
		{"enabled==false", false},
		{"version=lt=1.0.1", true},
		{"version=ge=1.0.0", true},
		{"description==", true},
		{"description==*", true},
		{"description!=x", true},
		{"description=lt=x", false},
		{"name==", false},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			f, err := fiql.Parse(tt.filter, known())
			if err != nil {
				t.Fatal(err)
			}
			o := object()
			if got := f.Match(func(a string) any { return o[a] }); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestValuesMayHoldWhatTheGrammarUses(t *testing.T) {
	tests := []struct{ filter, name string }{
		{`name==a\;b\,c`, "a;b,c"},
		{`name==a\)b`, "a)b"},
		{`name==\(`, "("},
		{`name==My (second) name`, "My (second) name"},
		{`(name==My (second) name)`, "My (second) name"},
		{`name==a\\b`, `a\b`},
		{`name==\*`, "*"},
		{`name==a*b`, "a*b"},
		{`name==a=b==c`, "a=b==c"},
		{`name==https://h/api?x=1`, "https://h/api?x=1"},
		{`name==ünï`, "ünï"},
		{`name==!`, "!"},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			f, err := fiql.Parse(tt.filter, known())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{tt.name, tt.name + "x"} {
				if got := f.Match(func(string) any { return name }); got != (name == tt.name) {
					t.Errorf("matching %q gives %v", name, got)
				}
			}
		})
	}
}

func TestParseRefusesAndSaysWhere(t *testing.T) {
	tests := []struct{ filter, want string }{
		{"naem==x", `at character 1: there is no attribute "naem" here; known are description, enabled`},
		{"name==x;Name==y", `at character 9: there is no attribute "Name"`},
		{"name", "at character 5: after \"name\" one of == != =lt= =le= =gt= =ge= is needed"},
		{"name=x", "one of =="},
		{"name=in=x", "one of =="},
		{"==x", "missing"},
		{"name==x;", "at character 9: a comparison such as name==value is missing"},
		{";name==x", "missing"},
		{"()", "missing"},
		{"(name==x", "a ')' is missing"},
		{"name==x)", "closes nothing"},
		{`name==x\`, "behind the backslash"},
		{"priority==high", "priority is a number"},
		{"priority==", "priority is a number"},
		{"priority==5*", "priority is a number"},
		{"priority==99999999999999999999", "priority is a number"},
		{"enabled==yes", "true or false"},
		{"enabled==*", "true or false"},
		{"enabled=gt=false", "compare it with == or !="},
		{"name=gt=a*", "wildcard"},
		{strings.Repeat("(", 33) + "name==x" + strings.Repeat(")", 33), "parentheses may be open"},
		{strings.Repeat("name==x,", 128) + "name==x", "at most 128"},
		{"name==" + strings.Repeat("x", 4096), "at most 4096 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.filter[:min(len(tt.filter), 40)], func(t *testing.T) {
			_, err := fiql.Parse(tt.filter, known())
			if err == nil || core.ErrorCode(err) != core.Invalid {
				t.Fatalf("got %v, want Invalid", err)
			}
			if !strings.Contains(core.ErrorMessage(err), tt.want) {
				t.Errorf("message %q, want it to hold %q", core.ErrorMessage(err), tt.want)
			}
		})
	}
}

func FuzzParseNeverPanicsAndMatchesAgain(f *testing.F) {
	for _, s := range []string{"vendor==acme;name==clip", "(a==b,(c!=d;e=gt=f))", `name==\*\)`, "enabled==true", "name==*a*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := fiql.Parse(s, known())
		if err != nil {
			if core.ErrorCode(err) != core.Invalid {
				t.Errorf("%q gives %v", s, err)
			}
			return
		}
		o := object()
		get := func(a string) any { return o[a] }
		if first := p.Match(get); first != p.Match(get) {
			t.Errorf("%q matches once only", s)
		}
	})
}
