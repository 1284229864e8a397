package wasm

import (
	"net/http"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// say writes n bytes at an address into the answer's body; n is the number on
// top of the stack.
func say(at int) []byte { return cat(set(0), host("write_body", 1, at, get(0))) }

// low takes the lower half of a number of 64 bits.
func low() []byte { return []byte{0xa7} }

// digit turns the number on the stack into one character of the answer.
func digit() []byte {
	return cat(set(0), constant(2000), get(0), constant('0'), []byte{0x6a, 0x3a, 0, 0}, host("write_body", 1, 2000, 1))
}

func TestWhatAGuestReads(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-twice", 16: "cookie", 32: "authorization", 48: "host", 64: "absent", 80: "x-forwarded-for", 96: "X-Forwarded-Proto", 128: "x-forwarded-host", 160: "x-real-ip"}
	for _, tc := range []struct {
		name    string
		request []byte
		want    string
	}{
		{"get_method gives the method", cat(host("get_method", 1000, 64), say(1000)), "GET"},
		{"get_uri gives raw path and raw query", cat(host("get_uri", 1000, 64), say(1000)), "/a%20b?x=1;y"},
		{"get_protocol_version gives the client's", cat(host("get_protocol_version", 1000, 64), say(1000)), "HTTP/2.0"},
		{"get_source_addr gives address and port", cat(host("get_source_addr", 1000, 64), say(1000)), "192.0.2.7:4321"},
		{"get_config gives the registration's bytes", cat(host("get_config", 1000, 64), say(1000)), `{"a":1}`},
		{"get_header_values separates values by NUL", cat(host("get_header_values", 0, 0, 7, 1000, 64), low(), say(1000)), "one\x00two\x00"},
		{"get_header_values gives nothing for an absent field", cat(host("get_header_values", 0, 64, 6, 1000, 64), low(), digit()), "0"},
		{"get_header_values hides the session cookie among others", cat(host("get_header_values", 0, 16, 6, 1000, 64), low(), say(1000)), "a=b; c=d\x00"},
		{"get_header_values hides the credential", cat(host("get_header_values", 0, 32, 13, 1000, 64), low(), digit()), "0"},
		{"get_header_values knows the host", cat(host("get_header_values", 0, 48, 4, 1000, 64), low(), say(1000)), "gateway:8443\x00"},
		{"get_header_values knows the client", cat(host("get_header_values", 0, 80, 15, 1000, 64), low(), say(1000)), "192.0.2.7\x00"},
		{"get_header_values knows the client by the other name too", cat(host("get_header_values", 0, 160, 9, 1000, 64), low(), say(1000)), "192.0.2.7\x00"},
		{"get_header_values knows what the client speaks", cat(host("get_header_values", 0, 96, 17, 1000, 64), low(), say(1000)), "https\x00"},
		{"get_header_values knows whom the client means", cat(host("get_header_values", 0, 128, 16, 1000, 64), low(), say(1000)), "gateway:8443\x00"},
		{"get_header_names is in lower case and hides the credential", cat(host("get_header_names", 0, 1000, 64), low(), say(1000)), "cookie\x00host\x00x-twice\x00"},
		{"get_header_names of trailers is empty without the feature", cat(host("get_header_names", 2, 1000, 64), low(), digit()), "0"},
		{"a value longer than the room is not written", cat(host("get_method", 1000, 2), drop(), host("write_body", 1, 1000, 3)), "\x00\x00\x00"},
		{"the length is told all the same", cat(host("get_method", 1000, 2), digit()), "3"},
		{"a list longer than the room is not written", cat(host("get_header_values", 0, 0, 7, 1000, 7), drop(), host("write_body", 1, 1000, 1)), "\x00"},
		{"read_body reads in pieces and says when it ends", cat(
			host("read_body", 0, 1000, 3), low(), say(1000),
			host("read_body", 0, 1000, 3), low(), say(1000),
			host("read_body", 0, 1000, 3), []byte{0x42}, sleb(32), []byte{0x88}, low(), digit()), "hello1"},
		{"enable_features gives what is on: nothing", cat(host("enable_features", 0), digit()), "0"},
		{"enable_features gives what is on: what was asked for", cat(host("enable_features", 3), digit()), "3"},
		{"enable_features gives what is on: and was before", cat(host("enable_features", 1), drop(), host("enable_features", 4), digit()), "5"},
		{"enable_features knows three", cat(host("enable_features", -1), digit()), "7"},
		{"log_enabled is off for debug", cat(host("log_enabled", -1), digit()), "0"},
		{"log_enabled is on for errors", cat(host("log_enabled", 2), digit()), "1"},
		{"log_enabled is off for none", cat(host("log_enabled", 3), digit()), "0"},
		{"get_status_code is 200 before there is an answer", cat(host("get_status_code"), constant(198), []byte{0x6b}, digit()), "2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, guestModule(ending, data, tc.request, nil), core.WASMSettings{Config: []byte(`{"a":1}`)})
			m, err := c.Do(t.Context(), testMessage(core.BytesBody([]byte("hello")),
				"X-Twice", "one", "X-Twice", "two", "Authorization", "Bearer x", "Cookie", "a=b; vcloud_jwt=secret; c=d"))
			if err != nil {
				t.Fatal(err)
			}
			if got := bodyOf(t, m.Response.Body); m.Response.Status != 200 || got != tc.want {
				t.Errorf("got %d %q, want 200 %q", m.Response.Status, got, tc.want)
			}
		})
	}
}

