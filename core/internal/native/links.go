package native

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/coding"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/native/inject"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// linked puts the links that services show into an answer. The media type of
// the answer tells what it represents; where that says no more than XML or
// JSON, the root does.
func linked(ctx context.Context, v *live.View, m core.Message) core.Message {
	mediaType, form := formOf(m.Response.Header.Get("Content-Type"))
	if form == inject.Other || !v.HasLinks() || !represents(*m.Response) || mediaType != "" && !v.ShowsLinks(mediaType) {
		return m
	}
	r, err := coding.Decoded(*m.Response, 0)
	if err != nil {
		return m // nobody here can read it
	}
	doc := inject.New(form, r.Body)
	stop := context.AfterFunc(ctx, func() { _ = doc.Close() })
	defer stop()
	if mediaType == "" {
		mediaType = doc.Type()
	}
	var links []*vxml.Element
	if v.ShowsLinks(mediaType) {
		links = linksOn(v, m.Request.BaseURL(), mediaType, doc)
	}
	r.Body = doc.Body(links...)
	r.Header = relabelled(r, m.Response.Header.Get("Etag"), links)
	return m.Answer(r)
}

// represents tells answers that show a resource, whole.
func represents(r core.Response) bool {
	switch r.Status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		return false
	}
	return r.Status >= 200 && r.Status < 300 && r.Body.Size() != 0
}

// formOf tells how an answer is written, and of what media type it is; that is
// empty when it says no more than the form.
func formOf(contentType string) (mediaType string, form inject.Form) {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if mediaType == "" && err != nil {
		return "", inject.Other
	}
	subtype := mediaType[strings.IndexByte(mediaType, '/')+1:]
	switch suffix := subtype[strings.LastIndexByte(subtype, '+')+1:]; suffix {
	case "xml":
		form = inject.XML
	case "json":
		form = inject.JSON
	}
	switch subtype {
	case "xml", "json", "*+xml", "*+json":
		mediaType = ""
	}
	return mediaType, form
}

// linksOn makes the links that the document shows.
func linksOn(v *live.View, base, mediaType string, doc *inject.Document) []*vxml.Element {
	root, ok := doc.Root()
	if !ok {
		return nil
	}
	id := root.ID
	if id == "" {
		id = lastSegment(root.Href)
	}
	var out []*vxml.Element
	for _, l := range v.Links(mediaType, id) {
		out = append(out, vxml.Link(l.Rel, expand(l.Href, base, id[strings.LastIndexByte(id, ':')+1:]), l.MimeType, "").Set("id", l.ExternalResourceID))
	}
	return out
}

// lastSegment is the uuid that an address ends in, if it does.
func lastSegment(href string) string {
	path, _, _ := strings.Cut(href, "?")
	path = strings.TrimSuffix(path, "/")
	if id := path[strings.LastIndexByte(path, '/')+1:]; core.IsUUID(id) {
		return id
	}
	return ""
}

// expand fills in a template with {baseUri} and {resourceId}.
func expand(template, base, id string) string {
	return strings.ReplaceAll(vxml.ExpandBase(template, base), "{resourceId}", url.PathEscape(id))
}

// relabelled gives the header of an answer that links were put into. Its
// entity tag, which was tag, changes with the links and with nothing else: a
// client that guards an update with it gives the upstream its own tag back.
func relabelled(r core.Response, tag string, links []*vxml.Element) core.Header {
	h := r.Header
	if len(links) > 0 {
		h = coding.Altered(h)
		if n := r.Body.Size(); n >= 0 {
			h = h.With("Content-Length", strconv.FormatInt(n, 10))
		}
		if opening, ok := strings.CutSuffix(tag, `"`); ok {
			tag = opening + tagMark + digest(links) + `"`
		}
	}
	if h.Get("Etag") != tag {
		h = h.With("Etag", tag)
	}
	return h
}

// tagMark stands in an entity tag between what the upstream gave and the
// digest of the links that were put in.
const tagMark = ";annex="

func digest(links []*vxml.Element) string {
	sum := fnv.New64a()
	for _, l := range links {
		_, _ = io.WriteString(sum, fmt.Sprintln(l.Attrs))
	}
	return strconv.FormatUint(sum.Sum64(), 16)
}

// asked makes of the client's request what the upstream shall see: entity tags
// as it gave them, and no coding that could not be undone if links are to be
// put into the answer.
func asked(v *live.View, r core.Request) core.Request {
	if codings := r.Header.Get("Accept-Encoding"); codings != "gzip" && codings != "identity" && r.Upgrade == "" && r.Method != http.MethodHead && v.HasLinks() {
		r.Header = coding.Plain(r.Header)
	}
	if tags := r.Header.Get("If-Match"); strings.Contains(tags, tagMark) {
		r.Header = r.Header.With("If-Match", withoutMarks(strings.Join(r.Header.Values("If-Match"), ", ")))
	}
	return r
}

func withoutMarks(tags string) string {
	for {
		before, after, ok := strings.Cut(tags, tagMark)
		if !ok {
			return tags
		}
		_, after, _ = strings.Cut(after, `"`)
		tags = before + `"` + after
	}
}
