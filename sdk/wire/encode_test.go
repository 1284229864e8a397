package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func sampleRequest() *Request {
	return &Request{
		ID: "6f0c2a4e-1111-4222-8333-444455556666",
		Message: Message{
			IsRequest: true, ID: "6f0c2a4e-1111-4222-8333-444455556666",
			Method: "POST", RequestURI: "/api/cse/cl%20usters", Query: "a=b&c",
			Protocol: "HTTP/1.1", Scheme: "https",
			Remote: netip.MustParseAddrPort("[::ffff:192.0.2.7]:50123"),
			Local:  netip.MustParseAddrPort("[::1]:8443"),
			Headers: []Field{
				{"Accept", "application/json"},
				{"Accept", `text/plain;q="0.5"`},
				{"Cookie", "a=1"},
				{"Cookie", "b=2"},
				{"User-Agent", "test/1\\2"},
			},
			Body: []byte("hi"),
		},
		Security: SecurityContext{
			APIAccessToken: "token", User: "urn:vcloud:user:u", Org: "urn:vcloud:org:o",
		},
		LinkBaseURL: "https://localhost:8443/api/",
	}
}

const security = `{"apiAccessToken":"token","user":"urn:vcloud:user:u","org":"urn:vcloud:org:o","rights":null,"parameters":null}`

func TestRequestHasTheFormThatRealClientsRead(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*Request)
		outer string // %s is the inner document in base64
		inner string
	}{
		{
			name:  "a call with everything",
			edit:  func(*Request) {},
			outer: `{"type":"API_REQUEST","headers":{"requestId":"6f0c2a4e-1111-4222-8333-444455556666","context":` + security + `},"httpRequest":"%s","linkApiBaseUrl":"https://localhost:8443/api/"}`,
			inner: `{"message":{"request":true,"id":"6f0c2a4e-1111-4222-8333-444455556666","method":"POST","requestUri":"/api/cse/cl%20usters","queryString":"a=b&c","protocol":"HTTP/1.1","scheme":"https","remoteAddr":"192.0.2.7","remotePort":50123,"localAddr":"::1","localPort":8443,"headers":{"Accept":"application/json, text/plain;q=\"0.5\"","Cookie":"a=1; b=2","User-Agent":"test/1\\2"},"formData":null,"formDataEncoding":null,"body":"aGk="},"securityContext":` + security + `,"context":null}`,
		},
		{
			name: "an empty call writes an empty body and a null query",
			edit: func(r *Request) {
				*r = Request{ID: "x", Message: Message{IsRequest: true, Method: "GET", RequestURI: "/"}}
			},
			outer: `{"type":"API_REQUEST","headers":{"requestId":"x","context":{"apiAccessToken":"","user":"","org":"","rights":null,"parameters":null}},"httpRequest":"%s","linkApiBaseUrl":""}`,
			inner: `{"message":{"request":true,"id":"","method":"GET","requestUri":"/","queryString":null,"protocol":"","scheme":"","remoteAddr":"","remotePort":0,"localAddr":"","localPort":0,"headers":{},"formData":null,"formDataEncoding":null,"body":""},"securityContext":{"apiAccessToken":"","user":"","org":"","rights":null,"parameters":null},"context":null}`,
		},
		{
			name: "a form and rights",
			edit: func(r *Request) {
				*r = Request{ID: "x", Message: Message{
					IsRequest: true, Method: "POST", RequestURI: "/f", Body: []byte("b=2&a=1&a="),
					Form: map[string][]string{"b": {"2"}, "a": {"1", ""}}, FormEncoding: "UTF-8",
				}, Security: SecurityContext{Rights: []string{}}}
			},
			outer: `{"type":"API_REQUEST","headers":{"requestId":"x","context":{"apiAccessToken":"","user":"","org":"","rights":[],"parameters":null}},"httpRequest":"%s","linkApiBaseUrl":""}`,
			inner: `{"message":{"request":true,"id":"","method":"POST","requestUri":"/f","queryString":null,"protocol":"","scheme":"","remoteAddr":"","remotePort":0,"localAddr":"","localPort":0,"headers":{},"formData":{"a":["1",""],"b":["2"]},"formDataEncoding":"UTF-8","body":"Yj0yJmE9MSZhPQ=="},"securityContext":{"apiAccessToken":"","user":"","org":"","rights":[],"parameters":null},"context":null}`,
		},
		{
			name: "a forwarded answer",
			edit: func(r *Request) {
				*r = Request{ID: "x", Message: Message{
					Method: "GET", RequestURI: "/a", Status: 404, Headers: []Field{{"Content-Type", "text/plain"}}, Body: []byte("no"),
				}}
			},
			outer: `{"type":"API_REQUEST","headers":{"requestId":"x","context":{"apiAccessToken":"","user":"","org":"","rights":null,"parameters":null}},"httpRequest":"%s","linkApiBaseUrl":""}`,
			inner: `{"message":{"request":false,"id":"","method":"GET","requestUri":"/a","queryString":null,"protocol":"","scheme":"","remoteAddr":"","remotePort":0,"localAddr":"","localPort":0,"headers":{"Content-Type":"text/plain"},"formData":null,"formDataEncoding":null,"body":"bm8=","statusCode":404},"securityContext":{"apiAccessToken":"","user":"","org":"","rights":null,"parameters":null},"context":null}`,
		},
	}
	enc := &Encoder{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := sampleRequest()
			tt.edit(r)
			got := string(enc.AppendRequest([]byte("kept"), r))
			want := "kept" + strings.Replace(tt.outer, "%s", base64.StdEncoding.EncodeToString([]byte(tt.inner)), 1)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !json.Valid([]byte(got[4:])) || !json.Valid([]byte(tt.inner)) {
				t.Error("not valid JSON")
			}
		})
	}
}

