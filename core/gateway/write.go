package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// notForClient reports whether a field of a system's answer never reaches the
// client: it belongs to the connection, is a credential, or would speak for the
// gateway. An underscore is a hyphen to some programs.
func notForClient(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Content-Length", "Proxy-Authenticate",
		"Authorization", "X-Vcloud-Authorization", "X-Vmware-Vcloud-Access-Token", "Set-Cookie", "Set-Cookie2", "Vary", requestIDHeader:
		return true
	}
	return strings.HasPrefix(name, "X-Annex-")
}

// write sends the answer of the road. An error means that the client got less
// than there was.
func write(ctx context.Context, w http.ResponseWriter, req core.Request, resp core.Response) error {
	if resp.Upgraded != nil {
		return splice(ctx, w, resp)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is expected of it
	h := w.Header()
	resp.Header.AddTo(h, notForClient)
	vary(h, req, resp)
	if extensionPage(req.Path) {
		h.Set("X-Content-Type-Options", "nosniff")
	}
	hasBody := resp.Status != http.StatusNoContent && resp.Status != http.StatusNotModified
	if n := length(resp.Body); hasBody && n >= 0 && (n > 0 || req.Method != http.MethodHead) {
		h.Set("Content-Length", strconv.FormatInt(n, 10))
	} else if v := resp.Header.Get("Content-Length"); req.Method == http.MethodHead && v != "" {
		h.Set("Content-Length", v)
	}
	w.WriteHeader(resp.Status)
	if !hasBody || req.Method == http.MethodHead {
		return nil
	}
	return copyBody(ctx, w, resp.Body)
}

// length is that of a body, or -1 where none may be stated: when it is not
// known, and for the sake of a trailer, which has no room otherwise in HTTP/1.1.
func length(b *core.Body) int64 {
	if len(b.Trailer()) > 0 {
		return -1
	}
	return b.Size()
}

// vary names what the answer depends on here: who calls, and what they
// accept. What an extension said of itself is kept.
func vary(h http.Header, req core.Request, resp core.Response) {
	ours := "Accept, Accept-Encoding, Accept-Language, Authorization"
	if extensionPage(req.Path) {
		ours += ", Cookie"
	}
	if h["Vary"] == nil && resp.Header.Peek("Vary") == nil {
		h["Vary"] = []string{ours}
		return
	}
	names := strings.Split(ours, ", ")
	for _, v := range append(h.Values("Vary"), resp.Header.Values("Vary")...) {
		for name := range strings.SplitSeq(v, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	h.Set("Vary", strings.Join(names, ", "))
}

func extensionPage(path string) bool { return strings.HasPrefix(path, "/ext-ui/") }

// copyBody streams the body, and sends on at once what a system sends piece
// by piece.
func copyBody(ctx context.Context, w http.ResponseWriter, body *core.Body) error {
	size := length(body)
	if size >= 0 && size <= small && body.Buffered() {
		return writeSmall(w, body)
	}
	var dst io.Writer = w
	if size < 0 {
		f := flusher{w, http.NewResponseController(w)}
		if err := f.rc.Flush(); err != nil { // who waits for events must know that they will come
			return errors.Join(err, body.Close())
		}
		dst = f
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	src := body.Open()
	stop := context.AfterFunc(ctx, func() { _ = src.Close() }) // the client has gone
	defer stop()
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, *buf)
	err = errors.Join(err, src.Close())
	addTrailer(w.Header(), body)
	return err
}

// small is the size of a body that is written at once when it is at hand.
const small = 32 << 10

func writeSmall(w io.Writer, body *core.Body) error {
	b, err := body.Bytes(small)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

// addTrailer adds the trailer fields of a body that was read to its end.
func addTrailer(h http.Header, body *core.Body) {
	for name, values := range body.Trailer() {
		if notForClient(name) {
			continue
		}
		for _, v := range values {
			h.Add(http.TrailerPrefix+name, v)
		}
	}
}

// flusher sends every piece on at once.
type flusher struct {
	w  io.Writer
	rc *http.ResponseController
}

// Write writes and flushes.
func (f flusher) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// writeError answers in the form of the API that the path belongs to.
func (x *exchange) writeError(path string, err error) {
	if code := core.ErrorCode(err); code == core.Internal || code == core.BadUpstream || code == core.Unavailable {
		x.g.opts.Log.Warn("a call failed", "request_id", x.report.ID, "path", path, "err", err)
	}
	x.w.Header().Set("X-Content-Type-Options", "nosniff")
	if path == "/api" || strings.HasPrefix(path, "/api/") {
		vxml.WriteError(&x.w, x.r.Header.Values("Accept"), x.report.ID, err)
		return
	}
	cloudapi.WriteError(&x.w, x.report.ID, err)
}
