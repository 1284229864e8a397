package query_test

import (
	"slices"
	"testing"

	"github.com/annex-gateway/annex/core/internal/query"
)

func TestValuesOfOneAttributeAreOrdered(t *testing.T) {
	for _, ordered := range [][]any{
		{nil, "", "a", "b"}, {nil, -1, 0, 10}, {nil, false, true},
	} {
		for i, x := range ordered {
			for j, y := range ordered {
				want := 0
				if i != j {
					want = 1
					if i < j {
						want = -1
					}
				}
				if got := query.Compare(x, y); got != want {
					t.Errorf("%v and %v: %d", x, y, got)
				}
			}
		}
		if back := slices.SortedFunc(slices.Values([]any{ordered[2], ordered[0], ordered[1]}), query.Compare); back[0] != nil {
			t.Errorf("%v", back)
		}
	}
}
