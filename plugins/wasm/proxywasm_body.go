package wasm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/annex-gateway/annex/core"
)

// chunkBytes is how much of a streaming body a guest is shown at a time.
const chunkBytes = 32 << 10

// piece is what one reading of a source gave.
type piece struct {
	bytes []byte
	err   error
}

// bodyHook shows a guest a body on its way: piece by piece as it is pulled
// through, or whole where the guest holds it back. It belongs to whoever reads
// the body; the buffer and the trailers are shown on the guest's turn.
type bodyHook struct {
	s        *proxyCall
	side     int
	what     string // for messages
	src      *core.Body
	in       io.ReadCloser // the source, once it is read as a stream
	limit    int64
	buffer   []byte // what the guest is shown
	shown    bool   // a callback runs, or the guest holds the buffer back
	out      []byte // what goes on
	holding  bool   // the guest said to wait
	drained  bool   // the source is read to its end, and shown
	ended    bool   // and all of it may go on
	pending  chan piece
	err      error
	trailers *fields
	closed   chan struct{}

	mu     sync.Mutex // guards what follows
	handed bool       // it is on its way as a stream
	shut   bool
	after  func() // what is left to do when it is shut
}

// outlives reports whether the body is still on its way, and then has f called
// at its end.
func (h *bodyHook) outlives(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.handed || h.shut {
		return false
	}
	h.after = f
	return true
}

// hook makes a hook for a body that the guest wants to see, or nil.
func (s *proxyCall) hook(side int, src *core.Body) *bodyHook {
	s.empty[side] = src.Size() == 0 || s.lone && side == requestSide
	if s.empty[side] || !s.conn.fleet.bodies[side] {
		return nil
	}
	h := &bodyHook{
		s: s, side: side, what: [...]string{"request", "answer"}[side], src: src,
		limit: s.vm.guest.pool.set.bodyBytes, closed: make(chan struct{}),
	}
	s.hooks[side] = h
	return h
}

// prime shows what the guest is to see before the message goes on. That is
// all of it where it is at hand; of a request the beginning, so that the guest
// can still answer; and where it is held as much as it takes.
func (h *bodyHook) prime(ctx context.Context, held bool) error {
	atHand := h.src.Buffered()
	if atHand {
		b, err := h.src.Bytes(h.limit)
		if err != nil {
			return h.fault(err)
		}
		if err := h.finish(ctx, bytes.Clone(b)); err != nil {
			return err
		}
	} else if h.side == responseSide && !held {
		return nil
	}
	for !h.ended && !h.s.over() && (atHand || len(h.out) == 0 || h.holding) {
		if err := h.step(ctx, false); err != nil {
			return err
		}
	}
	return nil
}

// body is what goes on in place of the source.
func (h *bodyHook) body() *core.Body {
	trailer := func() http.Header {
		if h.trailers != nil {
			return h.trailers.result().Clone()
		}
		return h.src.Trailer()
	}
	if h.ended {
		return core.BytesBody(h.out).WithTrailer(trailer)
	}
	h.open() // the source is given up by others once there is this one in its place
	h.mu.Lock()
	h.handed = true
	h.mu.Unlock()
	return core.StreamBody(h, -1).WithTrailer(trailer)
}

// open takes the source, which is read as a stream from then on.
func (h *bodyHook) open() {
	if h.in != nil {
		return
	}
	in := h.src.Open()
	h.mu.Lock()
	h.in = in
	h.mu.Unlock()
}

// Read pulls the body through the guest.
func (h *bodyHook) Read(p []byte) (int, error) {
	for len(h.out) == 0 {
		switch {
		case h.err != nil:
			return 0, h.err
		case h.ended:
			return 0, io.EOF
		}
		if err := h.pull(); err != nil {
			h.err = err
		}
	}
	n := copy(p, h.out)
	h.out = h.out[n:]
	return n, nil
}

