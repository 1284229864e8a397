package telemetry

import "strings"

// Place is the part of the URL space that a call is counted under. There are
// few, whatever clients ask for.
type Place int

// The places.
const (
	PlaceOther Place = iota
	PlaceAPI
	PlaceExtAPI
	PlaceExtUI
	PlaceCloudAPI
	PlaceAdmin
	PlaceLogin
	PlaceMessaging
	PlaceHealth
	places
)

// String is the value of the label.
func (p Place) String() string {
	return [places]string{"other", "api", "ext-api", "ext-ui", "cloudapi", "admin", "login", "messaging", "health"}[p]
}

// PlaceOf tells where a path lies.
func PlaceOf(path string) Place {
	for _, r := range [...]struct {
		prefix string
		place  Place
	}{
		{"/api/admin/extension", PlaceAdmin},
		{"/api/sessions", PlaceLogin},
		{"/api/session", PlaceLogin},
		{"/api/login", PlaceLogin},
		{"/api", PlaceAPI},
		{"/ext-api", PlaceExtAPI},
		{"/ext-ui", PlaceExtUI},
		{"/cloudapi", PlaceCloudAPI},
		{"/oauth", PlaceLogin},
		{"/messaging", PlaceMessaging},
		{"/livez", PlaceHealth},
		{"/readyz", PlaceHealth},
	} {
		if rest, ok := strings.CutPrefix(path, r.prefix); ok && (rest == "" || rest[0] == '/') {
			return r.place
		}
	}
	return PlaceOther
}
