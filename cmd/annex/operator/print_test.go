package operator

import (
	"bytes"
	"testing"
)

func mustObject(t *testing.T, text string) object {
	t.Helper()
	o, err := newObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectsArePrintedInEachForm(t *testing.T) {
	list := []object{
		mustObject(t, `{"z":"first","a":{"name":"x","id":"urn:1"},"n":3,"big":9007199254740993,"on":true,"l":[{"name":"p"},{"name":"q"}],"none":null}`),
		mustObject(t, `{"z":"with\u001b[31m escape\nand line","on":false}`),
	}
	columns := []column{{"Z", "z"}, {"REF", "a"}, {"N", "n"}, {"BIG", "big"}, {"ON", "on"}, {"LIST", "l"}, {"TWO", "n/a.id"}, {"ELSE", "none?mqtt"}}
	for form, want := range map[string]string{
		asTable: "Z                         REF  N  BIG               ON   LIST  TWO      ELSE\n" +
			"first                     x    3  9007199254740993  yes  p,q   3/urn:1  mqtt\n" +
			"with[31m escape and line                            no                  mqtt\n",
		asJSON: "[\n  {\n    \"z\": \"first\",\n    \"a\": {\n      \"name\": \"x\",\n      \"id\": \"urn:1\"\n    },\n    \"n\": 3,\n    \"big\": 9007199254740993,\n" +
			"    \"on\": true,\n    \"l\": [\n      {\n        \"name\": \"p\"\n      },\n      {\n        \"name\": \"q\"\n      }\n    ],\n    \"none\": null\n  },\n" +
			"  {\n    \"z\": \"with\\u001b[31m escape\\nand line\",\n    \"on\": false\n  }\n]\n",
	} {
		var b bytes.Buffer
		if err := (printer{&b, form}).list(list, columns); err != nil || b.String() != want {
			t.Errorf("%s (%v):\n%s\nwant\n%s", form, err, b.String(), want)
		}
	}
	var b bytes.Buffer
	if err := (printer{&b, asYAML}).one(list[0], columns); err != nil || !bytes.HasPrefix(b.Bytes(), []byte("z: first\na:\n  name: x\n")) {
		t.Errorf("%v: %s", err, b.String())
	}
	b.Reset()
	if err := (printer{&b, asYAML}).list(nil, columns); err != nil || b.String() != "[]\n" {
		t.Errorf("%v: %q", err, b.String())
	}
	if err := (printer{&b, "xml"}).list(list, columns); err == nil {
		t.Error("a form that there is not is printed")
	}
}

func TestAComparisonMeansEveryCharacter(t *testing.T) {
	for value, want := range map[string]string{
		"plain": `name==plain`, `a;b,c(d)*e\f`: `name==a\;b\,c\(d\)\*e\\f`,
	} {
		if got := equals("name", value); got != want {
			t.Errorf("%q gives %s, want %s", value, got, want)
		}
	}
}

func TestNounsDoNotContradictThemselves(t *testing.T) {
	words := map[string]bool{}
	for _, n := range nouns() {
		if words[n.word] {
			t.Errorf("the noun %s is there twice", n.word)
		}
		words[n.word] = true
		flags := map[string]bool{"output": true, "context": true, "tenant": true, "help": true}
		for _, f := range n.fields {
			if flags[f.flag] {
				t.Errorf("%s: the flag --%s is there twice", n.word, f.flag)
			}
			flags[f.flag] = true
			for _, to := range f.nouns {
				_ = nounOf(to)
			}
			if (f.kind == reference || f.kind == references || f.kind == reach || f.kind == members) == (len(f.nouns) == 0) {
				t.Errorf("%s: --%s refers to %v", n.word, f.flag, f.nouns)
			}
		}
		if n.naming.parent != "" {
			_ = nounOf(n.naming.parent)
		}
	}
}
