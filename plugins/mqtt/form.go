package mqtt

import (
	"mime"
	"net/url"
	"strings"

	"github.com/annex-gateway/annex/sdk/wire"
)

// form reads an HTML form beside the body, and gives its fields and their
// encoding. It gives nothing for other content, and for a form with more
// fields than a message may carry.
func form(contentType string, body []byte) (fields map[string][]string, encoding string) {
	if contentType == "" {
		return nil, ""
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, ""
	}
	latin1 := false
	encoding = "UTF-8"
	switch strings.ToLower(params["charset"]) {
	case "iso-8859-1", "latin1", "us-ascii":
		latin1, encoding = true, "ISO-8859-1"
	}
	fields = map[string][]string{}
	n := 0
	for pair := range strings.SplitSeq(string(body), "&") {
		if pair == "" {
			continue
		}
		if n++; n > wire.MaxFormFields {
			return nil, ""
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = decoded(name, latin1), decoded(value, latin1)
		fields[name] = append(fields[name], value)
	}
	return fields, encoding
}

// decoded undoes the encoding of one part of a form. What is not encoded
// properly stays as it was sent.
func decoded(s string, latin1 bool) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		plain = s
	}
	if !latin1 {
		return plain
	}
	runes := make([]rune, len(plain))
	for i := range len(plain) {
		runes[i] = rune(plain[i]) // in Latin-1 a byte is a code point
	}
	return string(runes)
}
