package catalog

import (
	"strings"
	"unicode"

	"github.com/annex-gateway/annex/core"
)

// repeated gives what was created under the same parent with the same
// operation key.
func (t *Table[E]) repeated(x *tx, e *E) (bool, error) {
	key, err := t.operation(*e)
	if key == "" || err != nil {
		return false, err
	}
	have, err := x.get(key)
	if err != nil {
		return false, err
	}
	if have.Value != nil {
		was, err := t.current(x, string(have.Value), nil)
		if core.ErrorCode(err) != core.NotFound || err == nil {
			*e = was
			return true, err
		}
	}
	x.put(key, []byte(*t.id(e)))
	return false, nil
}

// operation is where the operation key of e is kept; empty when it has none.
func (t *Table[E]) operation(e E) (string, error) {
	word := t.meta(&e).OperationKey
	switch {
	case word == "":
		return "", nil
	case len(word) > 255 || strings.ContainsFunc(word, unicode.IsControl):
		return "", core.Errorf(core.Invalid, "operationKey: at most 255 bytes without control characters are allowed")
	}
	parent := ""
	if t.parent != nil {
		parent = t.parent(e)
	}
	return opKeys + t.name + "/" + parent + "/" + word, nil
}