func TestAConfigurationIsHandedOver(t *testing.T) {
	f := newFixture(t, Options{})
	for config, want := range map[string]string{
		`{"a":"b"}`:                           `{"a":"b"}`,
		`[1,2]`:                               `[1,2]`,
		`7`:                                   `7`,
		`null`:                                ``,
		`"open sesame"`:                       `open sesame`,
		`"\u0003\u0000 \"{\""`:                "\x03\x00 \"{\"",
		`"{\"the text\": \"is JSON again\"}"`: `{"the text": "is JSON again"}`,
		`""`:                                  ``,
	} {
		c := f.open(t, guestModule(ending, nil, cat(host("get_config", 1000, 64), say(1000)), nil), core.WASMSettings{Config: []byte(config)})
		m, err := c.Do(t.Context(), testMessage(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, m.Response.Body); got != want {
			t.Errorf("of %s the guest gets %q, want %q", config, got, want)
		}
	}
}

func TestWhatAGuestChangesInTheRequest(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-new", 16: "value", 32: "authorization", 64: "cookie", 80: "e=f; vcloud_jwt=forged", 128: "/b%20c?q=2", 160: "POST", 176: "x-forwarded-for", 200: "x_snake", 224: "content-length", 240: "x-old"}
	fields := []string{"X-Old", "1", "X-Old", "2", "Authorization", "Bearer x", "Cookie", "vcloud_jwt=secret; a=b"}
	setTo := func(at, n int) []byte { return host("set_header_value", 0, at, n, 16, 5) }
	for _, tc := range []struct {
		name    string
		request []byte
		want    func(core.Request) bool
	}{
		{"set_header_value sets a new field", setTo(0, 5), func(r core.Request) bool { return r.Header.Get("X-New") == "value" }},
		{"set_header_value replaces all values", setTo(240, 5), func(r core.Request) bool {
			return strings.Join(r.Header.Values("X-Old"), ",") == "value"
		}},
		{"add_header_value adds", host("add_header_value", 0, 240, 5, 16, 5), func(r core.Request) bool {
			return strings.Join(r.Header.Values("X-Old"), ",") == "1,2,value"
		}},
		{"remove_header removes", host("remove_header", 0, 240, 5), func(r core.Request) bool { return !r.Header.Has("X-Old") }},
		{"what is hidden survives a change of others", setTo(0, 5), func(r core.Request) bool {
			return r.Header.Get("Authorization") == "Bearer x" && strings.Contains(strings.Join(r.Header.Values("Cookie"), ";"), "vcloud_jwt=secret")
		}},
		{"the credential cannot be set", setTo(32, 13), func(r core.Request) bool { return r.Header.Get("Authorization") == "Bearer x" }},
		{"the credential cannot be removed", host("remove_header", 0, 32, 13), func(r core.Request) bool { return r.Header.Get("Authorization") == "Bearer x" }},
		{"the session cookie cannot be forged", host("set_header_value", 0, 64, 6, 80, 22), func(r core.Request) bool {
			return strings.Join(r.Header.Values("Cookie"), "|") == "e=f|vcloud_jwt=secret"
		}},
		{"the session cookie survives removal", host("remove_header", 0, 64, 6), func(r core.Request) bool {
			return strings.Join(r.Header.Values("Cookie"), "|") == "vcloud_jwt=secret"
		}},
		{"forwarding fields cannot be set", setTo(176, 15), func(r core.Request) bool { return !r.Header.Has("X-Forwarded-For") }},
		{"names with an underscore cannot be set", setTo(200, 7), func(r core.Request) bool { return !r.Header.Has("X_snake") }},
		{"framing cannot be set", setTo(224, 14), func(r core.Request) bool { return !r.Header.Has("Content-Length") }},
		{"set_uri rewrites path and query", host("set_uri", 128, 10), func(r core.Request) bool {
			return r.Path == "/b c" && r.RawPath == "/b%20c" && r.RawQuery == "q=2"
		}},
		{"set_method rewrites the method", host("set_method", 160, 4), func(r core.Request) bool { return r.Method == "POST" }},
		{"write_body replaces, then appends", cat(host("write_body", 0, 16, 5), host("write_body", 0, 160, 4)), func(r core.Request) bool {
			b, err := r.Body.Bytes(100)
			return err == nil && string(b) == "valuePOST"
		}},
		{"writing nothing empties the body", host("write_body", 0, 0, 0), func(r core.Request) bool {
			b, err := r.Body.Bytes(100)
			return err == nil && len(b) == 0
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, guestModule(next, data, tc.request, nil), core.WASMSettings{Rewrite: true})
			m := testMessage(core.BytesBody([]byte("theirs")), fields...)
			out, err := c.Do(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if out.Answered() || !tc.want(out.Request) {
				t.Errorf("got %+v", out.Request)
			}
			if m.Request.Header.Len() != 3 || m.Request.Method != "GET" {
				t.Errorf("the message that was given in has changed: %+v", m.Request)
			}
		})
	}
}

func TestAnAnswerOfTheGuestIsClean(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "set-cookie", 16: "a=b", 32: "x-fine", 48: "authorization"}
	c := f.open(t, guestModule(ending, data, cat(
		host("set_status_code", 403),
		host("set_header_value", 1, 0, 10, 16, 3),
		host("set_header_value", 1, 48, 13, 16, 3),
		host("set_header_value", 1, 32, 6, 16, 3),
		host("write_body", 1, 16, 3),
	), nil), core.WASMSettings{})
	m, err := c.Do(t.Context(), testMessage(nil))
	if err != nil {
		t.Fatal(err)
	}
	r := m.Response
	if r.Status != 403 || bodyOf(t, r.Body) != "a=b" || r.Header.Len() != 1 || r.Header.Get("X-Fine") != "a=b" {
		t.Errorf("got %d %v", r.Status, r.Header.Clone())
	}
	if n := c.Stats().Refused; n != 2 {
		t.Errorf("%d refused changes are counted, want 2", n)
	}
}

