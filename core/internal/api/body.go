package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// ReadBody reads the whole body of a request. A body over limit is TooLarge;
// one that is announced as larger is refused before it is read.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit)
	}
	if r.Body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), core.ErrorCode(err) == core.TooLarge:
		return nil, bodyTooLarge(limit)
	case err != nil:
		return nil, core.WrapError(core.Invalid, err, "the body of the request ended early; send it again")
	}
	return b, nil
}

func bodyTooLarge(limit int64) error {
	return core.Errorf(core.TooLarge, "the body of the request is larger than the %d bytes that are allowed here", limit)
}

// RequireType refuses a Content-Type that is none of the media types in want
// with UnsupportedMedia. Parameters do not count, and no Content-Type is fine.
func RequireType(h http.Header, want ...string) error {
	given := h.Get("Content-Type")
	if strings.TrimSpace(given) == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil {
		// Unreadable parameters do not make another media type of it.
		before, _, _ := strings.Cut(given, ";")
		media = strings.ToLower(strings.TrimSpace(before))
	}
	if slices.Contains(want, media) {
		return nil
	}
	return core.Errorf(core.UnsupportedMedia, "header Content-Type: %q is not understood here; send %s", given, strings.Join(want, " or "))
}
