package coding

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/annex-gateway/annex/core"
)

func pack(tb testing.TB, coding, text string) string {
	tb.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, -1)
	}
	if _, err := io.WriteString(w, text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// source is a body that tells whether it was closed and how much was read.
type source struct {
	io.Reader
	closed atomic.Bool
	read   atomic.Int64
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.read.Add(int64(n))
	return n, err
}

func (s *source) Close() error { s.closed.Store(true); return nil }

func answer(body io.Reader, header ...string) core.Response {
	return core.Response{Status: 200, Header: core.NewHeader(header...), Body: core.StreamBody(&source{Reader: body}, -1)}
}

func TestWhatIsCompressedComesOutPlain(t *testing.T) {
	text := strings.Repeat(`{"name":"annex","values":[1,2,3]}`, 300)
	for name, c := range map[string]struct{ coding, body string }{
		"gzip":                           {"gzip", pack(t, "gzip", text)},
		"its old name":                   {"X-GZIP", pack(t, "gzip", text)},
		"gzip in several members":        {"gzip", pack(t, "gzip", text[:100]) + pack(t, "gzip", text[100:])},
		"deflate":                        {"deflate", pack(t, "zlib", text)},
		"deflate as some misread it":     {"deflate", pack(t, "raw", text)},
		"one over the other":             {"deflate, gzip", pack(t, "gzip", pack(t, "zlib", text))},
		"identity among others":          {"identity,gzip,", pack(t, "gzip", text)},
		"identity alone":                 {"identity", text},
		"no coding at all":               {"", text},
		"gzip of nothing":                {"gzip", pack(t, "gzip", "")},
		"nothing that is said to be one": {"gzip", ""},
	} {
		for way, read := range map[string]func(io.Reader) io.Reader{
			"":                  func(r io.Reader) io.Reader { return r },
			" byte by byte":     iotest.OneByteReader,
			" end with the end": iotest.DataErrReader,
		} {
			t.Run(name+way, func(t *testing.T) {
				in := answer(read(strings.NewReader(c.body)), "Content-Encoding", c.coding, "Content-Type", "application/json")
				out, err := Decoded(in, 0)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(out.Body.Open())
				want := text
				if strings.Contains(name, "nothing") {
					want = ""
				}
				if string(b) != want || err != nil {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if c.coding != "" && out.Header.Has("Content-Encoding") || out.Header.Get("Content-Type") != "application/json" {
					t.Errorf("header %v", out.Header.Clone())
				}
			})
		}
	}
}

func TestTheFieldsOfTheOldBytesGo(t *testing.T) {
	in := answer(strings.NewReader(pack(t, "gzip", "abc")), "Content-Encoding", "gzip", "Content-Length", "27", "Etag", `"v1"`,
		"Content-Md5", "x", "Digest", "x", "Content-Digest", "x", "Repr-Digest", "x", "Accept-Ranges", "bytes", "Last-Modified", "then", "Vary", "Accept")
	trailer := http.Header{"Content-Digest": {"x"}, "X-Sum": {"7"}}
	in.Body.WithTrailer(func() http.Header { return trailer })
	out, err := Decoded(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := core.NewHeader("Etag", `W/"v1"`, "Last-Modified", "then", "Vary", "Accept")
	if !out.Header.Equal(want) {
		t.Errorf("header %v", out.Header.Clone())
	}
	if b, err := out.Body.Bytes(10); string(b) != "abc" || err != nil {
		t.Errorf("body %q, %v", b, err)
	}
	if tr := out.Body.Trailer(); len(tr) != 1 || tr.Get("X-Sum") != "7" {
		t.Errorf("trailer %v", tr)
	}
	if len(trailer) != 2 || !in.Header.Has("Content-Encoding") {
		t.Error("what was given in has changed")
	}
	if h := Altered(core.NewHeader("Etag", `W/"v1"`)); h.Get("Etag") != `W/"v1"` {
		t.Errorf("a weak tag became %q", h.Get("Etag"))
	}
}

func TestWhatHasNothingToDecodeStays(t *testing.T) {
	h := core.NewHeader("Content-Encoding", "br", "Etag", `"v1"`, "Content-Length", "9")
	for name, r := range map[string]core.Response{
		"an answer to HEAD":   {Status: 200, Header: h},
		"nothing new":         {Status: 304, Header: h, Body: core.BytesBody([]byte("x"))},
		"no content":          {Status: 204, Header: h, Body: core.BytesBody([]byte("x"))},
		"an interim answer":   {Status: 103, Header: h, Body: core.BytesBody([]byte("x"))},
		"an upgrade":          {Status: 101, Header: h, Upgraded: struct{ io.ReadWriteCloser }{}},
		"one that was buried": {Status: 200, Header: h, Body: core.BytesBody(nil)},
	} {
		out, err := Decoded(r, 1)
		if err != nil || !out.Header.Equal(h) || out.Body != r.Body {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

func TestWhatCannotBeDecodedIsRefusedUntouched(t *testing.T) {
	for name, c := range map[string]struct {
		coding string
		status int
	}{
		"another coding":           {"br", 200},
		"another one below":        {"zstd, gzip", 200},
		"no coding of this world":  {"gzip\tx", 200},
		"three layers":             {"gzip, gzip, gzip", 200},
		"a part of something":      {"gzip", 206},
		"the newest coding":        {"zstd", 500},
		"a quoted one, as nowhere": {`"gzip"`, 200},
	} {
		in := answer(strings.NewReader("body"), "Content-Encoding", c.coding)
		in.Status = c.status
		out, err := Decoded(in, 0)
		if core.ErrorCode(err) != core.BadUpstream || err == nil || out.Body != in.Body || !out.Header.Equal(in.Header) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := out.Body.Bytes(10); string(b) != "body" || err != nil {
			t.Errorf("%s: the body is %q, %v", name, b, err)
		}
	}
}

func TestDamageFailsTheRead(t *testing.T) {
	whole := pack(t, "gzip", strings.Repeat("annex ", 1000))
	broken := errors.New("the wire broke")
	flip := []byte(whole)
	flip[len(flip)-6] ^= 1
	for name, c := range map[string]struct {
		body io.Reader
		want string
	}{
		"not gzip":              {strings.NewReader("hello, world"), "damaged"},
		"half a header":         {strings.NewReader(whole[:5]), "in the middle"},
		"cut in the content":    {strings.NewReader(whole[:len(whole)/2]), "in the middle"},
		"cut in the sum":        {strings.NewReader(whole[:len(whole)-3]), "in the middle"},
		"a wrong sum":           {bytes.NewReader(flip), "damaged"},
		"something behind":      {strings.NewReader(whole + "garbage and more"), "damaged"},
		"an error of the other": {io.MultiReader(strings.NewReader(whole[:20]), iotest.ErrReader(broken)), ""},
		"an error at once":      {iotest.ErrReader(broken), ""},
	} {
		out, err := Decoded(answer(c.body, "Content-Encoding", "gzip"), 0)
		if err != nil {
			t.Fatal(err)
		}
		r := out.Body.Open()
		_, err = io.ReadAll(r)
		switch {
		case c.want == "" && !errors.Is(err, broken):
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (core.ErrorCode(err) != core.BadUpstream || !strings.Contains(core.ErrorMessage(err), c.want)):
			t.Errorf("%s: %v", name, err)
		}
		if n, again := r.Read(make([]byte, 1)); n != 0 || !errors.Is(again, err) {
			t.Errorf("%s: read once more: %d, %v", name, n, again)
		}
	}
	out, err := Decoded(answer(strings.NewReader(pack(t, "zlib", "abc")+"x"), "Content-Encoding", "deflate"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(out.Body.Open()); core.ErrorCode(err) != core.BadUpstream || !strings.Contains(core.ErrorMessage(err), "goes on") {
		t.Errorf("something behind deflate: %v", err)
	}
}

// bomb is many members of zeros, which is quicker to make than one.
func bomb(tb testing.TB, megabytes int) []byte {
	tb.Helper()
	return bytes.Repeat([]byte(pack(tb, "gzip", strings.Repeat("\x00", 1<<20))), megabytes)
}

func TestABombIsCutOff(t *testing.T) {
	packed := bomb(t, 20)
	twice := []byte(pack(t, "gzip", string(packed)))
	for name, c := range map[string]struct {
		body   []byte
		coding string
		limit  int64
		most   int64
	}{
		"by the limit":                   {packed, "gzip", 1000, 1000},
		"by its growth":                  {packed, "gzip", 0, freeBytes + 1<<20},
		"by its growth in either layer":  {twice, "gzip, gzip", 0, freeBytes + 1<<20},
		"by the limit, before it grows":  {twice, "gzip, gzip", 1 << 20, 1 << 20},
		"by its growth below a big limi": {packed, "gzip", 1 << 40, freeBytes + 1<<20},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, err := Decoded(answer(bytes.NewReader(c.body), "Content-Encoding", c.coding), c.limit)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, out.Body.Open())
			if core.ErrorCode(err) != core.BadUpstream || n > c.most {
				t.Errorf("%d bytes came out, %v", n, err)
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
		})
	}
	t.Run("but what fits the limit is whole", func(t *testing.T) {
		for _, limit := range []int64{5, 6, 1 << 30} {
			out, err := Decoded(answer(strings.NewReader(pack(t, "gzip", "annex")), "Content-Encoding", "gzip"), limit)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(out.Body.Open()); string(b) != "annex" || err != nil {
				t.Errorf("limit %d: %q, %v", limit, b, err)
			}
		}
	})
	t.Run("and a buffer has its own", func(t *testing.T) {
		out, err := Decoded(answer(bytes.NewReader(packed), "Content-Encoding", "gzip"), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Body.Bytes(1 << 20); core.ErrorCode(err) != core.TooLarge {
			t.Errorf("got %v", err)
		}
	})
}

func TestDecodingIsLazyAndDoesNotWaitForMoreThanItNeeds(t *testing.T) {
	pr, pw := io.Pipe()
	src := &source{Reader: pr}
	in := core.Response{Status: 200, Header: core.NewHeader("Content-Encoding", "gzip"), Body: core.StreamBody(src, -1)}
	out, err := Decoded(in, 0)
	if err != nil || src.read.Load() != 0 {
		t.Fatalf("%d bytes were read, %v", src.read.Load(), err)
	}
	var wg sync.WaitGroup
	next := make(chan string)
	wg.Go(func() {
		w := gzip.NewWriter(pw)
		for event := range next {
			_, _ = io.WriteString(w, event)
			_ = w.Flush()
		}
		_ = w.Close()
		_ = pw.Close()
	})
	r := out.Body.Open()
	for _, event := range []string{"data: 1\n\n", "data: 22\n\n", "data: 333\n\n"} {
		next <- event
		got := make([]byte, len(event))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != event {
			t.Fatalf("%q, %v", got, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("rest %q, %v", rest, err)
	}
	wg.Wait()
	if err := r.Close(); err != nil || !src.closed.Load() {
		t.Errorf("closed: %v, %v", src.closed.Load(), err)
	}
}

func TestABodyThatNobodyOpensIsClosed(t *testing.T) {
	src := &source{Reader: strings.NewReader("")}
	out, err := Decoded(core.Response{Status: 200, Header: core.NewHeader("Content-Encoding", "gzip"), Body: core.StreamBody(src, -1)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Body.Close(); err != nil || !src.closed.Load() {
		t.Errorf("closed: %v, %v", src.closed.Load(), err)
	}
}

func TestPlainAsksForWhatCanBeDecoded(t *testing.T) {
	for in, want := range map[string]string{
		"gzip":                         "gzip",
		"gzip, deflate, br, zstd":      "gzip, deflate",
		"GZIP;Q=0.50, br;q=1.0":        "gzip;q=0.5",
		"x-gzip":                       "gzip",
		"br":                           "identity",
		"":                             "identity",
		"*":                            "gzip, deflate",
		"*;q=0":                        "identity",
		"br, *;q=0.1":                  "gzip;q=0.1, deflate;q=0.1",
		"gzip;q=0":                     "identity",
		"gzip;q=0, deflate":            "gzip;q=0, deflate",
		"gzip, identity;q=0":           "gzip, identity;q=0",
		"gzip, *;q=0":                  "gzip, deflate;q=0, identity;q=0",
		"identity;q=0":                 "identity",
		"gzip;q=1.000, deflate;q=0.00": "gzip, deflate;q=0",
		"gzip;q=2, deflate":            "deflate",
		"gzip;q=, deflate":             "deflate",
		"gzip;level=9, deflate":        "deflate",
		"gzip;q=0.1234":                "identity",
		" , ;q=1,, gzip ;  q=0.25":     "gzip;q=0.25",
		"gzip\x00":                     "identity",
	} {
		h := core.NewHeader("Accept-Encoding", in, "Accept", "x")
		if got := Plain(h); got.Get("Accept-Encoding") != want || len(got.Values("Accept-Encoding")) != 1 || got.Get("Accept") != "x" {
			t.Errorf("%q became %q, want %q", in, got.Values("Accept-Encoding"), want)
		}
	}
	if got := Plain(core.NewHeader("Accept-Encoding", "br", "Accept-Encoding", "gzip")).Get("Accept-Encoding"); got != "gzip" {
		t.Errorf("two fields became %q", got)
	}
	if got := Plain(core.NewHeader("Range", "bytes=0-1", "Accept-Encoding", "gzip")).Get("Accept-Encoding"); got != "identity" {
		t.Errorf("a range asks for %q", got)
	}
	if got := Plain(core.Header{}).Get("Accept-Encoding"); got != "identity" {
		t.Errorf("nothing became %q", got)
	}
}

func FuzzDecoded(f *testing.F) {
	for _, c := range []string{"gzip", "zlib", "raw"} {
		f.Add("gzip", []byte(pack(f, c, "annex annex annex")))
		f.Add("deflate", []byte(pack(f, c, "annex annex annex")))
	}
	f.Add("gzip, gzip", []byte(pack(f, "gzip", pack(f, "gzip", "annex"))))
	f.Add("identity", []byte("annex"))
	f.Add("br,", []byte{})
	f.Fuzz(func(t *testing.T, coding string, body []byte) {
		const limit = 1 << 20
		src := &source{Reader: bytes.NewReader(body)}
		in := core.Response{Status: 200, Header: core.NewHeader("Content-Encoding", coding), Body: core.StreamBody(src, -1)}
		out, err := Decoded(in, limit)
		if err != nil {
			if core.ErrorCode(err) != core.BadUpstream {
				t.Errorf("code %s", core.ErrorCode(err))
			}
			return
		}
		r := out.Body.Open()
		n, err := io.Copy(io.Discard, r)
		if err != nil && core.ErrorCode(err) != core.BadUpstream {
			t.Errorf("code %s of %v", core.ErrorCode(err), err)
		}
		if n > limit && n != int64(len(body)) {
			t.Errorf("%d bytes came out", n)
		}
		if err == nil && src.read.Load() != int64(len(body)) {
			t.Errorf("%d of %d bytes were read", src.read.Load(), len(body))
		}
		if err := r.Close(); err != nil || !src.closed.Load() {
			t.Errorf("closed: %v, %v", src.closed.Load(), err)
		}
	})
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"gzip, br;q=0.5", "*;q=0", "identity;q=0, *", ";;q=1,", "gzip;q=1.0000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once := Plain(core.NewHeader("Accept-Encoding", in))
		if again := Plain(once); !again.Equal(once) {
			t.Errorf("%q became %q and then %q", in, once.Get("Accept-Encoding"), again.Get("Accept-Encoding"))
		}
		for element := range strings.SplitSeq(once.Get("Accept-Encoding"), ",") {
			name, q, weighted := strings.Cut(strings.TrimSpace(element), ";q=")
			if name != "gzip" && name != "deflate" && name != "identity" || weighted && !isWeight(q) {
				t.Errorf("%q became %q", in, once.Get("Accept-Encoding"))
			}
		}
	})
}

func BenchmarkDecoded(b *testing.B) {
	packed := []byte(pack(b, "gzip", strings.Repeat(`{"name":"annex","values":[1,2,3]}`, 32)))
	h := core.NewHeader("Content-Encoding", "gzip", "Content-Type", "application/json", "Etag", `"v1"`)
	b.ReportAllocs()
	for b.Loop() {
		out, err := Decoded(core.Response{Status: 200, Header: h, Body: core.BytesBody(packed)}, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, out.Body.Open()); err != nil {
			b.Fatal(err)
		}
	}
}
