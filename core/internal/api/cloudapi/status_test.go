package cloudapi_test

import (
	"net/http"
	"net/http/httptest"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
)

type outcome struct {
	status int
	minor  string
}

func statuses() map[core.Code]outcome {
	return map[core.Code]outcome{
		core.Invalid:          {400, "BAD_REQUEST"},
		core.Unauthenticated:  {401, "UNAUTHORIZED"},
		core.Forbidden:        {403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN"},
		core.NotFound:         {404, "NOT_FOUND"},
		core.NotAllowed:       {405, "METHOD_NOT_ALLOWED"},
		core.Conflict:         {409, "CONFLICT"},
		core.Stale:            {412, "PRECONDITION_FAILED"},
		core.TooLarge:         {413, "REQUEST_ENTITY_TOO_LARGE"},
		core.TooLong:          {414, "REQUEST_URI_TOO_LONG"},
		core.UnsupportedMedia: {415, "UNSUPPORTED_MEDIA_TYPE"},
		core.TooMany:          {429, "TOO_MANY_REQUESTS"},
		core.Unavailable:      {503, "SERVICE_UNAVAILABLE"},
		core.ReadOnly:         {503, "SERVICE_READ_ONLY"},
		core.Timeout:          {504, "GATEWAY_TIMEOUT"},
		core.BadUpstream:      {502, "BAD_GATEWAY"},
		core.Internal:         {500, "INTERNAL_SERVER_ERROR"},
	}
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func writeErrorOf(w http.ResponseWriter, err error) { cloudapi.WriteError(w, requestID, err) }
