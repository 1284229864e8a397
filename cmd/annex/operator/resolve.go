package operator

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// found is an entity that somebody named.
type found struct{ ID, Name string }

// pageSize is the largest page that the gateway gives.
const pageSize = 128

// all gives the entities that a filter keeps, of all pages.
func (s *session) all(ctx context.Context, path, filter, sort string) ([]object, error) {
	var list []object
	for page := 1; ; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, "pageSize": {strconv.Itoa(pageSize)}}
		if filter != "" {
			q.Set("filter", filter)
		}
		if name, down := strings.CutPrefix(sort, "-"); down {
			q.Set("sortDesc", name)
		} else if sort != "" {
			q.Set("sortAsc", sort)
		}
		var out struct {
			PageCount int
			Values    []rawObject
		}
		if _, err := s.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Query: q, Out: &out}); err != nil {
			return nil, err
		}
		for _, v := range out.Values {
			list = append(list, v.object)
		}
		if page >= out.PageCount {
			return list, nil
		}
	}
}

// rawObject reads itself as an object.
type rawObject struct{ object }

// UnmarshalJSON keeps the bytes as they are.
func (r *rawObject) UnmarshalJSON(b []byte) (err error) {
	r.object, err = newObject(append([]byte(nil), b...))
	return err
}

// resolve gives the entity that a text names.
func (s *session) resolve(ctx context.Context, word, text string) (found, error) {
	n := nounOf(word)
	filters, err := s.filters(ctx, n, text)
	if err != nil {
		return found{}, err
	}
	for _, f := range filters {
		list, err := s.all(ctx, n.path, f, "")
		switch {
		case err != nil:
			return found{}, err
		case len(list) == 1:
			id, _ := list[0].get("id").(string)
			return found{id, list[0].text(n.naming.attribute)}, nil
		case len(list) > 1:
			return found{}, ambiguous(n, text, list)
		}
	}
	return found{}, core.Errorf(core.NotFound, "there is no %s %q; %s is needed", n.what, text, n.help())
}

func ambiguous(n noun, text string, list []object) error {
	var ids []string
	for _, o := range list[:min(len(list), 5)] {
		ids = append(ids, o.text("id"))
	}
	return exit.Usagef("%d entities are named %q; say which %s is meant: %s", len(list), text, n.what, strings.Join(ids, ", "))
}

// filters are the ways to find what a text names, best first.
func (s *session) filters(ctx context.Context, n noun, text string) ([]string, error) {
	if strings.HasPrefix(text, n.prefix) {
		return []string{equals("id", text)}, nil
	}
	if core.IsUUID(text) {
		return []string{equals("id", n.prefix+text)}, nil
	}
	var list []string
	if parts := strings.Split(text, "/"); n.naming.triplet && len(parts) == 3 {
		return []string{equals("id", n.prefix+strings.Join(parts, ":"))}, nil
	}
	if at := strings.LastIndexByte(text, '@'); n.naming.member && at > 0 {
		list = append(list, equals(n.naming.attribute, text[:at])+";"+equals("orgEntityRef.name", text[at+1:]))
	}
	if n.naming.attribute != "" {
		list = append(list, equals(n.naming.attribute, text))
	}
	if slash := strings.LastIndexByte(text, '/'); n.naming.parent != "" && slash > 0 {
		parent, err := s.resolve(ctx, n.naming.parent, text[:slash])
		if err != nil && core.ErrorCode(err) != core.NotFound {
			return nil, err
		}
		if err == nil {
			list = append(list, equals(n.naming.under, parent.ID)+";"+equals(n.naming.attribute, text[slash+1:]))
		}
	}
	if list == nil {
		return nil, exit.Usagef("%q: a %s is named by its id, %s<…>", text, n.what, n.prefix)
	}
	return list, nil
}

// equals is a comparison that means every character of the value.
func equals(attribute, value string) string {
	var b strings.Builder
	for _, r := range value {
		if strings.ContainsRune(`\;,()*`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return attribute + "==" + b.String()
}

// resolveAny gives the entity of one of several nouns that a text names:
// NOUN:NAME says which one.
func (s *session) resolveAny(ctx context.Context, words []string, text string) (found, error) {
	for _, w := range words {
		if rest, ok := strings.CutPrefix(text, w+":"); ok {
			return s.resolve(ctx, w, rest)
		}
	}
	var last error
	var hits []found
	for _, w := range words {
		if n := nounOf(w); strings.HasPrefix(text, "urn:") && !strings.HasPrefix(text, n.prefix) {
			continue
		}
		f, err := s.resolve(ctx, w, text)
		switch {
		case err == nil:
			hits = append(hits, f)
		case core.ErrorCode(err) != core.NotFound:
			return f, err
		default:
			last = err
		}
	}
	switch {
	case len(hits) == 1:
		return hits[0], nil
	case len(hits) > 1:
		return found{}, exit.Usagef("%q can be several things: write %s", text, strings.Join(words, ":"+text+" or ")+":"+text)
	case last == nil:
		last = core.Errorf(core.NotFound, "%q is the id of something else", text)
	}
	return found{}, last
}
