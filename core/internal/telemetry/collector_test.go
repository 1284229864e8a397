package telemetry

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// collector takes spans as an OpenTelemetry collector does: OTLP over HTTP, in
// binary form.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []span
	status int // what it answers instead of 200
	posts  int
}

type span struct {
	trace, id, parent, name string
	kind                    uint64
	failed                  bool
	attributes              map[string]string
	service                 string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.posts++
		if c.status != 0 {
			w.WriteHeader(c.status)
			return
		}
		if r.Method != "POST" || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("not OTLP over HTTP: %s %s %v", r.Method, r.URL, r.Header)
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		c.take(t, b)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// fields walks over a message in protobuf's binary form.
func fields(t *testing.T, b []byte, f func(number uint64, bytes []byte, value uint64)) {
	t.Helper()
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatal("a damaged message")
		}
		b = b[n:]
		switch key & 7 {
		case 0:
			v, n := binary.Uvarint(b)
			f(key>>3, nil, v)
			b = b[n:]
		case 1:
			f(key>>3, nil, binary.LittleEndian.Uint64(b))
			b = b[8:]
		case 2:
			size, n := binary.Uvarint(b)
			f(key>>3, b[n:n+int(size)], 0)
			b = b[n+int(size):]
		case 5:
			b = b[4:]
		default:
			t.Fatalf("wire type %d", key&7)
		}
	}
}

// take reads an ExportTraceServiceRequest.
func (c *collector) take(t *testing.T, request []byte) {
	t.Helper()
	fields(t, request, func(_ uint64, resourceSpans []byte, _ uint64) {
		service := ""
		fields(t, resourceSpans, func(number uint64, b []byte, _ uint64) {
			switch number {
			case 1: // resource
				fields(t, b, func(number uint64, attribute []byte, _ uint64) {
					if k, v := keyValue(t, attribute); number == 1 && k == "service.name" {
						service = v
					}
				})
			case 2: // scope spans
				fields(t, b, func(number uint64, b []byte, _ uint64) {
					if number == 2 {
						s := readSpan(t, b)
						s.service = service
						c.spans = append(c.spans, s)
					}
				})
			}
		})
	})
}

func readSpan(t *testing.T, b []byte) span {
	t.Helper()
	s := span{attributes: map[string]string{}}
	fields(t, b, func(number uint64, b []byte, value uint64) {
		switch number {
		case 1:
			s.trace = hex.EncodeToString(b)
		case 2:
			s.id = hex.EncodeToString(b)
		case 4:
			s.parent = hex.EncodeToString(b)
		case 5:
			s.name = string(b)
		case 6:
			s.kind = value
		case 9:
			k, v := keyValue(t, b)
			s.attributes[k] = v
		case 15:
			fields(t, b, func(number uint64, _ []byte, value uint64) { s.failed = s.failed || number == 3 && value == 2 })
		}
	})
	return s
}

func keyValue(t *testing.T, b []byte) (key, value string) {
	t.Helper()
	fields(t, b, func(number uint64, b []byte, _ uint64) {
		if number == 1 {
			key = string(b)
			return
		}
		fields(t, b, func(number uint64, b []byte, n uint64) {
			switch number {
			case 1:
				value = string(b)
			case 3:
				value = string(binary.AppendUvarint(nil, n))
			}
		})
	})
	return key, value
}
