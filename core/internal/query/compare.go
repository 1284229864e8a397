package query

import (
	"cmp"
	"strings"
)

// Compare orders two values of one attribute; nil comes first.
func Compare(x, y any) int {
	switch x := x.(type) {
	case string:
		if y, ok := y.(string); ok {
			return strings.Compare(x, y)
		}
	case int:
		if y, ok := y.(int); ok {
			return cmp.Compare(x, y)
		}
	case bool:
		if y, ok := y.(bool); ok {
			return cmp.Compare(rank(x), rank(y))
		}
	}
	return cmp.Compare(rank(x != nil), rank(y != nil))
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}
