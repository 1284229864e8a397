package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Over HTTP/2 an answer that comes before the end of the request's body is
// followed by a reset of the stream, which curl 7.88 takes for a failure of the
// call now and then.
func TestTheRestOfASmallBodyIsTakenInBeforeTheStreamEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		size, read int64
		http1      bool
		err        error
		left       int
	}{
		"a body that nobody read":            {size: 10},
		"one that was read half":             {size: 10, read: 5},
		"a large one is left":                {size: drainBytes + 1, left: drainBytes + 1},
		"one of unknown size is left":        {size: -1, left: 10},
		"over HTTP/1 the server does it":     {size: 10, http1: true, left: 10},
		"one that could not be read is left": {size: 10, err: io.ErrUnexpectedEOF, left: 10},
	} {
		t.Run(name, func(t *testing.T) {
			rest := strings.NewReader(strings.Repeat("x", max(10, int(tc.size))))
			b := &clientBody{
				body: io.NopCloser(rest), rc: http.NewResponseController(httptest.NewRecorder()),
				idle: time.Minute, size: tc.size, err: tc.err,
			}
			if _, err := io.CopyN(io.Discard, b, tc.read); err != nil {
				t.Fatal(err)
			}
			b.finish(tc.http1)
			if rest.Len() != tc.left {
				t.Errorf("%d bytes are left, want %d", rest.Len(), tc.left)
			}
		})
	}
}

func TestTheRestOfABodyIsNotTakenFromWhoeverReadsIt(t *testing.T) {
	in, out := io.Pipe()
	b := &clientBody{body: in, rc: http.NewResponseController(httptest.NewRecorder()), idle: time.Minute, size: 10}
	read := make(chan error)
	go func() {
		_, err := b.Read(make([]byte, 1))
		read <- err
	}()
	for reading := false; !reading; {
		b.mu.Lock()
		reading = b.reading
		b.mu.Unlock()
	}
	b.finish(false)
	_ = out.CloseWithError(core.Errorf(core.Invalid, "gone"))
	if err := <-read; !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("got %v", err)
	}
}
