package gateway_test

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// TestStrangersCannotWriteIntoTheLogs is T35: every event is one line of
// printable characters, and none holds a credential.
func TestStrangersCannotWriteIntoTheLogs(t *testing.T) {
	const secret = "s3cret-in-a-place-for-secrets"
	accessLog, log := &buffer{}, &buffer{}
	o := newOrigin(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h := newHouse(t, func(s *settings) {
		s.AccessLog = accessLog
		s.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	h.trust(o.Server, "origin")
	h.endpoint("gone", o.URL, filter(core.ScopeExtAPI, "/gone/.*"))
	h.listen(h.service("liar", 50, filter(core.ScopeAPI, "/api/liar.*")), "liar", func(r wire.Request) []byte {
		return []byte(`{"headers":{"requestId":"` + r.ID + `"},"httpResponse":{"statusCode":1000,"headers":{"a\nlevel=ERROR msg=forged":"\u001b[2J"}}}`)
	})
	naughty := []string{
		"%0d%0alevel=ERROR", "%1b[2J", "a%C2%9Bm", "%E2%80%AE", "%E2%80%A8forged", "%00", `"},{"forged":"`, "<script>", "${jndi:ldap://x}", "%25n%25s",
		"%F0%9F%92%A3", "%C3%28", strings.Repeat("x", 5000), "\\n", "\x1b]0;x\x07", "\xff\xfe", "\r", "\tforged=1",
	}
	for _, text := range naughty {
		for _, path := range []string{"/ext-api/gone/", "/api/liar/", "/", "/cloudapi/", "/ext-ui/tenant/"} {
			c := h.dial()
			h.say(c, "GET %s%s?token=%s HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\nCookie: vcloud_jwt=%s\r\nX-VMWARE-VCLOUD-CLIENT-REQUEST-ID: %s\r\nUser-Agent: %s\r\nX-Forwarded-For: %s\r\nConnection: close\r\n\r\n",
				path, text, secret, h.token, h.token, text, text, text)
			// Some of these are not even HTTP.
			_, _ = bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
		}
	}
	for _, user := range []string{"a\nb@System", "a\x1b[2J@System", "administrator@\r\nSystem", "\u202e@System"} {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, secret)
		if got := h.do("POST", "/cloudapi/1.0.0/sessions/provider", "", "Authorization", r.Header.Get("Authorization")); got.status != 401 {
			t.Errorf("%q: %d", user, got.status)
		}
	}
	h.do("GET", "/api/session", "", "Authorization", "Bearer "+secret)
	h.server.Close()
	if err := h.gw.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"the access log": accessLog.String(), "the log": log.String()} {
		lines := 0
		for line := range strings.Lines(text) {
			lines++
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Errorf("%s has a line that is no event: %q", name, line)
			}
			for _, r := range strings.TrimSuffix(line, "\n") {
				if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
					t.Errorf("%s holds %U: %q", name, r, line)
					break
				}
			}
			if len(line) > 16<<10 {
				t.Errorf("%s has a line of %d bytes", name, len(line))
			}
		}
		for what, s := range map[string]string{"a password or token of a client": secret, "a session's token": h.token, "the administrator's password": adminPassword} {
			if strings.Contains(text, s) {
				t.Errorf("%s holds %s", name, what)
			}
		}
		if lines < 50 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}