func TestResponseHasTheFormThatTheGatewayReads(t *testing.T) {
	tests := []struct {
		name string
		in   Response
		want string
	}{
		{
			"an answer",
			Response{ID: "x", Message: Message{Status: 200, Headers: []Field{{"Content-Type", "text/plain"}}, Body: []byte("hi")}},
			`{"type":"API_RESPONSE","headers":{"requestId":"x"},"httpResponse":{"statusCode":200,"headers":{"Content-Type":"text/plain"},"body":"aGk="}}`,
		},
		{
			"an answer to a request that could not be read",
			Response{Message: Message{Status: 500}},
			`{"type":"API_RESPONSE","headers":{"requestId":null},"httpResponse":{"statusCode":500,"headers":{},"body":""}}`,
		},
		{
			"a request that replaces the request",
			Response{ID: "x", Message: Message{IsRequest: true, Method: "PUT", RequestURI: "/b", Headers: []Field{{"A", "1"}}}},
			`{"type":"API_RESPONSE","headers":{"requestId":"x"},"httpResponse":{"request":true,"method":"PUT","requestUri":"/b","queryString":null,"headers":{"A":"1"},"body":""}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendResponse(nil, &tt.in)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWhatIsEncodedDecodesToTheSame(t *testing.T) {
	in := sampleRequest()
	in.Message.Form, in.Message.FormEncoding = map[string][]string{"ä": {"\u0000\n\"\\", "😀"}}, "UTF-8"
	in.Security.Rights = []string{"{ns}: Right"}
	in.Message.Headers = []Field{{"A-B", "1"}, {"X", "tab\t"}}
	in.Message.Remote = netip.MustParseAddrPort("192.0.2.7:50123")
	out, err := DecodeRequest((&Encoder{}).AppendRequest(nil, in))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*in, out) {
		t.Errorf("got  %+v\nwant %+v", out, *in)
	}
	reply := Response{ID: "i\"d", Message: Message{Status: 201, Headers: []Field{{"Location", "/x"}}, Body: bytes.Repeat([]byte{0, 255}, 1000)}}
	back, err := DecodeResponse(AppendResponse(nil, &reply))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(reply, back) {
		t.Errorf("got  %+v\nwant %+v", back, reply)
	}
}

func TestStringsThatJSONCannotHoldAreReplaced(t *testing.T) {
	got := string(appendString(nil, "a\xffb\u2028\x01\x7f\t\r\n"))
	if want := "\"a\uFFFDb\u2028\\u0001\x7f\\t\\r\\n\""; got != want {
		t.Errorf("got %q want %q", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Error("not valid JSON")
	}
}

func TestEncodingAllocatesNothingOnceGrown(t *testing.T) {
	enc, r := &Encoder{}, sampleRequest()
	r.Message.Body = make([]byte, 1024)
	buf := enc.AppendRequest(nil, r)
	if n := testing.AllocsPerRun(100, func() { buf = enc.AppendRequest(buf[:0], r) }); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

func BenchmarkEncodeRequest1KiB(b *testing.B) {
	enc, r := &Encoder{}, sampleRequest()
	r.Message.Body = make([]byte, 1024)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = enc.AppendRequest(buf[:0], r)
	}
}

func BenchmarkDecodeResponse1KiB(b *testing.B) {
	buf := AppendResponse(nil, &Response{ID: "6f0c2a4e-1111-4222-8333-444455556666", Message: Message{
		Status: 200, Headers: []Field{{"Content-Type", "application/json"}, {"Content-Length", "1024"}}, Body: make([]byte, 1024),
	}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReplyID(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := DecodeResponse(buf); err != nil {
			b.Fatal(err)
		}
	}
}