func TestAroundACall(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-seen", 16: "yes", 32: "set-cookie", 64: "x-early", 80: "server", 96: "x-end", 112: "content-length", 128: "0", 130: "6"}
	feature := host("enable_features", 7)
	theirs := func(m core.Message) core.Message {
		body := core.BytesBody([]byte("theirs")).WithTrailer(func() http.Header { return http.Header{"X-End": {"after"}} })
		return answered(m, 201, body, "Set-Cookie", "s=1", "Server", "native", "Content-Length", "6")
	}
	for _, tc := range []struct {
		name              string
		request, response []byte
		want              func(r core.Response, body string) bool
	}{
		{"an untouched answer passes as it is", nil, nil, func(r core.Response, body string) bool {
			return r.Status == 201 && body == "theirs" && r.Header.Len() == 3
		}},
		{"get_status_code and set_status_code", cat(feature, drop()), cat(host("get_status_code"), constant(1), []byte{0x6a}, set(2), get(2), callFunc(hostCalls["set_status_code"])), func(r core.Response, _ string) bool {
			return r.Status == 202
		}},
		{"a header field is set and hidden ones stay", cat(feature, drop()), host("set_header_value", 1, 0, 6, 16, 3), func(r core.Response, body string) bool {
			return r.Header.Get("X-Seen") == "yes" && r.Header.Get("Set-Cookie") == "s=1" && body == "theirs"
		}},
		{"an early header field joins an answer that has none of the name", host("set_header_value", 1, 64, 7, 16, 3), nil, func(r core.Response, _ string) bool {
			return r.Header.Get("X-Early") == "yes"
		}},
		{"an early header field gives way to the answer's", host("set_header_value", 1, 80, 6, 16, 3), nil, func(r core.Response, _ string) bool {
			return r.Header.Get("Server") == "native"
		}},
		{"the body is read and replaced", cat(feature, drop()), cat(host("read_body", 1, 1000, 100), low(), set(0), host("write_body", 1, 1000, get(0)), host("write_body", 1, 16, 3)), func(r core.Response, body string) bool {
			return body == "theirsyes" && !r.Header.Has("Content-Length")
		}},
		{"an early body replaces the answer's", host("write_body", 1, 16, 3), nil, func(r core.Response, body string) bool {
			return r.Status == 201 && body == "yes"
		}},
		{"an early body gives way to a later one", cat(feature, drop(), host("write_body", 1, 16, 3)), host("write_body", 1, 0, 6), func(_ core.Response, body string) bool {
			return body == "x-seen"
		}},
		{"a length of nothing empties the body, as where net/http is the host", cat(feature, drop()), host("set_header_value", 1, 112, 14, 128, 1), func(r core.Response, body string) bool {
			return body == "" && !r.Header.Has("Content-Length")
		}},
		{"any other length is not the guest's to say", cat(feature, drop()), host("set_header_value", 1, 112, 14, 130, 1), func(r core.Response, body string) bool {
			return body == "theirs" && r.Header.Get("Content-Length") == "6"
		}},
		{"an early length of nothing is not the answer's", host("set_header_value", 1, 112, 14, 128, 1), nil, func(_ core.Response, body string) bool {
			return body == "theirs"
		}},
		{"without the feature the body reads as ended", nil, cat(host("read_body", 1, 1000, 100), []byte{0x42}, sleb(32), []byte{0x88}, low(), []byte{0x45, 0x04, 0x40, 0x00, 0x0b}), func(_ core.Response, body string) bool {
			return body == "theirs"
		}},
		{"the request's body can be read again", cat(feature, drop()), cat(host("read_body", 0, 1000, 100), low(), set(0), host("write_body", 1, 1000, get(0))), func(_ core.Response, body string) bool {
			return body == "question"
		}},
		{"trailers of a body that was read are read without the feature", cat(host("enable_features", 3), drop()), cat(
			host("read_body", 1, 1000, 100), drop(), host("get_header_values", 3, 96, 5, 1000, 100), low(), set(0), host("write_body", 1, 1000, get(0)),
		), func(_ core.Response, body string) bool {
			return body == "after\x00"
		}},
		{"trailers are set", cat(feature, drop()), host("set_header_value", 3, 0, 6, 16, 3), func(r core.Response, body string) bool {
			return body == "theirs" && r.Body.Trailer().Get("X-Seen") == "yes"
		}},
		{"the context comes back", nil, cat(get(0), constant(77), []byte{0x47, 0x04, 0x40, 0x00, 0x0b}), func(r core.Response, _ string) bool {
			return r.Status == 201
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, guestModule(77<<32|next, data, tc.request, tc.response), core.WASMSettings{})
			_, back := around(t, c, testMessage(core.BytesBody([]byte("question"))), theirs)
			if !tc.want(*back.Response, bodyOf(t, back.Response.Body)) {
				t.Errorf("got %d %v", back.Response.Status, back.Response.Header.Clone())
			}
		})
	}
}

