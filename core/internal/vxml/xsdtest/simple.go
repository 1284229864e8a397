package xsdtest

import (
	"fmt"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// basic checks a text against a type that XML Schema itself knows.
func basic(text, builtin, at string) error {
	var err error
	switch builtin {
	case "string":
	case "boolean":
		if text != "true" && text != "false" && text != "1" && text != "0" {
			err = fmt.Errorf("%q is no boolean", text)
		}
	case "int":
		_, err = strconv.ParseInt(text, 10, 32)
	case "long":
		_, err = strconv.ParseInt(text, 10, 64)
	case "anyURI":
		_, err = url.Parse(text)
	default:
		err = fmt.Errorf("the type %s is not understood", builtin)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

// simple checks a text against a restriction.
func (s *schema) simple(text string, t *node, at string) error {
	r := t.children[0]
	if err := basic(text, r.resolve(r.attr("base")).local, at); err != nil {
		return err
	}
	listed, found := false, false
	for _, facet := range r.children {
		value := facet.attr("value")
		bound, _ := strconv.Atoi(value)
		number, _ := strconv.Atoi(text)
		var broken bool
		switch facet.name.local {
		case "enumeration":
			listed, found = true, found || value == text
		case "maxLength":
			broken = utf8.RuneCountInString(text) > bound
		case "minLength":
			broken = utf8.RuneCountInString(text) < bound
		case "minInclusive":
			broken = number < bound
		case "maxInclusive":
			broken = number > bound
		default:
			return fmt.Errorf("%s: %s is not understood", at, facet.name.local)
		}
		if broken {
			return fmt.Errorf("%s: %q breaks %s %s", at, text, facet.name.local, value)
		}
	}
	if listed && !found {
		return fmt.Errorf("%s: %q is none of the values", at, text)
	}
	return nil
}
