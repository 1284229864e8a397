package vxml

import (
	"net/http"
	"strconv"

	"github.com/annex-gateway/annex/core"
)

// Respond is the response to r that shows the document whose root is e. The
// media type is given without suffix.
func Respond(r core.Request, media string, e *Element) core.Response {
	c := Choose(r.Header.Values("Accept"))
	return respond(r, c.ContentType(media), c.Encode(e))
}

// RespondSchema is the response to r that gives one of the schema files.
func RespondSchema(r core.Request, file []byte) core.Response {
	return respond(r, "application/xml", file)
}

func respond(r core.Request, contentType string, body []byte) core.Response {
	out := core.Response{
		Status: http.StatusOK,
		Header: core.NewHeader(
			"Content-Type", contentType,
			"Content-Length", strconv.Itoa(len(body)),
			"Cache-Control", "no-store",
			"X-Content-Type-Options", "nosniff",
		),
	}
	if r.Method != http.MethodHead {
		out.Body = core.BytesBody(body)
	}
	return out
}