func TestAnswersWithoutABodyHaveHeaderFieldsOfTheGuest(t *testing.T) {
	f := newFixture(t, Options{})
	data := map[int]string{0: "x-seen", 16: "yes"}
	c := f.open(t, guestModule(next, data, cat(host("enable_features", 7), drop()), cat(
		host("read_body", 1, 1000, 100), drop(),
		host("set_header_value", 1, 0, 6, 16, 3), host("write_body", 1, 16, 3),
	)), core.WASMSettings{})
	for _, tc := range []struct {
		method string
		status int
	}{{"HEAD", 200}, {"GET", 204}, {"GET", 304}} {
		m := testMessage(nil)
		m.Request.Method = tc.method
		_, back := around(t, c, m, func(m core.Message) core.Message {
			return answered(m, tc.status, nil, "Etag", "x", "Content-Length", "6")
		})
		r := back.Response
		if r.Status != tc.status || r.Header.Get("X-Seen") != "yes" || r.Header.Get("Etag") != "x" || bodyOf(t, r.Body) != "" {
			t.Errorf("%s: got %d %v", tc.method, r.Status, r.Header.Clone())
		}
		if r.Header.Has("Content-Length") {
			t.Errorf("%s, %d: the length is that of another body", tc.method, tc.status)
		}
	}
}

