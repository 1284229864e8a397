package api

import (
	"net/url"
	"strings"
)

// Hrefs writes absolute URLs of the gateway as one client reaches it.
type Hrefs struct{ base string }

// NewHrefs makes Hrefs below a base URL such as "https://localhost:8443".
func NewHrefs(baseURL string) Hrefs { return Hrefs{strings.TrimRight(baseURL, "/")} }

// To returns the URL of the path that the elements make. Slashes inside of an
// element are escaped, but those of the first one stand; colons stay plain, as
// clients expect of URNs.
func (h Hrefs) To(path string, elements ...string) string {
	var b strings.Builder
	b.WriteString(h.base)
	b.WriteString(path)
	for _, e := range elements {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(url.PathEscape(e), "%3A", ":"))
	}
	return b.String()
}
