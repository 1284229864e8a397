package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// ETag is the entity tag of an entity at that revision: strong and quoted.
func ETag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// Precondition is the If-Match header of a request. The zero Precondition
// always holds.
type Precondition struct {
	given bool
	any   bool // "*"
	tags  []string
}

// IfMatch reads the If-Match header. A header that cannot be read is Invalid:
// a client that wanted protection must not go without.
func IfMatch(h http.Header) (Precondition, error) {
	values := h.Values("If-Match")
	if len(values) == 0 {
		return Precondition{}, nil
	}
	p := Precondition{given: true}
	list := strings.TrimSpace(strings.Join(values, ","))
	if list == "*" {
		p.any = true
		return p, nil
	}
	for list != "" {
		tag, rest, ok := cutTag(list)
		if !ok {
			return p, core.Errorf(core.Invalid, "header If-Match: the ETag of the object, such as %s, or * is needed", ETag(42))
		}
		p.tags = append(p.tags, tag)
		list = rest
	}
	if len(p.tags) == 0 {
		return p, core.Errorf(core.Invalid, "header If-Match: it is empty; send the ETag of the object or leave it out")
	}
	return p, nil
}

// cutTag takes one entity tag and the comma after it off the list.
func cutTag(list string) (tag, rest string, ok bool) {
	list = strings.TrimLeft(list, " \t,")
	start := 0
	if strings.HasPrefix(list, "W/") {
		start = len("W/")
	}
	if len(list) <= start || list[start] != '"' {
		return "", "", false
	}
	end := strings.IndexByte(list[start+1:], '"')
	if end < 0 {
		return "", "", false
	}
	end += start + 2
	rest = strings.TrimLeft(list[end:], " \t")
	if rest != "" && rest[0] != ',' {
		return "", "", false
	}
	return list[:end], strings.Trim(rest, " \t,"), true
}

// Expect turns the precondition into what the catalog expects of an object
// that is at revision now: nil for anything. It fails with Stale.
func (p Precondition) Expect(now uint64) (*uint64, error) {
	switch {
	case !p.given || p.any:
		return nil, nil
	case slices.Contains(p.tags, ETag(now)):
		return &now, nil
	}
	return nil, core.Errorf(core.Stale, "the object has changed since: its ETag is %s now; read it again and repeat the change", ETag(now))
}
