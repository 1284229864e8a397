package match

import (
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/cow"
)

func TestURNs(t *testing.T) {
	var u URNs
	b := new(cow.Batch)
	foo := core.ResourceClass{ID: "1", NID: "nidFoo", URNPattern: "^myNssFoo(?<id>[0-9]*)"}
	u.Set(b, foo)
	u.Set(b, core.ResourceClass{ID: "2", NID: "NIDFOO", URNPattern: "myNss(?<id>.*)"})
	u.Set(b, core.ResourceClass{ID: "3", NID: "nidFoo", URNPattern: "other"})
	u.Set(b, core.ResourceClass{ID: "4", NID: "nidFoo"})
	u.Set(b, core.ResourceClass{ID: "5", NID: "bar", URNPattern: ".*"})
	for name, tc := range map[string]struct {
		urn  string
		want []Found
		bad  bool
	}{
		"the mission's example, by class id":   {urn: "urn:nidFoo:myNssFoo17", want: []Found{{ID: "17"}, {ID: "Foo17"}}},
		"the identifier compares without case": {urn: "URN:nidfoo:other", want: []Found{{}}},
		"a pattern matches the whole":          {urn: "urn:nidFoo:xmyNssFoo17", want: nil},
		"colons belong to the rest":            {urn: "urn:bar:a:b", want: []Found{{}}},
		"an unknown identifier finds nothing":  {urn: "urn:nobody:x", want: nil},
		"no URN":                               {urn: "nidFoo:myNssFoo17", bad: true},
		"no rest":                              {urn: "urn:nidFoo:", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := u.Find(tc.urn)
			if (err != nil) != tc.bad || len(got) != len(tc.want) {
				t.Fatalf("got %+v, %v", got, err)
			}
			for i := range got {
				if got[i].ID != tc.want[i].ID {
					t.Errorf("got %+v, want %+v", got, tc.want)
				}
			}
		})
	}
	picture := u
	u.Delete(new(cow.Batch), foo)
	if got, _ := u.Find("urn:nidFoo:myNssFoo17"); len(got) != 1 {
		t.Errorf("after deletion: %+v", got)
	}
	if got, _ := picture.Find("urn:nidFoo:myNssFoo17"); len(got) != 2 {
		t.Errorf("the picture changed: %+v", got)
	}
}
