package vxml

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// Write sends the document whose root is e.
func Write(w http.ResponseWriter, c Choice, status int, media string, e *Element) {
	body := c.Encode(e)
	h := w.Header()
	h.Set("Content-Type", c.ContentType(media))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// WriteError sends err in the form of the paths below /api: the one table from
// codes to statuses there. Accept is what the client sent in those headers.
func WriteError(w http.ResponseWriter, accept []string, requestID string, err error) {
	status, minor := Status(err)
	var verbs *verbsError
	if errors.As(err, &verbs) {
		w.Header().Set("Allow", strings.Join(verbs.allowed, ", "))
	}
	if status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	Write(w, Choose(accept), status, "application/vnd.vmware.vcloud.error", errorElement(status, minor, requestID, err))
}

// maxMessage bounds an error's text: it may hold what a client sent.
const maxMessage = 2048

func errorElement(status int, minor, requestID string, err error) *Element {
	message := core.ErrorMessage(err)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return VCloud("Error").
		Set("message", "[ "+requestID+" ] "+message).
		SetInt("majorErrorCode", status).
		Set("minorErrorCode", minor)
}

// Status gives the status of an error, and its minor code: the error's own,
// or that of its code.
func Status(err error) (status int, minor string) {
	known, ok := statuses()[core.ErrorCode(err)]
	if !ok {
		known = statuses()[core.Internal]
	}
	var e *core.Error
	if errors.As(err, &e) && e.Minor != "" {
		return known.status, e.Minor
	}
	return known.status, known.minor
}

type outcome struct {
	status int
	minor  string
}

func statuses() map[core.Code]outcome {
	return map[core.Code]outcome{
		core.Invalid:          {http.StatusBadRequest, "BAD_REQUEST"},
		core.Unauthenticated:  {http.StatusUnauthorized, "UNAUTHORIZED"},
		core.Forbidden:        {http.StatusForbidden, "ACCESS_TO_RESOURCE_IS_FORBIDDEN"},
		core.NotFound:         {http.StatusNotFound, "RESOURCE_NOT_FOUND"},
		core.NotAllowed:       {http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		core.Conflict:         {http.StatusConflict, "CONFLICT"},
		core.Stale:            {http.StatusPreconditionFailed, "PRECONDITION_FAILED"},
		core.TooLarge:         {http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE"},
		core.TooLong:          {http.StatusRequestURITooLong, "URI_TOO_LONG"},
		core.UnsupportedMedia: {http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"},
		core.TooMany:          {http.StatusTooManyRequests, "TOO_MANY_REQUESTS"},
		core.Unavailable:      {http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE"},
		core.Timeout:          {http.StatusGatewayTimeout, "GATEWAY_TIMEOUT"},
		core.BadUpstream:      {http.StatusServiceUnavailable, "BAD_UPSTREAM"},
		core.ReadOnly:         {http.StatusServiceUnavailable, "INSUFFICIENT_STORAGE"},
		core.Internal:         {http.StatusInternalServerError, "INTERNAL_SERVER_ERROR"},
	}
}

// verbsError carries the verbs that a path does have to the Allow header.
type verbsError struct{ allowed []string }

func (v *verbsError) Error() string { return "allowed: " + strings.Join(v.allowed, ", ") }

// NotAllowed is the error of a path that is there for other verbs. WriteError
// names them in the Allow header.
func NotAllowed(method, path string, allowed ...string) error {
	return core.WrapError(core.NotAllowed, &verbsError{allowed}, "%s is not possible on %s; it takes %s",
		brief(method), brief(path), strings.Join(allowed, ", "))
}
