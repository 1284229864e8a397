package vxml

import (
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// ListedVersions returns the API versions that are listed for clients, in ascending
// order. All are below 40: from there on clients expect another product.
func ListedVersions() []string { return []string{"35.0", "36.0", "37.0", "38.0", "38.1", "39.0"} }

// maxRanges bounds how much of an Accept header is looked at.
const maxRanges = 64

// Choice is the representation that a client gets.
type Choice struct {
	Version string // of the API, as the client wrote it
	JSON    bool
	named   []string // media types asked for, without suffix, in lower case
}

// Choose reads the values of the Accept headers. It never fails: what cannot
// be understood is as if it was not there. The first version that is known is
// taken, else the highest.
func Choose(accept []string) Choice {
	var c Choice
	var wantsXML, wantsJSON bool
	for _, r := range ranges(accept) {
		if c.Version == "" && knownVersion(r.version) {
			c.Version = r.version
		}
		base, suffix, _ := strings.Cut(r.media, "+")
		if suffix == "" {
			_, suffix, _ = strings.Cut(r.media, "/")
		}
		wantsXML = wantsXML || suffix == "xml"
		wantsJSON = wantsJSON || suffix == "json"
		c.named = append(c.named, base)
	}
	c.JSON = wantsJSON && !wantsXML
	if c.Version == "" {
		listed := ListedVersions()
		c.Version = listed[len(listed)-1]
	}
	return c
}

type mediaRange struct{ media, version string }

// ranges splits Accept headers at commas and semicolons. Types without a
// slash, which real clients send, belong to application.
func ranges(accept []string) []mediaRange {
	var out []mediaRange
	for _, line := range accept {
		for more := true; more && len(out) < maxRanges; {
			var part string
			part, line, more = strings.Cut(line, ",")
			r, refused := parseRange(part)
			if r.media != "" && !refused {
				out = append(out, r)
			}
		}
	}
	return out
}

func parseRange(s string) (r mediaRange, refused bool) {
	media, params, _ := strings.Cut(s, ";")
	r.media = strings.ToLower(strings.TrimSpace(media))
	if r.media != "" && !strings.Contains(r.media, "/") {
		r.media = "application/" + r.media
	}
	for more := params != ""; more; {
		var param string
		param, params, more = strings.Cut(params, ";")
		name, value, _ := strings.Cut(param, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "version":
			r.version = value
		case "q":
			q, err := strconv.ParseFloat(value, 64)
			refused = err == nil && q == 0
		}
	}
	return r, refused
}

var versionRE = regexp.MustCompile(`\A([0-9]{1,3}\.[0-9]{1,3})(?:\.0)?(?:-alpha[-.0-9A-Za-z]{0,32})?\z`)

// knownVersion reports whether answers can be given in version v: a listed
// one, or one of those before the list, from 1.5 on.
func knownVersion(v string) bool {
	m := versionRE.FindStringSubmatch(v)
	if m == nil {
		return false
	}
	if slices.Contains(ListedVersions(), m[1]) {
		return true
	}
	major, minor, _ := strings.Cut(m[1], ".")
	a, _ := strconv.Atoi(major) // digits, see versionRE
	b, _ := strconv.Atoi(minor)
	return a == 1 && b >= 5 || a > 1 && a < 35
}

// Names reports whether the client asked for that media type by name. It is
// given without a suffix.
func (c Choice) Names(media string) bool {
	return slices.Contains(c.named, strings.ToLower(media))
}

// ContentType gives the Content-Type of an answer: the media type, which is
// given without a suffix, with form and version. An empty one is plain XML or
// JSON.
func (c Choice) ContentType(media string) string {
	form := "xml"
	if c.JSON {
		form = "json"
	}
	if media == "" {
		return "application/" + form + ";version=" + c.Version
	}
	return media + "+" + form + ";version=" + c.Version
}

// Encode writes the document whose root is e in the chosen form.
func (c Choice) Encode(e *Element) []byte {
	if c.JSON {
		return EncodeJSON(e)
	}
	return EncodeXML(e)
}

// Parse reads a body by its Content-Type. Any XML or JSON type will do, and
// none means XML: real clients leave it out.
func Parse(contentType string, body []byte) (*Element, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if contentType == "" {
		media, err = "application/xml", nil
	}
	_, form, _ := strings.Cut(media, "/")
	if i := strings.LastIndexByte(form, '+'); i >= 0 {
		form = form[i+1:]
	}
	charset := strings.ToLower(params["charset"])
	switch {
	case err != nil || form != "xml" && form != "json":
		return nil, core.Errorf(core.UnsupportedMedia, "Content-Type %q: a type that ends in +xml or +json is needed", brief(contentType))
	case charset != "" && charset != "utf-8" && charset != "us-ascii":
		return nil, core.Errorf(core.UnsupportedMedia, "charset %q: UTF-8 is needed", brief(charset))
	case form == "json":
		return ParseJSON(body)
	}
	return ParseXML(body)
}