// pull is a step beyond the visit that the body came with.
func (h *bodyHook) pull() error {
	ctx, cancel := context.WithCancel(h.s.life)
	defer cancel()
	go func() {
		select {
		case <-h.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := h.step(ctx, true); err != nil {
		return h.s.fault(ctx, err)
	}
	if r := h.s.answered(); r != nil {
		return &core.Answered{Response: *r}
	}
	return nil
}

// Close gives up the source.
func (h *bodyHook) Close() error {
	h.mu.Lock()
	was, after, in := h.shut, h.after, h.in
	h.shut, h.after = true, nil
	h.mu.Unlock()
	if was {
		return nil
	}
	close(h.closed)
	if after != nil {
		after()
	}
	if in != nil {
		return in.Close()
	}
	return h.src.Close()
}

// drop gives up a body that nobody gets to see, if there is one.
func (h *bodyHook) drop() {
	if h != nil {
		_ = h.Close()
	}
}

// step reads one piece and shows it, or lets go on what was held back,
// whichever comes first. A guest that holds a body back is shown more of it
// all the same: that is how it gathers one. Patient says that the reading may
// take as long as it takes where nothing else can happen.
func (h *bodyHook) step(ctx context.Context, patient bool) error {
	p, got, err := h.next(ctx, patient)
	switch {
	case err != nil:
		return err
	case !got:
		return h.letGo(ctx)
	case p.err == nil:
		return h.show(ctx, p.bytes, false)
	case errors.Is(p.err, io.EOF):
		return h.finish(ctx, p.bytes)
	}
	return h.fault(p.err)
}

// next reads one piece. It gives none where something else happened first
// that lets the body go on.
func (h *bodyHook) next(ctx context.Context, patient bool) (p piece, got bool, err error) {
	read := func(in io.Reader) piece {
		b := make([]byte, chunkBytes)
		n, err := in.Read(b)
		return piece{b[:n], err}
	}
	if !h.drained && h.pending == nil {
		h.open()
		if patient && !h.holding && !h.injected() {
			return read(h.in), true, nil
		}
		ch, in := make(chan piece, 1), h.in
		go func() { ch <- read(in) }()
		h.pending = ch
	}
	for !h.s.over() && (!h.holding || h.s.halted(h.side)) && !h.injected() {
		select {
		case p = <-h.pending:
			h.pending = nil
			return p, true, nil
		case <-h.s.wake[h.side]:
		case <-h.s.vm.gone:
			return p, false, errVMGone
		case <-ctx.Done():
			return p, false, context.Cause(ctx)
		}
	}
	return p, false, nil
}

// letGo lets go on what the guest put in, and what it held back and has let
// go, unless it has ended the call.
func (h *bodyHook) letGo(ctx context.Context) error {
	if h.s.over() {
		return nil
	}
	h.takeInjected()
	if !h.holding || h.s.halted(h.side) {
		return nil // that was all
	}
	return h.s.vm.enter(ctx, h.s, func(context.Context) error {
		h.release()
		h.ended = h.drained
		return nil
	})
}

// finish shows the last piece and the trailers.
func (h *bodyHook) finish(ctx context.Context, last []byte) error {
	trailer := h.src.Trailer()
	tail := [...]string{"proxy_on_request_trailers", "proxy_on_response_trailers"}[h.side]
	trailing := len(trailer) > 0 && h.s.vm.has(tail)
	if !trailing || len(last) > 0 {
		if err := h.show(ctx, last, !trailing); err != nil || h.s.over() {
			return err
		}
	}
	if trailing {
		if err := h.showTrailers(ctx, tail, trailer); err != nil {
			return err
		}
	}
	h.drained, h.ended = true, !h.holding
	return nil
}

// show gives the guest a further piece.
func (h *bodyHook) show(ctx context.Context, piece []byte, last bool) error {
	if int64(len(h.buffer)+len(piece)) > h.limit {
		return h.fault(core.Errorf(core.TooLarge, "more than %d bytes", h.limit))
	}
	name := [...]string{"proxy_on_request_body", "proxy_on_response_body"}[h.side]
	return h.s.vm.enter(ctx, h.s, func(ctx context.Context) error {
		h.buffer = append(h.buffer, piece...)
		h.shown = true
		action, err := h.s.ask(ctx, h.side, name, uint32(len(h.buffer)), flagOf(last))
		if action == actionDiscard && h.s.vm.abi == forkedABI {
			h.buffer = nil
		}
		h.settle(action)
		return err
	})
}

func (h *bodyHook) showTrailers(ctx context.Context, name string, trailer http.Header) error {
	return h.s.vm.enter(ctx, h.s, func(ctx context.Context) error {
		h.trailers = &fields{rules: trailerRules(), orig: core.HeaderOf(trailer.Clone())}
		h.shown = true
		n := len(h.s.pairs(h.trailers, mapOf(h.side)+1))
		action, err := h.s.ask(ctx, h.side, name, uint32(n))
		h.settle(action)
		return err
	})
}

// settle does what the guest said is to happen next.
func (h *bodyHook) settle(action uint32) {
	h.holding = h.s.pause(h.side, action != actionContinue)
	if !h.holding {
		h.release()
	}
}

// release lets go on what the guest has seen.
func (h *bodyHook) release() {
	h.holding, h.shown = false, false
	h.out, h.buffer = append(h.out, h.buffer...), nil
}

// fault words an error for the caller to see.
func (h *bodyHook) fault(err error) error {
	name := h.s.conn.pool.set.name
	if core.ErrorCode(err) != core.TooLarge {
		return core.WrapError(core.BadUpstream, err, "the %s could not be read for WASM extension '%s'", h.what, name)
	}
	code := core.TooLarge
	if h.side == responseSide {
		code = core.BadUpstream
	}
	return core.WrapError(code, err, "the %s is larger than %d bytes, and WASM extension '%s' holds it back", h.what, h.limit, name)
}
