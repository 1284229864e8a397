package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/annex-gateway/annex/core"
)

// maxDepth bounds how deep the arrays and objects of a body may be nested.
const maxDepth = 64

// DecodeJSON reads body, one JSON object, into the struct that into points to.
// It is strict, because what is misunderstood in a registration opens doors:
// unknown keys, keys that differ in case only, keys that are given twice,
// trailing data and wrong types are Invalid, with a text that says what and
// where.
func DecodeJSON(body []byte, into any) error {
	if err := scan(body); err != nil {
		return err
	}
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	var meaning *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &meaning):
		return explainMeaning(meaning)
	case errors.As(err, &syntax):
		return explainSyntax(syntax)
	}
	return core.WrapError(core.Invalid, err, "body: a JSON object is needed, and this one cannot be read")
}

// scan judges the body without knowing what it should mean.
func scan(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	switch d.PeekKind() {
	case '{':
	case '[', '"', '0', 'n', 't', 'f':
		return core.Errorf(core.Invalid, "body: a JSON object is needed, and %s is given", kindName(d.PeekKind()))
	}
	read := 0
	for {
		_, err := d.ReadToken()
		var syntax *jsontext.SyntacticError
		switch {
		case errors.Is(err, io.EOF) && read == 0:
			return core.Errorf(core.Invalid, "body: a JSON object is needed, and the body is empty")
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &syntax):
			return explainSyntax(syntax)
		case err != nil:
			return core.WrapError(core.Invalid, err, "body: it cannot be read as JSON")
		case d.StackDepth() > maxDepth:
			return core.Errorf(core.Invalid, "body: at most %d levels of arrays and objects are read, and %s goes deeper", maxDepth, where(d.StackPointer()))
		case read > 0 && d.StackDepth() == 1 && d.StackPointer() == "":
			return core.Errorf(core.Invalid, "body: more data follows the JSON object at byte %d; send one object only", d.InputOffset())
		}
		read++
	}
}

func explainSyntax(e *jsontext.SyntacticError) error {
	switch {
	case errors.Is(e.Err, jsontext.ErrDuplicateName):
		return core.WrapError(core.Invalid, e, "body: the key at %s is given twice; give it once", where(e.JSONPointer))
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return core.WrapError(core.Invalid, e, "body: the JSON ends early, at byte %d in %s", e.ByteOffset, where(e.JSONPointer))
	}
	return core.WrapError(core.Invalid, e, "body: this is not JSON at byte %d, in or after %s; look for a missing quote, comma or brace, a comment, or data after the end", e.ByteOffset, where(e.JSONPointer))
}

func explainMeaning(e *json.SemanticError) error {
	var ours *core.Error
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		key := e.JSONPointer.LastToken()
		return core.WrapError(core.Invalid, e, "body: %q at %s is not known here; %s", key, where(e.JSONPointer), suggest(key, members(e.GoType)))
	case errors.As(e.Err, &ours):
		return core.WrapError(core.Invalid, e, "body: at %s %s", where(e.JSONPointer), ours.Message)
	case e.JSONKind == '0' && wanted(e.GoType) == wholeNumber:
		return core.WrapError(core.Invalid, e, "body: at %s a whole number of a fitting size is needed", where(e.JSONPointer))
	}
	return core.WrapError(core.Invalid, e, "body: at %s %s is given and %s is needed", where(e.JSONPointer), kindName(e.JSONKind), wanted(e.GoType))
}

// where writes a JSON pointer for people, cut to a bearable length.
func where(p jsontext.Pointer) string {
	if p == "" {
		return "the top"
	}
	s := strings.ToValidUTF8(string(p), "?")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "something else"
}

const wholeNumber = "a whole number"

func wanted(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "another value"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return wholeNumber
	}
	return "another value"
}

// members returns the keys that a struct is made of.
func members(t reflect.Type) []string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func suggest(key string, known []string) string {
	if len(known) == 0 {
		return "leave it out"
	}
	best := slices.MinFunc(known, func(a, b string) int { return distance(key, a) - distance(key, b) })
	return fmt.Sprintf("the nearest key is %q; all of them: %s", best, strings.Join(known, ", "))
}

// distance is the number of edits between two keys; a change of case is no
// edit. Long keys are cut: nobody means one of ours with them.
func distance(a, b string) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	x, y = x[:min(len(x), 64)], y[:min(len(y), 64)]
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(y)]
}
