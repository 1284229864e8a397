package inject

import (
	"bytes"
	"html"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core/internal/vxml"
)

// maxIndent is the longest white space that is repeated in front of a link.
const maxIndent = 64

// tag is a start tag.
type tag struct {
	name  string
	attrs []vxml.Attr // of the root only
	end   int         // behind its '>'
	empty bool        // it is an end tag too
}

// local is the name without a prefix.
func local(name string) string { return name[strings.IndexByte(name, ':')+1:] }

// xmlRoot finds the root's start tag.
func (s *source) xmlRoot() (Root, tag, bool) {
	i := 0
	if s.has(0, "\ufeff") {
		i = len("\ufeff")
	}
	for {
		i = s.space(i)
		switch {
		case s.has(i, "<?xml") && isSpace(s.byte(i+5)):
			end := s.after(i, "?>")
			if end < 0 || !asciiAlike(string(s.buf[i:end])) {
				return Root{}, tag{}, false
			}
			i = end
		case s.has(i, "<?"), s.has(i, "<!--"):
			if i = s.aside(i); i < 0 {
				return Root{}, tag{}, false
			}
		default: // a document type could change what everything behind it says
			t, ok := s.tag(i, true)
			return rootOf(t), t, ok
		}
	}
}

func rootOf(t tag) Root {
	var r Root
	for _, a := range t.attrs {
		switch a.Name {
		case "type":
			r.Type = a.Value
		case "id":
			r.ID = a.Value
		case "href":
			r.Href = a.Value
		}
	}
	return r
}

// asciiAlike reports whether the XML declaration names an encoding in which
// ASCII text is what it is in ASCII.
func asciiAlike(declaration string) bool {
	_, after, ok := strings.Cut(declaration, "encoding")
	if !ok {
		return true
	}
	after = strings.ToLower(strings.TrimLeft(after, " \t\r\n=\"'"))
	for _, known := range []string{"utf-8", "us-ascii", "ascii", "iso-8859-", "windows-125", "latin1"} {
		if strings.HasPrefix(after, known) {
			return true
		}
	}
	return false
}

// aside steps over a comment, a processing instruction or a CDATA section.
func (s *source) aside(i int) int {
	switch {
	case s.has(i, "<!--"):
		return s.after(i+4, "-->")
	case s.has(i, "<![CDATA["):
		return s.after(i+9, "]]>")
	case s.has(i, "<?"):
		return s.after(i+2, "?>")
	}
	return -1
}

// tag reads the start tag at i.
func (s *source) tag(i int, attrs bool) (tag, bool) {
	if s.byte(i) != '<' {
		return tag{}, false
	}
	end := s.any(i+1, " \n\t\r/>")
	if end <= i+1 || !nameStart(s.buf[i+1]) {
		return tag{}, false
	}
	t := tag{name: string(s.buf[i+1 : end])}
	for i = end; ; {
		i = s.space(i)
		switch s.byte(i) {
		case '>':
			t.end = i + 1
			return t, true
		case '/':
			t.end, t.empty = i+2, true
			return t, s.byte(i+1) == '>'
		}
		name, value, end := s.attribute(i)
		if end < 0 {
			return t, false
		}
		if attrs {
			t.attrs = append(t.attrs, vxml.Attr{Name: string(name), Value: html.UnescapeString(string(value))})
		}
		i = end
	}
}

func nameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// attribute reads name="value" at i, and gives what follows it, or -1.
func (s *source) attribute(i int) (name, value []byte, end int) {
	end = s.any(i, " \n\t\r=/><\"'")
	if end <= i {
		return nil, nil, -1
	}
	start, stop := i, end
	if i = s.space(end); s.byte(i) != '=' {
		return nil, nil, -1
	}
	i = s.space(i + 1)
	var last string
	switch s.byte(i) {
	case '"':
		last = `"<`
	case '\'':
		last = `'<`
	default:
		return nil, nil, -1
	}
	if end = s.any(i+1, last); end < 0 || s.buf[end] == '<' {
		return nil, nil, -1
	}
	return s.buf[start:stop], s.buf[i+1 : end], end + 1
}

