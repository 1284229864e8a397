package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// TestStreamsEndWithTheCredentialThatOpenedThem: what is open when a caller
// loses the right to be here is closed, and what others have open is not.
func TestStreamsEndWithTheCredentialThatOpenedThem(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			echoSocket(w, r)
			return
		}
		fmt.Fprintln(w, "begun")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("long", o.URL, filter(core.ScopeExtAPI, "/long/.*"), filter(core.ScopeProvider, "/long/.*"))
	for name, end := range map[string]func(token, orgID, userID string){
		"logout": func(token, _, _ string) {
			h.gone(h.as(token, "DELETE", "/cloudapi/1.0.0/sessions/current", ""))
		},
		"the user is disabled": func(_, _, userID string) { h.edit("/cloudapi/1.0.0/users/"+userID, "enabled", false) },
		"the user is deleted": func(_, _, userID string) {
			h.gone(h.as(h.token, "DELETE", "/cloudapi/1.0.0/users/"+userID, ""))
		},
		"the API token is revoked": func(token, _, _ string) {
			id := h.find("/cloudapi/1.0.0/tokens", "name==robot")
			h.gone(h.as(token, "DELETE", "/cloudapi/1.0.0/tokens/"+id, ""))
		},
		"the organisation is disabled": func(_, orgID, _ string) { h.edit("/cloudapi/1.0.0/orgs/"+orgID, "isEnabled", false) },
	} {
		t.Run(name, func(t *testing.T) {
			org := strings.ReplaceAll(name, " ", "-")
			token, orgID, userID := h.member(org, "ann")
			if strings.Contains(name, "API token") {
				token = h.apiToken(token, org)
			}
			ends := map[string]<-chan error{}
			watch := func(what string, r io.Reader) {
				c := make(chan error, 1)
				ends[what] = c
				go func() {
					_, err := io.Copy(io.Discard, r)
					c <- err
				}()
			}
			_, socket := h.socketAs(token, "/ext-api/long/socket")
			watch("the socket", socket)
			resp, err := h.client().Transport.RoundTrip(h.request("GET", "/ext-api/long/stream", nil, "Authorization", "Bearer "+token))
			if err != nil {
				t.Fatal(err)
			}
			watch("the stream", resp.Body)
			page, err := h.client().Transport.RoundTrip(h.request("GET", "/ext-ui/provider/long/stream", nil, "Cookie", "vcloud_jwt="+token))
			if err != nil {
				t.Fatal(err)
			}
			watch("the page", page.Body)
			others, othersEnd := h.socket("/ext-api/long/socket")

			end(token, orgID, userID)
			for what, c := range ends {
				if err := receive(t, "the end of "+what, c); err == nil && what != "the socket" {
					t.Errorf("%s looks whole", what)
				}
			}
			if got := h.as(token, "GET", "/ext-api/long/stream", ""); got.status != 401 {
				t.Errorf("the next call: %d", got.status)
			}
			h.say(others, "ping")
			b := make([]byte, 4)
			if _, err := io.ReadFull(othersEnd, b); err != nil || string(b) != "ping" {
				t.Errorf("somebody else's socket: %q, %v", b, err)
			}
		})
	}
	t.Run("the gateway is closed", func(t *testing.T) {
		_, socket := h.socket("/ext-api/long/socket")
		resp, err := h.client().Transport.RoundTrip(h.request("GET", "/ext-api/long/stream", nil, "Authorization", "Bearer "+h.token))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.gw.Close(); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, socket)
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Error("the stream looks whole")
		}
	})
}

// apiToken gives an access token that a program gets with an API token named
// robot.
func (h *house) apiToken(session, org string) string {
	h.Helper()
	field := func(got answer, name string) string {
		var out map[string]any
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status >= 300 {
			h.Fatalf("%d %s", got.status, got.body)
		}
		s, _ := out[name].(string)
		return s
	}
	exchange := func(form string) answer {
		return h.do("POST", "/oauth/tenant/"+org+"/token", form, "Content-Type", "application/x-www-form-urlencoded")
	}
	client := field(h.as(session, "POST", "/oauth/tenant/"+org+"/register", `{"client_name":"robot"}`, "Content-Type", "application/json"), "client_id")
	refresh := field(exchange("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id="+client+"&assertion="+session), "refresh_token")
	return field(exchange("grant_type=refresh_token&refresh_token="+refresh), "access_token")
}

// gone expects that something was taken away.
func (h *house) gone(got answer) {
	h.Helper()
	if got.status != 204 && got.status != 200 {
		h.Fatalf("%d %s", got.status, got.body)
	}
}

// edit changes one member of a single object.
func (h *house) edit(path, member string, value any) {
	h.Helper()
	var object map[string]any
	got := h.as(h.token, "GET", path, "")
	if err := json.Unmarshal([]byte(got.body), &object); err != nil {
		h.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	object[member] = value
	b, err := json.Marshal(object)
	if err != nil {
		h.Fatal(err)
	}
	if got = h.as(h.token, "PUT", path, string(b), "Content-Type", "application/json"); got.status != 200 {
		h.Fatalf("PUT %s %s: %d %s", path, b, got.status, got.body)
	}
}
