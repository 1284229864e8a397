package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// reply is a whole reply around an httpResponse.
func reply(http string) string {
	return `{"type":"API_RESPONSE","headers":{"requestId":"r1"},"httpResponse":` + http + `}`
}

func headers(h string) string { return reply(`{"statusCode":200,"headers":` + h + `,"body":""}`) }

func TestBadRepliesAreRefusedWithTheReason(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", ``, "too early"},
		{"white space", " \n", "too early"},
		{"null", `null`, "instead of"},
		{"a string", `"x"`, "instead of"},
		{"an array", `[]`, "instead of"},
		{"cut off", reply(`{"statusCode":200`)[:60], "too early"},
		{"cut off in a key", `{"ty`, "too early"},
		{"something after the end", reply(`{"statusCode":200}`) + `{}`, "something follows"},
		{"a NUL after the end", reply(`{"statusCode":200}`) + "\x00", "something follows"},
		{"a trailing comma", `{"type":"API_RESPONSE",}`, "instead of"},
		{"a missing comma", `{"a":1 "b":2}`, "instead of"},
		{"a missing colon", `{"a" 1}`, "instead of"},
		{"a bare word", `{"a":yes}`, "not a JSON value"},
		{"a word that goes on", `{"a":nullx}`, "instead of"},
		{"a number with leading zeros", `{"a":012}`, "not a JSON value"},
		{"NaN", `{"a":NaN}`, "not"},
		{"a lone minus", `{"a":-}`, "not a JSON value"},
		{"an unfinished exponent", `{"a":1e}`, "not a JSON value"},
		{"an unfinished fraction", `{"a":1.}`, "not a JSON value"},
		{"nested too deep", `{"a":` + strings.Repeat("[", 100_000), "too deep"},
		{"objects nested too deep", strings.Repeat(`{"a":`, 100_000), "too deep"},
		{"no httpResponse", `{"type":"API_RESPONSE","headers":{"requestId":"r1"}}`, "httpResponse is missing"},
		{"httpResponse null", reply(`null`), "instead of"},
		{"httpResponse a string", reply(`"200"`), "instead of"},
		{"httpResponse twice", `{"httpResponse":{"statusCode":200},"httpResponse":{"statusCode":200}}`, "two httpResponse"},
		{"headers twice", `{"headers":{"requestId":"a"},"headers":{"requestId":"b"},"httpResponse":{"statusCode":200}}`, "two headers"},
		{"requestId twice", `{"headers":{"requestId":"a","requestId":"b"},"httpResponse":{"statusCode":200}}`, "two requestIds"},
		{"requestId a number", `{"headers":{"requestId":5},"httpResponse":{"statusCode":200}}`, "instead of"},
		{"another type", `{"type":"BEHAVIOR_RESPONSE","httpResponse":{"statusCode":200}}`, "another type"},
		{"no status", reply(`{"headers":{},"body":""}`), "statusCode 0"},
		{"status null", reply(`{"statusCode":null}`), "statusCode 0"},
		{"status 0", reply(`{"statusCode":0}`), "statusCode 0"},
		{"status negative", reply(`{"statusCode":-200}`), "statusCode -200"},
		{"status 99", reply(`{"statusCode":99}`), "statusCode 99"},
		{"status 100", reply(`{"statusCode":100}`), "statusCode 100"},
		{"status 101", reply(`{"statusCode":101}`), "statusCode 101"},
		{"status 103", reply(`{"statusCode":103}`), "statusCode 103"},
		{"status 199", reply(`{"statusCode":199}`), "statusCode 199"},
		{"status 600", reply(`{"statusCode":600}`), "statusCode 600"},
		{"status 1000", reply(`{"statusCode":1000}`), "statusCode 1000"},
		{"status with a fraction", reply(`{"statusCode":200.5}`), "whole number"},
		{"status with an exponent", reply(`{"statusCode":2e2}`), "whole number"},
		{"status too large", reply(`{"statusCode":99999999999999999999}`), "whole number"},
		{"status text", reply(`{"statusCode":"OK"}`), "not a JSON value"},
		{"headers a string", headers(`"a: b"`), "instead of"},
		{"headers an array", headers(`[["A","b"]]`), "instead of"},
		{"a header value that is an object", headers(`{"A":{"b":1}}`), "not a JSON value"},
		{"a header value that is a list of lists", headers(`{"A":[["b"]]}`), "not a JSON value"},
		{"a header value that begins like null", headers(`{"A":nil}`), "not a JSON value"},
		{"CRLF in a header value", headers(`{"A":"b\r\nSet-Cookie: x=y"}`), "control character"},
		{"LF in a header value", headers(`{"A":"b\nc"}`), "control character"},
		{"CR in a header value", headers(`{"A":"b\rc"}`), "control character"},
		{"NUL in a header value", headers(`{"A":"b\u0000c"}`), "control character"},
		{"DEL in a header value", headers(`{"A":"b\u007fc"}`), "control character"},
		{"a raw control character", headers("{\"A\":\"b\x01c\"}"), "control character"},
		{"CRLF in a value of a list", headers(`{"A":["b","c\r\nd"]}`), "control character"},
		{"an empty header name", headers(`{"":"b"}`), "header name"},
		{"a colon in a header name", headers(`{"A:b":"c"}`), "header name"},
		{"a space in a header name", headers(`{"A b":"c"}`), "header name"},
		{"CRLF in a header name", headers(`{"A\r\nB":"c"}`), "header name"},
		{"a header name beyond ASCII", headers(`{"Ä":"c"}`), "header name"},
		{"a pseudo header", headers(`{":status":"200"}`), "header name"},
		{"too many headers", headers(`{"A":[` + strings.Repeat(`"b",`, MaxHeaders) + `"b"]}`), "more than"},
		{"too many header names", headers(`{` + strings.Repeat(`"A":null,`, MaxHeaders) + `"A":null}`), "more than"},
		{"a giant header", headers(`{"A":"` + strings.Repeat("b", MaxHeaderBytes) + `"}`), "more than"},
		{"a body that is not base64", reply(`{"statusCode":200,"body":"*&^"}`), "not base64"},
		{"a body with padding in the middle", reply(`{"statusCode":200,"body":"QQ==QQ=="}`), "not base64"},
		{"a body of one base64 digit", reply(`{"statusCode":200,"body":"Q"}`), "not base64"},
		{"a body that is an object", reply(`{"statusCode":200,"body":{}}`), "instead of"},
		{"a body that is a number", reply(`{"statusCode":200,"body":5}`), "instead of"},
		{"a body with a number that is no byte", reply(`{"statusCode":200,"body":[256]}`), "not a byte"},
		{"a body with a word in the list", reply(`{"statusCode":200,"body":["a"]}`), "not a JSON value"},
		{"a broken escape", reply(`{"statusCode":200,"headers":{"A":"\x"}}`), "unknown escape"},
		{"a broken unicode escape", reply(`{"statusCode":200,"headers":{"A":"\u12"}}`), "hexadecimal"},
		{"a request without a method", reply(`{"request":true,"requestUri":"/a"}`), "method"},
		{"a request with a broken method", reply(`{"request":true,"method":"GET /x","requestUri":"/a"}`), "method"},
		{"a request without a path", reply(`{"request":true,"method":"GET"}`), "slash"},
		{"a request with a whole URL", reply(`{"request":true,"method":"GET","requestUri":"https://evil/"}`), "slash"},
		{"a request with a query in the path", reply(`{"request":true,"method":"GET","requestUri":"/a?b"}`), "without a query"},
		{"a request with a space in the path", reply(`{"request":true,"method":"GET","requestUri":"/a b"}`), "encoded path"},
		{"a request with CRLF in the path", reply(`{"request":true,"method":"GET","requestUri":"/a\r\nX: y"}`), "encoded path"},
		{"a request with CRLF in the query", reply(`{"request":true,"method":"GET","requestUri":"/a","queryString":"b\r\n"}`), "encoded query"},
		{"a request with a fragment", reply(`{"request":true,"method":"GET","requestUri":"/a","queryString":"b#c"}`), "encoded query"},
		{"request neither true nor false", reply(`{"request":1}`), "not true or false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := DecodeResponse([]byte(tt.in))
			if err == nil {
				err = r.Check()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

func TestRepliesThatRealServicesSendAreUnderstood(t *testing.T) {
	tests := []struct {
		name, in string
		want     Response
	}{
		{
			"numbers, booleans, lists and null as header values",
			headers(`{"content-length":237,"X-Ok":true,"x-no":false,"X-List":["a",1],"X-Null":null,"X-F":1.5e3}`),
			Response{ID: "r1", Message: Message{Status: 200, Headers: []Field{
				{"Content-Length", "237"},
				{"X-Ok", "true"},
				{"X-No", "false"},
				{"X-List", "a"},
				{"X-List", "1"},
				{"X-F", "1.5e3"},
			}}},
		},
		{
			"a later spelling of a header replaces the earlier one",
			headers(`{"content-type":"a/b","A":"1","Content-Type":"c/d"}`),
			Response{ID: "r1", Message: Message{Status: 200, Headers: []Field{{"A", "1"}, {"Content-Type", "c/d"}}}},
		},
		{
			"a body as an array of signed bytes",
			reply(`{"statusCode":200,"body":[104, 105, -1, 255, 0]}`),
			Response{ID: "r1", Message: Message{Status: 200, Body: []byte{'h', 'i', 255, 255, 0}}},
		},
		{
			"a body of null and headers of null",
			reply(`{"statusCode":204,"headers":null,"body":null}`),
			Response{ID: "r1", Message: Message{Status: 204}},
		},
		{
			"base64 without padding, with escaped slashes and with line ends",
			reply(`{"statusCode":200,"body":"Pz8\/Pz8\r\n"}`),
			Response{ID: "r1", Message: Message{Status: 200, Body: []byte("?????")}},
		},
		{
			"a null id, unknown keys, any order and white space",
			"\t{ \"httpResponse\" : {\"x\":[{\"y\":[]}],\"statusCode\":200} ,\r\n\"extra\":{\"a\":-0.1e-2},\"headers\":{\"requestId\":null,\"z\":\"\\\\\"}} ",
			Response{Message: Message{Status: 200}},
		},
		{
			"no headers at all",
			`{"httpResponse":{"statusCode":200}}`,
			Response{Message: Message{Status: 200}},
		},
		{
			"a request, under either name of the key",
			reply(`{"isRequest":true,"method":"put","requestUri":"/a%20b","queryString":"c=d","headers":{"E":"f"},"body":"Zw=="}`),
			Response{ID: "r1", Message: Message{IsRequest: true, Method: "put", RequestURI: "/a%20b", Query: "c=d", Headers: []Field{{"E", "f"}}, Body: []byte("g")}},
		},
		{
			"escapes in keys and values",
			"{\"\\u0068eaders\":{\"request\\u0049d\":\"\\ud83d\\ude00\\ud83d\\/\\\"\"},\"httpResponse\":{\"statusCode\":200}}",
			Response{ID: "😀\uFFFD/\"", Message: Message{Status: 200}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeResponse([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if id, err := ReplyID([]byte(tt.in)); err != nil || id != tt.want.ID {
				t.Errorf("ReplyID gives %q, %v", id, err)
			}
		})
	}
}

func TestReplyIDIsFoundInAReplyThatCannotBeUsed(t *testing.T) {
	tests := []struct {
		name, in, want string
		bad            bool
	}{
		{"cut off after the id", `{"headers":{"requestId":"r1"},"httpRes`, "r1", false},
		{"the id last", `{"httpResponse":{"body":"***"},"headers":{"requestId":"r1"}}`, "r1", false},
		{"an id inside another object does not count", `{"x":{"headers":{"requestId":"no"}},"headers":{"x":1}}`, "", false},
		{"cut off before the id", `{"httpResponse":{`, "", true},
		{"not JSON", `hello`, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReplyID([]byte(tt.in))
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestRequestsOfAnotherTypeAreToldApart(t *testing.T) {
	if _, err := DecodeRequest([]byte(`{"type":"BEHAVIOR_INVOCATION","payload":{}}`)); !errors.Is(err, ErrOtherType) {
		t.Errorf("got %v", err)
	}
	r, err := DecodeRequest([]byte(`{"type":"API_REQUEST","headers":{"requestId":"r1"},"httpRequest":"e30="}`))
	if err == nil || errors.Is(err, ErrOtherType) || r.ID != "r1" {
		t.Errorf("a request without a message gives %+v, %v", r, err)
	}
}

func TestDocumentsOverTheSizeLimitAreRefused(t *testing.T) {
	big := make([]byte, MaxSize+1)
	if _, err := DecodeResponse(big); !errors.Is(err, errTooBig) {
		t.Errorf("DecodeResponse: %v", err)
	}
	if _, err := DecodeRequest(big); !errors.Is(err, errTooBig) {
		t.Errorf("DecodeRequest: %v", err)
	}
	if _, err := ReplyID(big); !errors.Is(err, errTooBig) {
		t.Errorf("ReplyID: %v", err)
	}
}

func TestHeaderPolicy(t *testing.T) {
	for _, name := range []string{"Authorization", "X-Vcloud-Authorization", "X_vcloud_authorization", "X-Vmware-Vcloud-Access-Token"} {
		if !Credential(name) {
			t.Errorf("%s is a credential", name)
		}
	}
	for _, name := range []string{"Set-Cookie", "Set_cookie", "Vary", "Content-Length", "Connection", "Authorization", "X-Vcloud_authorization", "Transfer-Encoding"} {
		if !NotInReply(name) {
			t.Errorf("%s belongs in no reply", name)
		}
	}
	for _, name := range []string{"Content-Type", "Location", "Content-Encoding", "Retry-After", "Www-Authenticate"} {
		if NotInReply(name) || Credential(name) || HopByHop(name) {
			t.Errorf("%s may pass", name)
		}
	}
	for _, tt := range []struct{ in, session, others string }{
		{"a=1; vcloud_jwt=x; b=2", "vcloud_jwt=x", "a=1; b=2"},
		{"vcloud_jwt=x;vcloud_jwt=y", "vcloud_jwt=x; vcloud_jwt=y", ""},
		{" vcloud_jwt = x ; ", "vcloud_jwt = x", ""},
		{"my_vcloud_jwt=1", "", "my_vcloud_jwt=1"},
		{"a=1;b=2", "", "a=1;b=2"},
		{"", "", ""},
	} {
		if session, others := SplitCookie(tt.in); session != tt.session || others != tt.others {
			t.Errorf("SplitCookie(%q) = %q, %q", tt.in, session, others)
		}
	}
	for in, want := range map[string]string{"content-type": "Content-Type", "X-VMWARE-vcloud": "X-Vmware-Vcloud", "etag": "Etag", "a b": "a b", "": ""} {
		if got := CanonicalName(in); got != want {
			t.Errorf("CanonicalName(%q) = %q", in, got)
		}
	}
}