func TestWhatTrapsAGuest(t *testing.T) {
	f := newFixture(t, Options{BodyBytes: 64})
	far := 1<<32 - 8
	data := map[int]string{0: "x-name", 16: "bad\r\nvalue", 32: "bad name", 48: "/a/../b", 64: "PO ST", 80: "/x", 96: "PUT"}
	for _, tc := range []struct {
		name              string
		request, response []byte
	}{
		{"a buffer outside of memory", cat(host("get_method", far, 8), drop()), nil},
		{"a buffer across the end of memory", cat(host("get_uri", 2<<16-1, 64), drop()), nil},
		{"a name outside of memory", cat(host("get_header_values", 0, far, 4, 0, 0), drop()), nil},
		{"a length beyond memory", host("write_body", 1, 0, far), nil},
		{"an empty name", host("remove_header", 0, 0, 0), nil},
		{"a name with a space", host("set_header_value", 0, 32, 8, 0, 1), nil},
		{"a value with a line break", host("set_header_value", 0, 0, 6, 16, 10), nil},
		{"an unknown header kind", host("set_header_value", 9, 0, 6, 0, 1), nil},
		{"an unknown body kind", host("write_body", 9, 0, 6), nil},
		{"no room for a body", cat(host("read_body", 0, 0, 0), drop()), nil},
		{"a status that is none", host("set_status_code", 99), nil},
		{"a status that is not final", host("set_status_code", 101), nil},
		{"a method that is none", host("set_method", 64, 5), nil},
		{"an empty method", host("set_method", 0, 0), nil},
		{"a URI that climbs", host("set_uri", 48, 7), nil},
		{"a trailer without the feature", host("set_header_value", 2, 0, 6, 0, 1), nil},
		{"a body over the limit", cat(host("write_body", 1, 0, 60), host("write_body", 1, 0, 60)), nil},
		{"unreachable", trapNow(), nil},
		{"unreachable in the answer", nil, trapNow()},
		{"a request field after the request", nil, host("set_header_value", 0, 0, 6, 0, 1)},
		{"the method after the request", nil, host("set_method", 96, 3)},
		{"the URI after the request", nil, host("set_uri", 80, 2)},
		{"the request's body after the request", nil, host("write_body", 0, 0, 6)},
		{"an answer's field without the feature", nil, host("set_header_value", 1, 0, 6, 0, 1)},
		{"an answer's status without the feature", nil, host("set_status_code", 200)},
		{"an answer's body without the feature", nil, host("write_body", 1, 0, 6)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.open(t, guestModule(next, data, tc.request, tc.response), core.WASMSettings{Rewrite: true})
			v, err := c.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer v.Done()
			m, err := v.Request(t.Context(), testMessage(nil))
			if err == nil && tc.response != nil {
				_, err = v.Response(t.Context(), answered(m, 200, nil))
			}
			if core.ErrorCode(err) != core.Unavailable || core.ErrorMessage(err) != "WASM extension 'guest' failed" {
				t.Fatalf("got %v", err)
			}
			if n := c.Stats().Guests; n != 0 {
				t.Errorf("%d guests are left, the trapped one must go", n)
			}
			if strings.Contains(core.ErrorMessage(err), "wasm error") {
				t.Error("the trap's text reaches the caller")
			}
		})
	}
}
