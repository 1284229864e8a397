package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzDecodeResponse(f *testing.F) {
	f.Add([]byte(reply(`{"statusCode":200,"headers":{"A":["b",1,true,null]},"body":"aGk="}`)))
	f.Add([]byte(reply(`{"request":true,"method":"GET","requestUri":"/a","queryString":"b","body":[1,-1]}`)))
	f.Add([]byte(`{"\u0068eaders":{"requestId":"\ud83d\ude00\\"},"httpResponse":{"x":[[{"y":1e-2}]]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := DecodeResponse(in)
		if err != nil {
			return
		}
		if id, err := ReplyID(in); err != nil || id != r.ID {
			t.Fatalf("ReplyID %q, %v differs from %q", id, err, r.ID)
		}
		if r.Check() != nil {
			return
		}
		again, err := DecodeResponse(AppendResponse(nil, &r))
		if err != nil || again.Check() != nil {
			t.Fatalf("a good reply cannot be encoded again: %v", err)
		}
		if again.Message.Status != r.Message.Status && !r.Message.IsRequest || string(again.Message.Body) != string(r.Message.Body) {
			t.Fatalf("%+v became %+v", r, again)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add((&Encoder{}).AppendRequest(nil, sampleRequest()))
	f.Add([]byte(`{"type":"API_REQUEST","headers":{"requestId":"r"},"httpRequest":[123,125],"linkApiBaseUrl":null}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := DecodeRequest(in)
		if err != nil {
			return
		}
		out := (&Encoder{}).AppendRequest(nil, &r)
		if !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
		again, err := DecodeRequest(out)
		if err != nil {
			t.Fatalf("a good request cannot be encoded again: %v", err)
		}
		if again.Message.RequestURI == r.Message.RequestURI && !bytes.Equal(again.Message.Body, r.Message.Body) {
			t.Fatalf("%+v became %+v", r, again)
		}
	})
}

func FuzzScannerAgreesWithJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e-3,"\u00e4\n",null,true,{}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := scanner{b: in}
		err := s.skip()
		if err == nil {
			err = s.end()
		}
		if json.Valid(in) && err != nil && !strings.Contains(err.Error(), "too deep") {
			t.Fatalf("valid JSON refused: %v", err)
		}
	})
}
