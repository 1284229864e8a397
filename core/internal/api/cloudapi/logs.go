package cloudapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/query"
)

// logLine is a line that an extension wrote.
type logLine struct {
	Time    string `json:"time"`
	Level   string `json:"level"`
	Request string `json:"requestId,omitempty"`
	Text    string `json:"text"`
}

// mountLogs serves what extensions wrote, if somebody keeps it.
func (a *cloud) mountLogs(e *echo.Echo) {
	if a.Logs == nil {
		return
	}
	a.route(e, servicesPath+"/:id/logs", verbs{http.MethodGet: a.logs})
}

// logs writes one JSON object on each line. With follow=true it goes on until
// the client has gone.
func (a *cloud) logs(c echo.Context) error {
	q, err := query.Parse(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	follow, err := q.One("follow")
	if err != nil {
		return err
	}
	if follow != "" && follow != "true" && follow != "false" {
		return core.Errorf(core.Invalid, "follow: true or false is needed")
	}
	id := itemID(c)
	if _, err := a.Catalog.Systems.Get(c.Request().Context(), id); err != nil {
		return missing(err)
	}
	w := c.Response()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	w.Flush()
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for l := range a.Logs(c.Request().Context(), actorOf(c).Caller, id, follow == "true") {
		line := logLine{Time: l.Time.UTC().Format(time.RFC3339Nano), Level: l.Level.String(), Request: l.Call, Text: l.Text}
		if err := out.Encode(line); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
		w.Flush()
	}
	return nil
}
