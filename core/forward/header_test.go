package forward

import (
	"net/http"
	"testing"
)

func TestProxySettingsOfTheMachineAreNotUsed(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	if New("https", "a.example", Options{}).newGeneration(nil).transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
}

func FuzzCookie(f *testing.F) {
	f.Add("a=1; vcloud_jwt=x; b=2")
	f.Add(" vcloud_jwt = x;;")
	f.Fuzz(func(t *testing.T, in string) {
		r := http.Request{Header: http.Header{"Cookie": {withoutSession(in)}}}
		if _, err := r.Cookie(sessionCookie); err == nil {
			t.Errorf("%q still has the cookie: %q", in, r.Header["Cookie"])
		}
	})
}
