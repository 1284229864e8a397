package cloudapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

// problem is the body of every error. Clients know these three members and
// need the body to be JSON.
type problem struct {
	Minor   string  `json:"minorErrorCode"`
	Message string  `json:"message"`
	Stack   *string `json:"stackTrace"` // always null
}

// outcome is the HTTP status and the minor error code of an error.
type outcome struct {
	status int
	minor  string
}

// outcomes is the one table of this API. Clients cannot read 402, 417, 422,
// 501, 502 and 507, so those are not used, but for 502, which answers below
// /ext-api and /ext-ui may have.
func outcomes() map[core.Code]outcome {
	return map[core.Code]outcome{
		core.Invalid:          {http.StatusBadRequest, "BAD_REQUEST"},
		core.Unauthenticated:  {http.StatusUnauthorized, "UNAUTHORIZED"},
		core.Forbidden:        {http.StatusForbidden, "ACCESS_TO_RESOURCE_IS_FORBIDDEN"},
		core.NotFound:         {http.StatusNotFound, "NOT_FOUND"},
		core.NotAllowed:       {http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		core.Conflict:         {http.StatusConflict, "CONFLICT"},
		core.Stale:            {http.StatusPreconditionFailed, "PRECONDITION_FAILED"},
		core.TooLarge:         {http.StatusRequestEntityTooLarge, "REQUEST_ENTITY_TOO_LARGE"},
		core.TooLong:          {http.StatusRequestURITooLong, "REQUEST_URI_TOO_LONG"},
		core.UnsupportedMedia: {http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"},
		core.TooMany:          {http.StatusTooManyRequests, "TOO_MANY_REQUESTS"},
		core.Unavailable:      {http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE"},
		core.ReadOnly:         {http.StatusServiceUnavailable, "SERVICE_READ_ONLY"},
		core.Timeout:          {http.StatusGatewayTimeout, "GATEWAY_TIMEOUT"},
		core.BadUpstream:      {http.StatusBadGateway, "BAD_GATEWAY"},
		core.Internal:         {http.StatusInternalServerError, "INTERNAL_SERVER_ERROR"},
	}
}

func outcomeOf(err error) outcome {
	o, ok := outcomes()[core.ErrorCode(err)]
	if !ok {
		o = outcomes()[core.Internal]
	}
	var e *core.Error
	if errors.As(err, &e) && e.Minor != "" {
		o.minor = e.Minor
	}
	return o
}

// WriteError answers with err in the JSON form of all paths that are not below
// /api. What does not exist is 404; inside of /cloudapi a missing object has
// become Forbidden before it gets here, since clients take only that for "not
// there". The text begins with the request id that the log carries.
func WriteError(w http.ResponseWriter, requestID string, err error) {
	writeError(w, "application/json", requestID, err)
}

func writeError(w http.ResponseWriter, contentType, requestID string, err error) {
	o := outcomeOf(err)
	body, _ := json.Marshal(problem{Minor: o.minor, Message: "[ " + requestID + " ] " + core.ErrorMessage(err)}, jsontext.AllowInvalidUTF8(true))
	h := w.Header()
	h.Del("ETag")
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if o.status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Bearer realm="annex"`)
	}
	w.WriteHeader(o.status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// answerErrors writes what a handler returns, and logs what is our own fault.
func (a *cloud) answerErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		id := api.RequestID(c)
		if ourFault(err) {
			a.Log.ErrorContext(c.Request().Context(), "an administrative call failed",
				"request_id", id, "method", c.Request().Method, "path", c.Request().URL.Path, "err", err)
		}
		if !c.Response().Committed {
			writeError(c.Response(), contentType(c), id, inside(err))
		}
		return nil
	}
}

// ourFault reports whether an operator should hear of err: what is broken or
// has a cause below, not what callers do wrong or have to wait for.
func ourFault(err error) bool {
	var e *core.Error
	switch core.ErrorCode(err) {
	case core.Internal, core.ReadOnly:
		return true
	case core.Unavailable:
		return errors.As(err, &e) && e.Err != nil
	}
	return false
}

// inside turns a bad upstream, of which clients of this API understand no
// status, into one that they do.
func inside(err error) error {
	if core.ErrorCode(err) == core.BadUpstream {
		return core.WrapError(core.Unavailable, err, "%s", core.ErrorMessage(err))
	}
	return err
}

// missing makes what does not exist into what the caller may not see.
func missing(err error) error {
	return core.WrapError(core.Forbidden, err, "%s, or you may not see it", core.ErrorMessage(err))
}
