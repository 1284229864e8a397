package wasm

import (
	"os"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestScratchRust(t *testing.T) {
	b, err := os.ReadFile("/tmp/pw/rust/target/wasm32-wasip1/release/trial.wasm")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, Options{})
	c := f.open(t, b, core.WASMSettings{Config: []byte(`{"a":1}`)})
	passed, back := around(t, c, testMessage(core.BytesBody([]byte("q")), "X-A", "1"), func(m core.Message) core.Message {
		return answered(m, 200, core.StreamBody(newStream("the secret is out"), -1), "Content-Length", "17")
	})
	t.Log(passed.Request.Header.Clone(), back.Response.Header.Clone(), bodyOf(t, back.Response.Body))
	t.Log(f.host.log())
}
