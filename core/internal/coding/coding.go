// Package coding undoes the content coding of answers, for those who must see
// what an answer says: gzip and deflate. What a call asks for is restricted to
// that with Plain, and what came is decoded with Decoded.
package coding

import (
	"net/http"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// maxLayers bounds codings on top of each other.
const maxLayers = 2

// Decoded gives r without its content coding. The body is decoded as it is
// read; what is not usable then fails the read with BadUpstream. At most limit
// bytes come out, or any number when limit is not positive, but past the first
// 16 MiB never more than 250 times of what went in.
//
// Answers without a body or coding come back as they are. A coding that is not
// known, or one on a part of an answer only, is BadUpstream; then r is
// unchanged and its body untouched.
func Decoded(r core.Response, limit int64) (core.Response, error) {
	if r.Upgraded != nil || !r.Header.Has("Content-Encoding") || r.Body.Size() == 0 ||
		r.Status < 200 || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified {
		return r, nil
	}
	codings, err := listed(r.Header.Values("Content-Encoding"))
	if err != nil {
		return r, err
	}
	if len(codings) == 0 { // identity, which says nothing
		r.Header = r.Header.Without("Content-Encoding")
		return r, nil
	}
	if r.Status == http.StatusPartialContent {
		return r, core.Errorf(core.BadUpstream, "the answer is a part of something compressed, which cannot be decoded on its own")
	}
	body := r.Body
	r.Header = Altered(r.Header).Without("Content-Encoding")
	r.Body = core.StreamBody(newReader(body, codings, limit), -1).WithTrailer(func() http.Header {
		return alteredTrailer(body.Trailer())
	})
	return r, nil
}

// Altered gives the fields of an answer whose bytes have been replaced:
// without what was true of the old ones alone. The entity tag becomes a weak
// one, which still tells whether the answer is the same to its reader.
func Altered(h core.Header) core.Header {
	h = h.Without("Content-Length", "Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest")
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h = h.With("Etag", "W/"+tag)
	}
	return h
}

func alteredTrailer(t http.Header) http.Header {
	if len(t) == 0 {
		return nil
	}
	return Altered(core.HeaderOf(t)).Clone()
}

// listed gives the codings in the order in which they were applied.
func listed(values []string) ([]string, error) {
	var all []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
			case "gzip", "x-gzip":
				all = append(all, gzipped)
			case "deflate":
				all = append(all, deflated)
			default:
				return nil, core.Errorf(core.BadUpstream, "the answer has the content coding %q, which this gateway cannot decode; gzip, deflate and identity are understood", name)
			}
		}
	}
	if len(all) > maxLayers {
		return nil, core.Errorf(core.BadUpstream, "the answer was compressed %d times over, at most %d are decoded", len(all), maxLayers)
	}
	return all, nil
}

const (
	gzipped  = "gzip"
	deflated = "deflate"
)

// Plain gives the fields of a request with an Accept-Encoding that asks for no
// more than before, and for nothing that Decoded does not understand. A part
// of an answer is asked for uncompressed, for it could not be decoded.
func Plain(h core.Header) core.Header {
	if h.Has("Range") || !h.Has("Accept-Encoding") {
		return h.With("Accept-Encoding", "identity")
	}
	weights := accepted(h.Values("Accept-Encoding"))
	var kept []string
	for _, name := range []string{gzipped, deflated, "identity"} {
		if q, ok := weights.of(name); ok {
			kept = append(kept, name+q)
		}
	}
	if !slices.ContainsFunc(kept, func(s string) bool { return !strings.HasSuffix(s, ";q=0") }) {
		kept = []string{"identity"}
	}
	return h.With("Accept-Encoding", strings.Join(kept, ", "))
}

// weights holds, by coding, "" or ";q=…".
type weights map[string]string

// of gives the weight of a coding, and whether it is to be named.
func (w weights) of(name string) (string, bool) {
	q, ok := w[name]
	if !ok && name == gzipped {
		q, ok = w["x-gzip"]
	}
	if !ok && (name != "identity" || w["*"] == ";q=0") {
		q, ok = w["*"]
	}
	return q, ok
}

func accepted(values []string) weights {
	w := weights{}
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			name, parameters, _ := strings.Cut(element, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if q, ok := weight(parameters); ok && name != "" {
				w[name] = q
			}
		}
	}
	return w
}

// weight reads "q=0.5". What is no weight is not ok.
func weight(parameters string) (string, bool) {
	parameters = strings.TrimSpace(parameters)
	if parameters == "" {
		return "", true
	}
	name, q, _ := strings.Cut(parameters, "=")
	q = strings.TrimSpace(q)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || !isWeight(q) {
		return "", false
	}
	switch q = strings.TrimRight(q, "0"); q {
	case "", "0.", ".":
		return ";q=0", true
	case "1", "1.":
		return "", true
	}
	return ";q=" + q, true
}

// isWeight reports whether s is 0 or 1 with at most three decimals.
func isWeight(s string) bool {
	whole, decimals, _ := strings.Cut(s, ".")
	if len(decimals) > 3 || strings.Trim(decimals, "0123456789") != "" {
		return false
	}
	return whole == "0" || whole == "1" && strings.Trim(decimals, "0") == ""
}