// element steps over the element at i.
func (s *source) element(i int) int {
	for depth := 0; ; {
		switch {
		case s.has(i, "</"):
			depth--
			i = s.after(i, ">")
		case s.has(i, "<!"), s.has(i, "<?"):
			i = s.aside(i)
		default:
			t, ok := s.tag(i, false)
			if !ok {
				return -1
			}
			if !t.empty {
				depth++
			}
			i = t.end
		}
		if depth == 0 || i < 0 {
			return i
		}
		if i = s.any(i, "<"); i < 0 {
			return -1
		}
	}
}

// xmlSplice works out where links go: behind the links that the root starts
// with, or what may stand in front of these, else at its start.
func (s *source) xmlSplice(links []*vxml.Element) splice {
	_, root, ok := s.xmlRoot()
	if !ok {
		return splice{}
	}
	if root.empty {
		text := append([]byte(">"), linksXML(root, "", links)...)
		return splice{at: root.end - 2, cut: 1, text: append(text, "</"+root.name...)}
	}
	place, indent := root.end, ""
	for i := root.end; ; {
		before := i
		i = s.space(i)
		if before == root.end && i-before <= maxIndent && s.byte(i) == '<' {
			indent = string(s.buf[before:i])
		}
		next, isLink, more := s.leading(i)
		switch {
		case next < 0:
			return splice{}
		case !more:
			return splice{at: place, text: linksXML(root, indent, links)}
		case isLink:
			place = next
		}
		i = next
	}
}

// leading steps over what stands at i, if links may stand behind it: more
// tells that. A document that ends there has no place for links: -1.
func (s *source) leading(i int) (next int, isLink, more bool) {
	switch {
	case s.byte(i) == 0:
		return -1, false, false
	case s.byte(i) != '<', s.has(i, "</"), s.has(i, "<![CDATA["):
		return i, false, false
	case s.has(i, "<!"), s.has(i, "<?"):
		return s.aside(i), false, true
	}
	t, ok := s.tag(i, false)
	switch name := local(t.name); {
	case !ok:
		return -1, false, false
	case name != "Link" && name != "VCloudExtension":
		return i, false, false
	}
	return s.element(i), true, true
}

// linksXML writes links, each behind indent, in ASCII only: so the encoding of
// the document does not matter.
func linksXML(root tag, indent string, links []*vxml.Element) []byte {
	name, declaration := linkName(root)
	var b bytes.Buffer
	for _, l := range links {
		b.WriteString(indent + "<" + name + declaration)
		for _, a := range l.Attrs {
			b.WriteString(" " + a.Name + `="`)
			escape(&b, a.Value)
			b.WriteByte('"')
		}
		b.WriteString("/>")
	}
	return b.Bytes()
}

// linkName is how a child of root is called that is a Link of the vcloud
// namespace.
func linkName(root tag) (name, declaration string) {
	for _, a := range root.attrs {
		if a.Name == "xmlns" && a.Value == vxml.NamespaceVCloud {
			return "Link", ""
		}
	}
	for _, a := range root.attrs {
		if prefix, ok := strings.CutPrefix(a.Name, "xmlns:"); ok && a.Value == vxml.NamespaceVCloud {
			return prefix + ":Link", ""
		}
	}
	return "Link", ` xmlns="` + vxml.NamespaceVCloud + `"`
}

func escape(b *bytes.Buffer, s string) {
	for _, r := range s {
		switch {
		case strings.ContainsRune(`<>&"'`, r), r > '~':
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		case r < ' ':
			b.WriteByte(' ') // no link holds one; see core.Link.Validate
		default:
			b.WriteRune(r)
		}
	}
}
